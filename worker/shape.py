"""The frozen facts that XLA must know: a compiled program is found by them, and by nothing else.

Sizes are rounded up to buckets, so that data of about the same size share one program; padding changes no result.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupShape:
    """Sizes of one grouping factor."""

    blocks: tuple[int, ...]
    """Sizes of the blocks of correlated coefficients."""
    levels: int
    """Levels; of a collapsed factor that stands alone, those that differ in Z'Z: equal ones count as one."""

    @property
    def coefficients(self) -> int:
        """Coefficients of a level."""
        return sum(self.blocks)

    @property
    def correlations(self) -> int:
        """Free correlations of all blocks."""
        return sum(size * (size - 1) // 2 for size in self.blocks)

    @property
    def width(self) -> int:
        """Coefficients of all levels."""
        return self.coefficients * self.levels


@dataclass(frozen=True, slots=True)
class CollapsedShape:
    """Sizes of the collapsed gaussian model; its first factor is eliminated level by level, the others as a dense
    block."""

    columns: int
    """Population coefficients that are integrated out."""
    kept: int
    """Population coefficients that stay among the hyperparameters, because their prior is not conjugate."""
    mixed: int
    """Coefficients with a student_t prior: each brings the precision of a scale mixture of normals."""
    factors: tuple[GroupShape, ...]

    @property
    def sds(self) -> int:
        """Standard deviations of all factors."""
        return sum(factor.coefficients for factor in self.factors)

    @property
    def correlations(self) -> int:
        """Free correlations of all factors."""
        return sum(factor.correlations for factor in self.factors)

    @property
    def dense(self) -> int:
        """Coefficients of all levels of the factors that are eliminated together."""
        return sum(factor.width for factor in self.factors[1:])

    @property
    def carried(self) -> int:
        """What is drawn given the hyperparameters: population coefficients, and the dense factors' deviations."""
        return self.columns + self.dense

    @property
    def scalars(self) -> int:
        """Sds, sigma, mixing precisions, kept coefficients."""
        return self.sds + 1 + self.mixed + self.kept

    @property
    def drawn(self) -> int:
        """What comes with the log density of theta: what is carried, scalars, and the triangles of correlation
        roots."""
        triangles = (factor.coefficients * (factor.coefficients + 1) // 2 for factor in self.factors)
        return self.carried + self.scalars + sum(triangles)

    @property
    def dimension(self) -> int:
        """Length of theta: sds, sigma, mixing precisions, kept coefficients, partial correlations."""
        return self.scalars + self.correlations

    @property
    def operations(self) -> int:
        """Roughly the elementwise operations of an evaluation of the density."""
        count = sum(factor.coefficients**2 * factor.levels for factor in self.factors) + self.columns**2
        if self.dense:
            count += self.dense * (self.dense + self.factors[0].width)
        return count

    @property
    def batch(self) -> int:
        """Vectors of hyperparameters that one call of a program can take; a call pays only for those it is given.

        Where an evaluation costs less than a microsecond most of a call's price is that it is one.
        """
        return 4096 if self.operations <= 256 else 1024


def bucket(size: int) -> int:
    """Round a size up to 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, …: at most half as large again, few distinct values."""
    if size <= 4:
        return size
    power = 1 << (size - 1).bit_length()
    return power * 3 // 4 if size <= power * 3 // 4 else power


def level_bucket(levels: int) -> int:
    """Round a number of levels up to at least 32 and then to a bucket."""
    return max(32, bucket(levels))


@dataclass(frozen=True, slots=True)
class ThetaShape:
    """Sizes and settings of the collapsed model where NUTS walks its hyperparameters."""

    collapsed: CollapsedShape
    chains: int
    """Chains that one call moves side by side."""
    warmup: int
    max_tree_depth: int


@dataclass(frozen=True, slots=True)
class FullShape:
    """Sizes and settings of the full model, sampled by NUTS."""

    family: str
    link: str
    rows: int
    columns: int
    factors: tuple[GroupShape, ...]
    """In the order in which their deviations are drawn, each given those before it."""
    scalars: int
    """The family's own parameters."""
    chains: int
    """Chains that one call moves side by side."""
    warmup: int
    max_tree_depth: int

    @property
    def scalar_ends(self) -> tuple[int, ...]:
        """Where, among all scalars with a prior, the coefficients end, the family's parameters, and each factor's sds
        but the last's."""
        sizes = [self.columns, self.scalars, *(factor.coefficients for factor in self.factors)]
        return tuple(sum(sizes[: i + 1]) for i in range(len(sizes) - 1))

    @property
    def has_sigma(self) -> bool:
        """Whether the first of the family's own parameters is the scale of the response."""
        return self.scalars > 0 and self.family in ("gaussian", "student")

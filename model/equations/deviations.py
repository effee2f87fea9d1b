"""The deviations of the levels of a factor: their symbols, and those of their standard deviations and correlations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.equations.expressions import Index, Over, Symbol
from model.frame.grouping import Factor

_LETTERS = "uvwstzacdefh"


@dataclass(frozen=True, slots=True)
class Block:
    """Deviations that are correlated with each other, or a single one, which has no matrices.

    `members` are the places of its coefficients in the factor.
    """

    members: tuple[int, ...]
    deviations: tuple[Symbol, ...]
    sds: tuple[Symbol, ...]
    covariance: Symbol | None
    correlation: Symbol | None
    over: Over


@dataclass(frozen=True, slots=True)
class Place:
    """Which factor of how many, and the index of its levels."""

    number: int
    count: int
    index: Index

    @property
    def letter(self) -> str:
        """The letter of the factor's deviations."""
        return _LETTERS[self.number % len(_LETTERS)] * (1 + self.number // len(_LETTERS))

    @property
    def mark(self) -> str:
        """What tells the factor's hyperparameters from those of others."""
        return self.letter if self.count > 1 else ""


def blocks(factor: Factor, numbers: Sequence[int], place: Place) -> Iterator[Block]:
    """The blocks of a factor; `numbers` are those of the coefficients that its deviations are of."""
    correlated = [members for members in factor.blocks if len(members) > 1]
    over = Over(len(factor.levels), place.index, factor.columns)
    for members in factor.blocks:
        own = (correlated.index(members) + 1,) if len(correlated) > 1 and members in correlated else ()
        several = members in correlated
        yield Block(
            members,
            tuple(Symbol(place.letter, (numbers[member],), place.index) for member in members),
            tuple(Symbol("phi", (numbers[member],), of=place.mark) for member in members),
            Symbol("Phi", own, of=place.mark) if several else None,
            Symbol("R", own, of=place.mark) if several else None,
            over,
        )

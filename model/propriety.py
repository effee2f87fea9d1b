"""Whether a posterior can be integrated, as far as that can be known before anything is sampled.

Under flat priors it depends on the data: a scale that grows without end must lower the likelihood faster than the prior
lets it grow. Of a gaussian model with weights w the likelihood falls as sigma^-(sum w - p) for p coefficients with flat
priors, and as sd^-r for a group-level sd whose deviations have r directions that no flat coefficient can take over
(Gelman 2006: a flat prior on an sd needs three levels, beside a flat intercept).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from model.distributions import Distribution, Kind
from model.errors import Issue
from model.family import Family
from model.frame.design import Design, FactorDesign, Float
from model.priors import ResolvedPrior

_ADVICE = "Give {} a proper prior, for instance {}."


def improper(design: Design, priors: Sequence[ResolvedPrior], family: Family) -> Iterator[Issue]:
    """Why the posterior of a gaussian or student model has no finite integral, where it has none."""
    if family.name not in ("gaussian", "student") or family.link != "identity":
        return
    flat = _flat_columns(design, priors)
    weight = np.ones(design.rows) if design.weights is None else design.weights
    count = float(weight.sum())
    if design.x.shape[1] and not np.all(weight > 0):
        own = design.x[weight > 0][:, flat]
        rank = (
            int(np.linalg.matrix_rank(own / np.maximum(np.abs(own).max(axis=0, initial=0), 1e-300)))
            if own.size
            else 0
        )
        if rank < len(flat):
            message = (
                f"The rows with a weight above zero tell {rank} of the {len(flat)} coefficients with flat priors apart,"
                " so the posterior is improper. " + _ADVICE.format("the coefficients", "normal(0, 10)")
            )
            yield Issue("improper-posterior", message, "/priors")
            return
    free = [row for row in priors if row.class_ == "sd" and row.distribution.kind is Kind.FLAT]
    sigma = next((row for row in priors if row.class_ == "sigma"), None)
    if sigma is not None:
        tail = _tail(sigma.distribution)
        if count - len(flat) + tail <= 1 + len(free):
            yield Issue(
                "improper-posterior",
                _too_few(count, design.weights is not None, len(flat), sigma, free),
                "/priors",
            )
            return
    for row in free:
        factor = next(factor for factor in design.factors if factor.name == row.group)
        left = _directions(design.x[:, flat], factor, row.coef)
        if left <= 1:
            name = f"sd[{row.group}][{row.coef}]"
            message = (
                f"The prior of {name} is flat, and {left} independent differences between levels of {row.group} are too"
                f" few to bound it: at least two are needed for the posterior to be proper. "
                + _ADVICE.format(name, "student_t(3, 0, 2.5)")
            )
            yield Issue("improper-posterior", message, "/priors")


def _flat_columns(design: Design, priors: Sequence[ResolvedPrior]) -> list[int]:
    """Numbers of X's columns whose coefficients have flat priors."""
    by_name = {row.coef: row for row in priors if row.class_ == "b"}
    rows = [next(row for row in priors if row.class_ == "Intercept")] if design.intercept else []
    rows += [by_name[name] for name in design.coefficients[int(design.intercept) :]]
    return [number for number, row in enumerate(rows) if row.distribution.kind is Kind.FLAT]


def _tail(prior: Distribution) -> float:
    """The power with which the density of a positive parameter falls, infinite where it falls faster than any."""
    match prior.kind:
        case Kind.FLAT:
            return 0.0
        case Kind.STUDENT_T:
            return float(prior.arguments[0]) + 1.0
        case Kind.CAUCHY:
            return 2.0
        case Kind.INV_GAMMA:
            return float(prior.arguments[0]) + 1.0
        case _:
            return float("inf")


def _directions(flat: Float, factor: FactorDesign, coefficient: str | None) -> int:
    """How many directions the deviations of a coefficient have that coefficients with flat priors do not."""
    levels = len(factor.levels)
    if levels - flat.shape[1] > 1:
        return int(levels - flat.shape[1])
    z = np.zeros((len(factor.index), levels))
    z[np.arange(len(factor.index)), factor.index] = factor.z[:, factor.coefficients.index(str(coefficient))]
    return _rank(np.column_stack([flat, z])) - _rank(flat)


def _rank(columns: Float) -> int:
    """The rank of columns of any unit (row, column)."""
    if not columns.size:
        return 0
    return int(np.linalg.matrix_rank(columns / np.maximum(np.abs(columns).max(axis=0), 1e-300)))


def _too_few(
    count: float, weighted: bool, flat: int, sigma: ResolvedPrior, free: Sequence[ResolvedPrior]
) -> str:
    rows = f"weights that sum to {count:.3g}" if weighted else f"{count:.0f} rows"
    scales = "" if not free else f" and {len(free)} standard deviations"
    prior = "a flat prior" if sigma.distribution.kind is Kind.FLAT else f"the prior {sigma.prior}"
    return (
        f"The posterior is improper: {rows} are too few for {flat} coefficients{scales} with flat priors beside sigma"
        f" with {prior}. " + _ADVICE.format("the coefficients", "normal(0, 10)")
    )

"""Whether a posterior can be integrated, as far as that can be known before anything is sampled.

Under flat priors it depends on the data: a scale that grows without end must lower the likelihood faster than the prior
lets it grow. Of a gaussian model with weights w the likelihood falls as sigma^-(sum w - p) for p coefficients with flat
priors, and as sd^-r for a group-level sd whose deviations have r directions that no flat coefficient can take over
(Gelman 2006: a flat prior on an sd needs three levels, beside a flat intercept).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from model.distributions import Distribution, Kind
from model.errors import Issue, Notice
from model.family import Family
from model.frame.design import Design, FactorDesign, Float
from model.frame.rank import aliased
from model.priors import ResolvedPrior

_ADVICE = "Give {} a proper prior, for instance {}."
_MEAN, _VARIANCE = 2.0, 3.0
"""Powers up to which a density falls too slowly for one."""
_MANY = 3
"""Directions beyond which it does not matter how many there are."""


def improper(design: Design, priors: Sequence[ResolvedPrior], family: Family) -> Iterator[Issue]:
    """Why the posterior has no finite integral, where that can be told: of gaussian and student models, and of scales
    with flat priors."""
    yield from _without_limit(priors)
    weight = np.ones(design.rows) if design.weights is None else design.weights
    if family.name not in ("gaussian", "student") or family.link != "identity":
        yield from _flat_sds(design, priors, family, weight > 0)
        return
    flat = _flat_columns(design, priors)
    count = float(weight.sum())
    if design.x.shape[1] and not np.all(weight > 0):
        rank = _rank(design.x[weight > 0][:, flat])
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
    yield from _flat_sds(design, priors, family, weight > 0)


def heavy_tails(design: Design, priors: Sequence[ResolvedPrior], family: Family) -> Iterator[Notice]:
    """Scales whose posterior has an integral, but falls so slowly that it has no mean, or no standard deviation.

    A density that falls as a power e has a mean where e > 2, and a variance where e > 3. The end of a uniform prior
    is where an integral stops that would be infinite without it, so it is taken for flat.
    """
    if family.name not in ("gaussian", "student") or family.link != "identity":
        return
    flat = _flat_columns(design, priors)
    weight = np.ones(design.rows) if design.weights is None else design.weights
    sds = [row for row in priors if row.class_ == "sd" and row.distribution.kind is not Kind.CONSTANT]
    slow = {id(row): _tail(row.distribution, bounded=False) for row in sds}
    sigma = next((row for row in priors if row.class_ == "sigma"), None)
    found: list[tuple[float, tuple[str, ...]]] = []
    if sigma is not None and sigma.distribution.kind is not Kind.CONSTANT:
        growing = sum(1.0 - tail for tail in slow.values() if tail < 1.0)
        power = float(weight.sum()) - len(flat) + _tail(sigma.distribution, bounded=False) - growing
        found.append((power, ("sigma", *(f"b[{design.coefficients[c]}]" for c in flat))))
    for row in sds:
        if slow[id(row)] < 1.0:
            factor = next(factor for factor in design.factors if factor.name == row.group)
            power = _directions(design.x[:, flat], factor, row.coef, weight > 0) + slow[id(row)]
            found.append((power, (f"sd[{row.group}][{row.coef}]",)))
    advice = (
        "Give the standard deviation a proper prior, for instance student_t(3, 0, 2.5) or exponential(1)."
    )
    for power, names in found:
        if power <= _MEAN:
            message = (
                f"The posterior of {names[0]} falls so slowly that it has no mean, or one that only the end of its"
                " prior decides: medians and quantiles can be used, means and standard deviations cannot."
            )
            yield Notice("heavy_tails", message, "serious", names, advice)
        elif power <= _VARIANCE:
            message = (
                f"The posterior of {names[0]} falls so slowly that it has no standard deviation, or one that only the"
                " end of its prior decides."
            )
            yield Notice("heavy_tails", message, "warning", names, advice)


def _without_limit(priors: Sequence[ResolvedPrior]) -> Iterator[Issue]:
    """Parameters that are next to nothing where they are large, so that the likelihood bounds none."""
    limits = {"nu": ("normal", "gamma(2, 0.1)"), "shape": ("Poisson", "inv_gamma(0.4, 0.3)")}
    for row in priors:
        if row.class_ in limits and row.distribution.kind is Kind.FLAT:
            limit, instead = limits[row.class_]
            message = (
                f"The prior of {row.class_} is flat, and the responses are as good as {limit} ones however large it"
                " is, so the posterior is improper. " + _ADVICE.format(row.class_, instead)
            )
            yield Issue("improper-posterior", message, "/priors")


def _flat_sds(
    design: Design, priors: Sequence[ResolvedPrior], family: Family, used: NDArray[np.bool_]
) -> Iterator[Issue]:
    """Flat priors of sds that too few differences between levels bound."""
    flat = _flat_columns(design, priors)
    for row in priors:
        if row.class_ != "sd" or row.distribution.kind is not Kind.FLAT:
            continue
        factor = next(factor for factor in design.factors if factor.name == row.group)
        told = _telling(factor, used, _extreme(design, family)) if row.coef == "Intercept" else used
        left = _directions(design.x[:, flat], factor, row.coef, told)
        if left <= 1:
            name = f"sd[{row.group}][{row.coef}]"
            message = (
                f"The prior of {name} is flat, and {left} independent differences between levels of {row.group} are too"
                f" few to bound it: at least two are needed for the posterior to be proper. "
                + _ADVICE.format(name, "student_t(3, 0, 2.5)")
            )
            yield Issue("improper-posterior", message, "/priors")


def _extreme(design: Design, family: Family) -> NDArray[np.int8]:
    """Of each row whether the response is as small (-1) or as large (1) as one can be, or neither (0).

    Such responses are the likelier the more extreme their mean is.
    """
    assert design.y is not None
    if not family.counts:
        return np.zeros(design.rows, dtype=np.int8)
    most = (
        np.inf if not family.probability else np.ones(design.rows) if design.trials is None else design.trials
    )
    return np.where(design.y == 0, -1, np.where(design.y == most, 1, 0)).astype(np.int8)


def _telling(factor: FactorDesign, used: NDArray[np.bool_], extreme: NDArray[np.int8]) -> NDArray[np.bool_]:
    """The rows of levels whose responses are not all at the same extreme: their intercept cannot be anywhere."""
    low, high = np.ones(len(factor.levels)), -np.ones(len(factor.levels))
    np.minimum.at(low, factor.index[used], extreme[used])
    np.maximum.at(high, factor.index[used], extreme[used])
    return np.asarray(used & ~((low == high) & (low != 0))[factor.index])


def _flat_columns(design: Design, priors: Sequence[ResolvedPrior]) -> list[int]:
    """Numbers of X's columns whose coefficients have flat priors."""
    by_name = {row.coef: row for row in priors if row.class_ == "b"}
    rows = [next(row for row in priors if row.class_ == "Intercept")] if design.intercept else []
    rows += [by_name[name] for name in design.coefficients[int(design.intercept) :]]
    return [number for number, row in enumerate(rows) if row.distribution.kind is Kind.FLAT]


def _tail(prior: Distribution, *, bounded: bool = True) -> float:
    """The power with which the density of a positive parameter falls, infinite where it falls faster than any.

    That of a uniform prior is infinite beyond its end, and 0 before it: `bounded` says which.
    """
    match prior.kind:
        case Kind.FLAT:
            return 0.0
        case Kind.UNIFORM if not bounded:
            return 0.0
        case Kind.STUDENT_T:
            return float(prior.arguments[0]) + 1.0
        case Kind.CAUCHY:
            return 2.0
        case Kind.INV_GAMMA:
            return float(prior.arguments[0]) + 1.0
        case _:
            return float("inf")


def _directions(
    flat: Float, factor: FactorDesign, coefficient: str | None, telling: NDArray[np.bool_]
) -> int:
    """How many directions the deviations of a coefficient have that coefficients with flat priors do not, by the
    rows that are `telling`."""
    z = factor.z[:, factor.coefficients.index(str(coefficient))]
    present = np.unique(factor.index[telling & (z != 0)])
    if len(present) - flat.shape[1] > _MANY:
        return int(len(present) - flat.shape[1])
    columns = z[telling, None] * np.equal.outer(factor.index[telling], present)
    return _rank(np.column_stack([flat[telling], columns])) - int(flat.shape[1])


def _rank(columns: Float) -> int:
    """The rank of columns of any unit (row, column)."""
    width = int(columns.shape[1])
    return width - len(aliased(columns, intercept=False)) if width else 0


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

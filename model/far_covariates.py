"""Covariates so far from zero that priors of group-level deviations mean something else than they seem to.

An intercept's deviation is that at zero of every covariate beside it. Far outside the data it is as large as the slopes
make it, which a prior that looks wide, as the default does, may forbid.
"""

from collections.abc import Iterator

import numpy as np

from model.distributions import Kind
from model.errors import Notice
from model.family import Family
from model.frame.design import Design, FactorDesign
from model.priors import ResolvedPrior

FAR = 10.0
"""Mean over sd of a covariate from which it is worth a word."""
_ORDINARY = 0.5
"""How much of the response's sd ordinary deviations of slopes explain, over one sd of their covariate."""


def far_covariates(design: Design, priors: tuple[ResolvedPrior, ...], family: Family) -> Iterator[Notice]:
    """A warning for every group-level slope on a covariate far from zero that its intercept's prior may suppress."""
    assert design.y is not None
    # On the scale of a link that is not the identity effects are of the order of one.
    size = float(np.std(design.y - design.offset)) if family.link == "identity" else 1.0
    for factor in design.factors:
        if "Intercept" not in factor.coefficients:
            continue
        place = factor.coefficients.index("Intercept")
        prior = next(
            row for row in priors if (row.class_, row.coef, row.group) == ("sd", "Intercept", factor.name)
        )
        block = next(block for block in factor.blocks if place in block)
        for number, ratio in _far(factor):
            if number not in block:
                yield _independent(factor, number, ratio)
            elif _bounds(prior, _ORDINARY * size * ratio):
                yield _suppressed(factor, number, ratio, prior)


def _far(factor: FactorDesign) -> Iterator[tuple[int, float]]:
    """Numbers of the covariates that are far from zero, and how many of their sds that is."""
    for number, name in enumerate(factor.coefficients):
        column = factor.z[:, number]
        mean, sd = float(np.mean(column)), float(np.std(column))
        if name == "Intercept" or sd == 0.0 or abs(mean) < FAR * sd or np.all((column == 0) | (column == 1)):
            continue
        yield number, abs(mean) / sd


def _bounds(prior: ResolvedPrior, wanted: float) -> bool:
    """Whether a prior of an sd leaves little for what is wanted."""
    kind = prior.distribution.kind
    return (
        kind not in (Kind.FLAT, Kind.CONSTANT) and prior.distribution.quantile(0.95, *prior.bounds) < wanted
    )


def _suppressed(factor: FactorDesign, number: int, ratio: float, prior: ResolvedPrior) -> Notice:
    name, sd = factor.coefficients[number], f"sd[{factor.name}][Intercept]"
    message = (
        f"{name} lies far from zero: its mean is {ratio:.3g} of its standard deviations. {sd} is the standard "
        f"deviation of intercepts at {name} = 0, far outside the data, and its prior {prior.prior} leaves no room for "
        f"the size that it has there where slopes of {factor.name} vary as they ordinarily do; it may suppress them."
    )
    advice = f"Write center({name}) in place of {name}, or give {sd} a prior that is wide enough."
    return Notice("far_covariate", message, "warning", (sd, f"sd[{factor.name}][{name}]"), advice)


def _independent(factor: FactorDesign, number: int, ratio: float) -> Notice:
    name = factor.coefficients[number]
    message = (
        f"{name} lies far from zero: its mean is {ratio:.3g} of its standard deviations. Intercepts and slopes of "
        f"{factor.name} are independent at {name} = 0, far outside the data; within the data they are not."
    )
    advice = f"Write center({name}) in place of {name}, or let intercept and slope be correlated (| in place of ||)."
    parameters = (f"sd[{factor.name}][Intercept]", f"sd[{factor.name}][{name}]")
    return Notice("far_covariate", message, "warning", parameters, advice)

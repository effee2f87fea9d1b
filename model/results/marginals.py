"""What was believed of each parameter before the data, beside what is believed after: its prior and its draws.

Both are of the same quantity: the prior of the intercept belongs to the intercept at the means of the predictors
unless the model was told otherwise, so the draws beside it are of that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.distributions import Distribution, Kind
from model.frame.design import Float
from model.priors import ResolvedPrior
from model.results.posterior import Posterior
from model.results.summary import pairs


@dataclass(frozen=True, slots=True)
class Marginal:
    """One parameter: its draws (chain, draw), its prior, and the open interval in which it lies.

    `name` is that of the draws; `centered` says that they are of the intercept at the means of the predictors. `prior`
    is the distribution that was stated, `distribution` what it means for this one parameter: of an LKJ prior it is
    the distribution of a single correlation, over (0, 1).
    """

    name: str
    draws: Float
    prior: Distribution
    distribution: Distribution
    bounds: tuple[float, float]
    centered: bool = False

    def density(self, points: Float) -> Float | None:
        """The prior density at these points, zero beyond the bounds; None of a flat prior and of a constant."""
        kind, (lower, upper) = self.prior.kind, self.bounds
        if kind in (Kind.FLAT, Kind.CONSTANT):
            return None
        inside = (points > lower) & (points < upper)
        density = np.zeros(len(points))
        if kind is Kind.LKJ:
            # A correlation is 2 z - 1 where z is what the distribution is of.
            density[inside] = np.exp(self.distribution.log_density((points[inside] + 1) / 2)) / 2
        else:
            mass = self.distribution.log_mass(lower, upper)
            density[inside] = np.exp(self.distribution.log_density(points[inside]) - mass)
        return density


def marginals(posterior: Posterior, priors: Sequence[ResolvedPrior], *, center: bool) -> list[Marginal]:
    """Every parameter that has a prior, in the order of the priors; `center` is that of the request."""
    return [marginal for prior in priors for marginal in _marginals(posterior, prior, center)]


def _marginals(posterior: Posterior, prior: ResolvedPrior, center: bool) -> Iterator[Marginal]:
    stated, bounds = prior.distribution, prior.bounds
    encoding = posterior.encoding
    if prior.class_ == "Intercept":
        whole = posterior.population @ posterior.x_mean if center else posterior.population[:, :, 0]
        yield Marginal("b[Intercept]", whole, stated, stated, bounds, center and len(posterior.x_mean) > 1)
    elif prior.class_ == "b":
        place = encoding.coefficients.index(str(prior.coef))
        yield Marginal(f"b[{prior.coef}]", posterior.population[:, :, place], stated, stated, bounds)
    elif prior.class_ in ("sd", "cor"):
        factor = next(factor for factor in encoding.factors if factor.name == prior.group)
        names = factor.coefficients
        of = posterior.factors[factor.name]
        if prior.class_ == "sd":
            place = names.index(str(prior.coef))
            yield Marginal(f"sd[{factor.name}][{prior.coef}]", of.sd[:, :, place], stated, stated, bounds)
            return
        correlation = of.correlation
        for block in factor.blocks:
            for i, j in pairs([block]):
                yield Marginal(
                    f"cor[{factor.name}][{names[i]},{names[j]}]",
                    correlation[:, :, i, j],
                    stated,
                    _single_correlation(stated, len(block)),
                    (-1.0, 1.0),
                )
    else:
        yield Marginal(prior.class_, posterior.parameters[prior.class_], stated, stated, bounds)


def _single_correlation(lkj: Distribution, size: int) -> Distribution:
    """The distribution of (1 + r) / 2 for one element r of a `size` x `size` matrix under an LKJ prior.

    Each is Beta(a, a) with a = shape + (size - 2) / 2 (Lewandowski, Kurowicka and Joe 2009).
    """
    a = lkj.arguments[0] + (size - 2) / 2
    return Distribution(Kind.BETA, (a, a))

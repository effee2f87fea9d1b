"""Simulation-based calibration (Talts et al. 2018): parameters from the prior, data from the parameters, and the rank
of the truth among the draws that a sampler gives of it.

When the sampler is right every rank is as likely as any other; a model is described once and may be fitted by any
method.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from model.distributions import Distribution, Kind
from model.family import Family
from model.frame.column import read_column
from model.frame.design import Design, FactorDesign, Float
from model.frame.table import Table
from model.priors import PriorStatement, ResolvedPrior
from model.results.posterior import Posterior
from model.results.summary import pairs, scalars
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare
from model.streams import stream
from tests.worker.silent import Silent
from worker.fitting import FitResult, fit
from worker.monitor import Monitor

Fit = Callable[[FitPlan, Monitor], FitResult]
"""What is calibrated: `worker.fitting.fit`, or something that is to be found wrong."""

RANKED = 99
"""Draws that the truth is ranked among; so there are 100 ranks, which bins of equal size divide."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is simulated and fitted; every prior is proper and spelled out, for data cannot come from a flat one.

    Weights must add up to the number of rows: the density that a weight raises to a power is then the normal one with
    variance sigma^2 / weight, and data can be drawn from it.
    """

    formula: str
    priors: Mapping[str, str]
    """By class, or by class and coefficient (`b x`), and grouping factor (`sd x g`)."""
    columns: Mapping[str, Any]
    """Every column but the response, which is `y`."""
    family: str = "gaussian"
    center: bool = True
    draws: int = 250
    """Draws of each of the four chains; they are thinned to 99 altogether."""
    warmup: int = 1000

    def plan(self, method: str, seed: int) -> FitPlan:
        """The plan of a fit; its response is a placeholder that any family accepts."""
        rows = len(next(iter(self.columns.values())))
        # Bernoulli, count and continuous responses may all be 0 and 1.
        placeholder = (np.arange(rows) % 2).astype(float)
        sampler = SamplerSettings(method=method, draws=self.draws, warmup=self.warmup, seed=seed)  # type: ignore[arg-type]
        priors = tuple(
            PriorStatement(prior, *name.split(" ", maxsplit=2)) for name, prior in self.priors.items()
        )
        table = Table.from_columns({"y": placeholder, **self.columns})
        return prepare(
            FitSpec(self.formula, table, self.family, priors=priors, center=self.center, sampler=sampler)
        )


@dataclass(frozen=True, slots=True)
class Ranks:
    """Ranks (simulation,) of every quantity, each in 0..99; `fallbacks` counts collapsed fits that NUTS had to do, and
    `interpolated` those by few exact eliminations."""

    by_quantity: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]]
    fallbacks: int
    interpolated: int

    def p_values(self, bins: int = 20) -> dict[str, float]:
        """Of each quantity, the chi-square test that its ranks are uniform."""
        found = {}
        for name, ranks in self.by_quantity.items():
            counts = np.bincount(ranks * bins // (RANKED + 1), minlength=bins)
            found[name] = float(stats.chisquare(counts).pvalue)
        return found


@dataclass(frozen=True, slots=True)
class Truth:
    """One draw from the prior, in the user's units."""

    population: Float  # (coef,)
    scalars: Mapping[str, float]
    """By the names of `model.results.summary.scalars`."""
    deviations: Mapping[str, Float]  # per factor (level, coef)
    parameters: Mapping[str, float]


def calibrate(model: Model, method: str, simulations: int, seed: int, fit: Fit = fit) -> Ranks:
    """Simulate and fit; rank every scalar parameter, two deviations of each factor, and the sum of squares."""
    plan = model.plan(method, seed)
    design = plan.design()
    ranks: dict[str, list[int]] = {}
    fallbacks = interpolated = 0
    for number in range(simulations):
        source = stream(seed, "simulation", number)
        truth = draw_truth(plan, design, source)
        data = replace(design, y=_response(plan.family, truth, design, source))
        posterior = fit(_with_response(plan, data, int(source.integers(2**53))), Silent()).posterior
        fallbacks += plan.method == "collapsed" and "leapfrog_steps" in posterior.statistics
        interpolated += "surrogate_error" in posterior.statistics
        for name, (true, draws) in _quantities(truth, posterior, data).items():
            thinned = draws[:, :: max(1, draws.size // (RANKED + 1))].ravel()[:RANKED]
            ranks.setdefault(name, []).append(int(np.sum(thinned < true)))
    return Ranks({name: np.array(values) for name, values in ranks.items()}, fallbacks, interpolated)


def _with_response(plan: FitPlan, data: Design, seed: int) -> FitPlan:
    """The same plan with other data: nothing of it depends on the response, for every prior is spelled out."""
    assert data.y is not None
    columns = {**plan.table.columns, "y": read_column(data.y)}
    return replace(plan, table=replace(plan.table, columns=columns), seed=seed)


def draw_truth(plan: FitPlan, design: Design, source: np.random.Generator) -> Truth:
    """Draw all parameters from the priors of a plan, by other means than the program's own transforms."""
    names = design.coefficients
    population = np.array(
        [
            _draw(plan.prior("Intercept") if design.intercept and not i else plan.prior("b", name), source)
            for i, name in enumerate(names)
        ]
    )
    if design.intercept and plan.center:
        # The prior belongs to the intercept at the means of the predictors.
        population[0] -= design.x[:, 1:].mean(axis=0) @ population[1:]
    found = {f"b[{name}]": float(value) for name, value in zip(names, population, strict=True)}
    deviations = {}
    for factor in design.factors:
        sds = np.array([_draw(plan.prior("sd", name, factor.name), source) for name in factor.coefficients])
        correlation = _correlation(plan, factor, source)
        root = sds[:, None] * np.linalg.cholesky(correlation)
        deviations[factor.name] = source.standard_normal((len(factor.levels), len(sds))) @ root.T
        for name, sd in zip(factor.coefficients, sds, strict=True):
            found[f"sd[{factor.name}][{name}]"] = float(sd)
        for i, j in pairs(factor.blocks):
            label = f"cor[{factor.name}][{factor.coefficients[i]},{factor.coefficients[j]}]"
            found[label] = float(correlation[i, j])
    own = [
        name for name in plan.family.parameters if not (name == "sigma" and design.standard_error is not None)
    ]
    parameters = {name: _draw(plan.prior(name), source) for name in own}
    return Truth(population, found | parameters, deviations, parameters)


def _draw(prior: ResolvedPrior, source: np.random.Generator) -> float:
    """One value; a symmetric prior on a positive parameter is drawn whole until the draw lies in its bounds."""
    distribution = _frozen(prior.distribution)
    lower, upper = prior.bounds
    while True:
        value = float(distribution.rvs(random_state=source))
        if lower <= value <= upper:
            return value


def _frozen(prior: Distribution) -> Any:
    a = prior.arguments
    match prior.kind:
        case Kind.NORMAL:
            return stats.norm(*a)
        case Kind.STUDENT_T:
            return stats.t(a[0], a[1], a[2])
        case Kind.CAUCHY:
            return stats.cauchy(*a)
        case Kind.LAPLACE:
            return stats.laplace(*a)
        case Kind.UNIFORM:
            return stats.uniform(a[0], a[1] - a[0])
        case Kind.EXPONENTIAL:
            return stats.expon(scale=1 / a[0])
        case Kind.GAMMA:
            return stats.gamma(a[0], scale=1 / a[1])
        case Kind.INV_GAMMA:
            return stats.invgamma(a[0], scale=a[1])
        case Kind.LOGNORMAL:
            return stats.lognorm(a[1], scale=np.exp(a[0]))
        case _:
            raise ValueError(f"no data can be simulated from the prior {prior}")


def _correlation(plan: FitPlan, factor: FactorDesign, source: np.random.Generator) -> Float:
    """A correlation matrix from the LKJ prior: uniform ones, kept with probability det^(shape - 1)."""
    k = len(factor.coefficients)
    correlation = np.eye(k)
    for block in factor.blocks:
        size = len(block)
        if size == 1:
            continue
        shape = plan.prior("cor", None, factor.name).distribution.arguments[0]
        while True:
            own = np.eye(size)
            below = np.tril_indices(size, -1)
            own[below] = source.uniform(-1, 1, len(below[0]))
            own = own + own.T - np.eye(size)
            if np.linalg.eigvalsh(own)[0] > 0 and source.random() < np.linalg.det(own) ** (shape - 1):
                break
        correlation[np.ix_(block, block)] = own
    return correlation


def _linear_predictor(design: Design, population: Float, deviations: Mapping[str, Float]) -> Float:
    """eta (..., row) of coefficients (..., coef) and deviations (..., level, coef) of each factor."""
    eta = design.offset + population @ design.x.T
    for factor in design.factors:
        eta = eta + np.sum(deviations[factor.name][..., factor.index, :] * factor.z, axis=-1)
    return np.asarray(eta)


def _row_sd(design: Design) -> Float:
    """What sigma is multiplied by in each row; with known standard errors, which stand in its place."""
    weight = np.ones(design.rows) if design.weights is None else design.weights
    if not np.isclose(weight.sum(), design.rows):
        raise ValueError("data can be simulated only when the weights add up to the number of rows")
    error = np.ones(design.rows) if design.standard_error is None else design.standard_error
    return np.asarray(error / np.sqrt(weight))


def _response(family: Family, truth: Truth, design: Design, source: np.random.Generator) -> Float:
    eta = _linear_predictor(design, truth.population, truth.deviations)
    if family.name == "gaussian":
        sigma = truth.parameters.get("sigma", 1.0) * _row_sd(design)
        return np.asarray(eta + sigma * source.standard_normal(design.rows))
    parameters = {name: np.array(value) for name, value in truth.parameters.items()}
    return family.draw(source, family.inverse_link(eta), parameters, design.trials)


def _quantities(truth: Truth, posterior: Posterior, design: Design) -> dict[str, tuple[float, Float]]:
    """By name, the true value and the draws (chain, draw) of what is ranked."""
    drawn = scalars(posterior)
    found = {name: (value, drawn[name]) for name, value in truth.scalars.items()}
    deviations = {}
    for factor in design.factors:
        u = posterior.deviations(factor.name, range(len(factor.levels)))
        deviations[factor.name] = u
        true, k = truth.deviations[factor.name], len(factor.coefficients)
        for level, coefficient in ((0, 0), (len(factor.levels) - 1, k - 1)):
            name = f"u[{factor.name}][{level},{factor.coefficients[coefficient]}]"
            found[name] = float(true[level, coefficient]), u[:, :, level, coefficient]
    eta_true = _linear_predictor(design, truth.population, truth.deviations)
    eta = _linear_predictor(design, posterior.population, deviations)
    fit_true, fit = (_misfit(posterior.family, design, values) for values in (eta_true, eta))
    found["misfit"] = float(fit_true), fit
    return found


def _misfit(family: Family, design: Design, eta: Float) -> Float:
    """Weighted sum of squares (...) of the rows' distances from their means: one number that all of theta moves."""
    assert design.y is not None
    mean = family.inverse_link(eta) * (1.0 if design.trials is None else design.trials)
    return np.asarray(np.sum(((design.y - mean) / _row_sd(design)) ** 2, axis=-1))

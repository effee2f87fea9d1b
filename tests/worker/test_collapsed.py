"""The collapsed density against dense linear algebra: the same numbers without any of its tricks."""

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import block_diag
from scipy.special import betaln

from model.centering import in_users_coordinates
from model.frame.design import FactorDesign
from model.priors import PriorStatement
from model.spec import FitPlan
from tests.worker.models import NORMAL, columns, plan
from worker import collapsed
from worker.batch import Drawn, padded, read, rows
from worker.padding import CollapsedProblem, collapsed_problem

LKJ = PriorStatement("lkj(1.5)", "cor")

MODELS: dict[str, Any] = {
    "slopes": lambda: plan("y ~ x + w + (1 + x | g)", (*NORMAL, LKJ)),
    "raw intercept": lambda: plan("y ~ x + w + (1 + x | g)", (*NORMAL, LKJ), center=False),
    "uncorrelated": lambda: plan("y ~ x + (1 + x || g)"),
    "intercepts": lambda: plan("y ~ 1 + (1 | g)", (NORMAL[0], *NORMAL[2:])),
    "two blocks": lambda: plan("y ~ x + (1 | g) + (0 + x + w | g)", (*NORMAL, LKJ)),
    "three slopes": lambda: plan("y ~ x + (1 + x + w | g)", (*NORMAL, LKJ)),
    "crossed": lambda: plan("y ~ x + (1 | g) + (1 | h)"),
    "crossed slopes": lambda: plan("y ~ x + (1 + x | h) + (1 + w || g)", (*NORMAL, LKJ)),
    "nested": lambda: plan("y ~ x + (1 | g/h)"),
    "three factors": lambda: plan("y ~ x + (1 | g) + (x | h) + (1 | g:h)", (*NORMAL, LKJ)),
    "pooled": lambda: plan("y ~ x + w", tuple(row for row in NORMAL if row.class_ != "sd")),
    "weights and offset": lambda: plan("y | weights(wt) ~ x + offset(off) + (1 | g)"),
    "known errors": lambda: plan(
        "y | se(err) ~ x + (1 | g)", tuple(r for r in NORMAL if r.class_ != "sigma")
    ),
    "no intercept": lambda: plan("y ~ 0 + x + (1 | g)", NORMAL[1:]),
    "bounded": lambda: plan("y ~ x + (1 | g)", (*NORMAL[:2], *_statements("uniform(0, 5)", "sd", "sigma"))),
    "kept": lambda: plan("y ~ x + w + (1 | g)", (*NORMAL, PriorStatement("laplace(0.2, 0.5)", "b", "x"))),
    "kept raw": lambda: plan(
        "y ~ x + w + (1 | g)", (*NORMAL, PriorStatement("laplace(0.2, 0.5)", "b", "x")), center=False
    ),
    "far slopes": lambda: plan("y ~ x + w + (1 + x | g)", (*NORMAL, LKJ), data=_far(40.0)),
    "three far slopes": lambda: plan("y ~ x + (1 + x + w | g)", (*NORMAL, LKJ), data=_far(25.0)),
    "far blocks": lambda: plan("y ~ x + (1 + x | g) + (0 + w | g)", (*NORMAL, LKJ), data=_far(40.0)),
    "crossed far slopes": lambda: plan("y ~ x + (1 + x | h) + (1 + w | g)", (*NORMAL, LKJ), data=_far(-30.0)),
    "bounded far slopes": lambda: plan(
        "y ~ x + (1 + x | g)",
        (*NORMAL[:2], *_statements("uniform(0, 500)", "sd", "sigma"), LKJ),
        data=_far(20.0),
    ),
    "constant": lambda: plan("y ~ x + w + (1 | g)", (*NORMAL, PriorStatement("constant(0.3)", "b", "x"))),
}


def _far(away: float) -> dict[str, Any]:
    """The same data with both covariates so much farther from zero."""
    data = columns()
    return {**data, "x": data["x"] + away, "w": data["w"] - 3 * away}


def _statements(prior: str, *classes: str) -> tuple[PriorStatement, ...]:
    return tuple(PriorStatement(prior, name) for name in classes)


@cache
def built(name: str) -> tuple[FitPlan, CollapsedProblem, Callable[..., Any]]:
    made = MODELS[name]()
    problem = collapsed_problem(made, made.design())
    return made, problem, collapsed.executable(problem.shape, problem.data)


def points(problem: CollapsedProblem, count: int = 5) -> np.ndarray[Any, Any]:
    """Hyperparameters around the start, inside their walls."""
    rng = np.random.default_rng(3)
    theta = problem.start + rng.normal(0, 0.3, (count, problem.shape.dimension))
    return np.asarray(np.clip(theta, problem.lower + 0.05, problem.upper - 0.05)[:, problem.active])


def evaluate(name: str, theta: np.ndarray[Any, Any], noise: np.ndarray[Any, Any] | None = None) -> Any:
    _, problem, executable = built(name)
    batch = np.zeros((problem.shape.carried, problem.shape.batch))
    if noise is not None:
        batch[problem.carried, : len(noise)] = noise.T
    density, drawn = executable(
        padded(problem, theta, problem.shape.batch), batch, np.array(len(theta)), problem.data
    )
    own = read(problem, np.asarray(drawn)[rows(problem), : len(theta)])
    return np.asarray(density)[: len(theta)], own


def values(name: str, theta: np.ndarray[Any, Any]) -> tuple[Any, list[Any]]:
    """Scalars and roots of correlations, in the user's coordinates."""
    made, problem, _ = built(name)
    _, drawn = evaluate(name, theta)
    sizes = [factor.coefficients for factor in problem.shape.factors]
    scalars, roots, start = drawn.scalars.copy(), [], 0
    for number, (k, factor) in enumerate(zip(sizes, problem.factors, strict=True)):
        to_user = _ordered_map(problem, made, factor)
        own = slice(start, start + k)
        scalars[own], root = in_users_coordinates(
            scalars[own], drawn.root(number, list(range(k))), to_user / np.diagonal(to_user)
        )
        roots.append(np.moveaxis(root, -1, 0))
        start += k
    return scalars.T, roots


def at_point(roots: list[Any], t: int) -> list[Any]:
    return [root[t] for root in roots]


class Dense:
    """The same model with every matrix written out, for one vector of hyperparameters."""

    def __init__(self, made: FitPlan, problem: CollapsedProblem, scalars: Any, roots: Any) -> None:
        design = made.design()
        assert design.y is not None
        k, kept_at = problem.shape.sds, problem.shape.sds + 1 + problem.shape.mixed
        self.sigma = scalars[k]
        self.x, self.y = design.x.copy(), design.y - design.offset
        if made.center and design.intercept:
            self.x[:, 1:] -= design.x[:, 1:].mean(axis=0)
        self.integrated = list(problem.integrated)
        self.kept = [i for i in range(self.x.shape[1]) if i not in self.integrated]
        for number, column in enumerate(self.kept):
            self.y = self.y - self.x[:, column] * scalars[kept_at + number]
        self.names = design.coefficients
        self.intercept = design.intercept
        self.weight = np.ones(len(self.y)) if design.weights is None else design.weights
        error = np.full(len(self.y), self.sigma) if design.standard_error is None else design.standard_error
        residual = np.diag(error**2 / self.weight)
        pieces, phis, start = [np.zeros((len(self.y), 0))], [], 0
        for factor, root in zip(problem.factors, roots, strict=True):
            order = [i for block in factor.blocks for i in block]
            sd = scalars[start : start + len(order)]
            start += len(order)
            z = np.zeros((len(self.y), len(factor.levels), len(order)))
            z[np.arange(len(self.y)), factor.index] = factor.z[:, order]
            pieces.append(z.reshape(len(self.y), -1))
            phis.append(np.kron(np.eye(len(factor.levels)), (root @ root.T) * np.outer(sd, sd)))
        self.z = np.concatenate(pieces, axis=1)
        self.phi = block_diag(*phis) if phis else np.zeros((0, 0))
        self.group = self.z @ self.phi @ self.z.T
        prior = [self._prior(made, i) for i in self.integrated]
        self.location = np.array([p[0] for p in prior])
        self.scale = np.array([p[1] for p in prior])
        self.chosen = self.x[:, self.integrated]
        self.covariance = self.group + residual
        self.residual = residual
        sizes = [(len(f.levels), len(f.coefficients)) for f in problem.factors]
        self.first = sizes[0][0] * sizes[0][1] if sizes else 0
        by_coefficient, start = [], 0
        for levels, k in sizes[1:]:
            by_coefficient += [start + level * k + i for i in range(k) for level in range(levels)]
            start += levels * k
        self.by_coefficient = by_coefficient
        # A weight multiplies a row's log density; the dense normal has it in the variance, and owes the constant.
        self.constant = float(np.sum(-0.5 * np.log(self.weight) - (self.weight - 1) * np.log(error)))
        self.constant -= 0.5 * float(np.sum(self.weight - 1)) * math.log(2 * math.pi)

    def _prior(self, made: FitPlan, column: int) -> tuple[float, float]:
        name = self.names[column]
        row = made.prior("Intercept") if self.intercept and column == 0 else made.prior("b", name)
        return row.distribution.arguments[0], row.distribution.arguments[1]

    def log_marginal(self) -> float:
        """Log density of y, all coefficients and effects integrated out."""
        covariance = self.covariance + (self.chosen * self.scale**2) @ self.chosen.T
        mean = self.chosen @ self.location
        return float(stats.multivariate_normal.logpdf(self.y, mean, covariance)) + self.constant

    def coefficients(self) -> tuple[Any, Any]:
        """Conditional mean and covariance of the integrated coefficients, as the prior has them, and of the deviations
        of all factors but the first, each coefficient's levels together.
        """
        first = self.first
        columns = np.concatenate([self.chosen, self.z[:, first:][:, self.by_coefficient]], axis=1)
        prior = block_diag(
            np.diag(self.scale**2), self.phi[first:, first:][np.ix_(self.by_coefficient, self.by_coefficient)]
        )
        location = np.concatenate([self.location, np.zeros(len(self.by_coefficient))])
        only_first = self.z[:, :first] @ self.phi[:first, :first] @ self.z[:, :first].T
        weighted = np.linalg.solve(only_first + self.residual, columns)
        precision = columns.T @ weighted + np.linalg.inv(prior)
        r = weighted.T @ self.y + np.linalg.solve(prior, location)
        return np.linalg.solve(precision, r), np.linalg.inv(precision)


def log_prior(name: str, theta: np.ndarray[Any, Any]) -> Any:
    """Log prior density of theta: scipy's densities of the values, and slopes by finite differences."""
    made, problem, _ = built(name)
    scalars, roots = values(name, theta)
    shape = problem.shape
    rows = [made.prior("sd", f.coefficients[i], f.name) for f in problem.factors for b in f.blocks for i in b]
    columns = list(range(shape.sds))
    if "sigma" in {row.class_ for row in made.priors}:
        rows, columns = [*rows, made.prior("sigma")], [*columns, shape.sds]
    kept = [i for i in range(len(made.encoding.coefficients)) if i not in problem.integrated]
    for number, column in enumerate(kept):
        row = made.prior("b", made.encoding.coefficients[column])
        if str(row.distribution) != "constant(0.3)":
            rows, columns = [*rows, row], [*columns, shape.sds + 1 + shape.mixed + number]
    total = np.zeros(len(theta))
    for row, column in zip(rows, columns, strict=True):
        bounds = row.bounds
        total += row.distribution.log_density(scalars[:, column]) - row.distribution.log_mass(*bounds)
    for number, start, size in _blocks(problem):
        if size > 1:
            root = roots[number][:, start : start + size, start : start + size]
            total += 0.5 * np.linalg.slogdet(root @ np.swapaxes(root, -1, -2))[1] - _lkj_constant(1.5, size)
    return total + _log_slopes(name, theta, columns)


def _blocks(problem: CollapsedProblem) -> Iterator[tuple[int, int, int]]:
    """Of every block of correlated coefficients: its factor's number, where it starts, its size."""
    for number, factor in enumerate(problem.shape.factors):
        start = 0
        for size in factor.blocks:
            yield number, start, size
            start += size


def _lkj_constant(shape: float, size: int) -> float:
    """Joe's (2006) constant: a product over the order of the partial correlation."""
    total = 0.0
    for order in range(1, size):
        a = shape + (size - 1 - order) / 2
        total += (size - order) * ((2 * a - 1) * math.log(2) + betaln(a, a))
    return total


def _log_slopes(name: str, theta: np.ndarray[Any, Any], columns: list[int]) -> Any:
    """Log |d values / d theta| by central differences, over the scalars and the lower triangles of the correlations."""
    _, problem, _ = built(name)
    h = 1e-6
    result = np.zeros(len(theta))

    def free(at: np.ndarray[Any, Any]) -> Any:
        scalars, roots = values(name, at)
        pieces = [scalars[:, columns]]
        for number, start, size in _blocks(problem):
            correlation = roots[number] @ np.swapaxes(roots[number], -1, -2)
            pieces += [correlation[:, start + i, start + j][:, None] for i in range(size) for j in range(i)]
        return np.concatenate(pieces, axis=1)

    for t, at in enumerate(theta):
        shifts = np.eye(len(at)) * h
        slopes = (free(at + shifts) - free(at - shifts)) / (2 * h)
        result[t] = np.linalg.slogdet(slopes)[1]
    return result


@pytest.mark.parametrize("name", MODELS)
def test_the_density_is_the_marginal_likelihood_times_the_prior(name: str) -> None:
    made, problem, _ = built(name)
    theta = points(problem)
    density, _ = evaluate(name, theta)
    scalars, roots = values(name, theta)
    dense = [Dense(made, problem, scalars[t], at_point(roots, t)).log_marginal() for t in range(len(theta))]
    expected = np.array(dense) + log_prior(name, theta)
    np.testing.assert_allclose(density + problem.log_evidence_offset, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_coefficients_are_drawn_from_their_conditional_distribution(name: str) -> None:
    made, problem, _ = built(name)
    theta = points(problem, 1)
    size = len(problem.carried)
    noise = np.vstack([np.zeros(size), np.eye(size)])
    _, drawn = evaluate(name, np.repeat(theta, size + 1, axis=0), noise)
    scalars, roots = values(name, theta)
    design = made.design()
    one_chain = Drawn(*(part[:, None] for part in drawn[:3]), triangles=[])
    raw = collapsed._population(problem, one_chain, design)[0]
    if made.center and design.intercept:
        raw[:, 0] += raw[:, 1:] @ design.x[:, 1:].mean(axis=0)
    to_user = [np.kron(_ordered_map(problem, made, f), np.eye(len(f.levels))) for f in problem.factors[1:]]
    others = drawn.dense.T @ (problem.coordinates.scale * block_diag(*to_user)[: len(drawn.dense)]).T
    chosen = np.concatenate([raw[:, list(problem.integrated)], others], axis=1)
    mean, covariance = Dense(made, problem, scalars[0], at_point(roots, 0)).coefficients()
    np.testing.assert_allclose(chosen[0], mean, rtol=1e-7, atol=1e-8)
    spread = (chosen[1:] - chosen[0]).T
    np.testing.assert_allclose(spread @ spread.T, covariance, rtol=1e-6, atol=1e-9)


def _z_map(problem: CollapsedProblem, made: FitPlan, name: str) -> Any:
    return problem.coordinates.z_maps[[f.name for f in made.encoding.factors].index(name)]


def _ordered_map(problem: CollapsedProblem, made: FitPlan, factor: FactorDesign) -> Any:
    """From internal deviations to the user's, both in the program's order."""
    order = [i for block in factor.blocks for i in block]
    return _z_map(problem, made, factor.name)[np.ix_(order, order)]


def test_the_log_evidence_of_a_known_model() -> None:
    """With every hyperparameter fixed but one, the evidence is a one-dimensional integral."""
    fixed = _statements("constant(0.8)", "sigma")
    made = plan("y ~ x + (1 | g)", (*NORMAL[:3], *fixed))
    problem = collapsed_problem(made, made.design())
    executable = collapsed.executable(problem.shape, problem.data)

    class Silent:
        def report(self, *_: Any, **__: Any) -> None: ...
        def cancelled(self) -> bool:
            return False

    chains = collapsed.sample(problem, executable, made, Silent())
    posterior = collapsed.posterior(
        problem, chains.drawn, made, made.design(), collapsed.statistics(problem, chains)
    )

    def likelihood(sd: float) -> float:
        dense = Dense(made, problem, np.array([sd, 0.8]), [np.eye(1)])
        return math.exp(dense.log_marginal() + 90) * 2 * stats.norm.pdf(sd, 0, 2)

    grid = np.linspace(1e-4, 12, 1501)
    integral = np.trapezoid([likelihood(sd) for sd in grid], grid)
    assert posterior.statistics["log_marginal_likelihood"] == pytest.approx(math.log(integral) - 90, abs=0.02)

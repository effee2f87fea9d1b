"""The collapsed density against dense linear algebra: the same numbers without any of its tricks."""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln

from model.priors import PriorStatement
from model.spec import FitPlan
from tests.worker.models import NORMAL, plan
from worker import collapsed
from worker.padding import CollapsedProblem, collapsed_problem
from worker.programs import collapsed as program

LKJ = PriorStatement("lkj(1.5)", "cor")

MODELS: dict[str, Any] = {
    "slopes": lambda: plan("y ~ x + w + (1 + x | g)", (*NORMAL, LKJ)),
    "raw intercept": lambda: plan("y ~ x + w + (1 + x | g)", (*NORMAL, LKJ), center=False),
    "uncorrelated": lambda: plan("y ~ x + (1 + x || g)"),
    "intercepts": lambda: plan("y ~ 1 + (1 | g)", (NORMAL[0], *NORMAL[2:])),
    "two blocks": lambda: plan("y ~ x + (1 | g) + (0 + x + w | g)", (*NORMAL, LKJ)),
    "three slopes": lambda: plan("y ~ x + (1 + x + w | g)", (*NORMAL, LKJ)),
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
    "constant": lambda: plan("y ~ x + w + (1 | g)", (*NORMAL, PriorStatement("constant(0.3)", "b", "x"))),
}


def _statements(prior: str, *classes: str) -> tuple[PriorStatement, ...]:
    return tuple(PriorStatement(prior, name) for name in classes)


@cache
def built(name: str) -> tuple[FitPlan, CollapsedProblem, collapsed.CollapsedPrograms]:
    made = MODELS[name]()
    problem = collapsed_problem(made, made.design())
    return made, problem, collapsed.programs(problem.shape, problem.data)


def points(problem: CollapsedProblem, count: int = 5) -> np.ndarray[Any, Any]:
    """Hyperparameters around the start, inside their walls."""
    rng = np.random.default_rng(3)
    theta = problem.start + rng.normal(0, 0.3, (count, problem.shape.dimension))
    return np.asarray(np.clip(theta, problem.lower + 0.05, problem.upper - 0.05)[:, problem.active])


def evaluate(name: str, theta: np.ndarray[Any, Any], noise: np.ndarray[Any, Any] | None = None) -> Any:
    _, problem, programs = built(name)
    batch = np.zeros((program.BATCH, problem.shape.columns))
    if noise is not None:
        batch[: len(noise), : noise.shape[1]] = noise
    full = collapsed._batch(problem, theta)
    density, coefficients = programs.evaluate(full, batch, np.array(len(theta)), problem.data)
    return np.asarray(density)[: len(theta)], np.asarray(coefficients)[: len(theta)]


def values(name: str, theta: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    _, problem, programs = built(name)
    scalars, root = programs.parameters(collapsed._batch(problem, theta), problem.data)
    return np.asarray(scalars)[: len(theta)], np.asarray(root)[: len(theta)]


class Dense:
    """The same model with every matrix written out, for one vector of hyperparameters."""

    def __init__(self, made: FitPlan, problem: CollapsedProblem, scalars: Any, root: Any) -> None:
        design = made.design()
        assert design.y is not None
        k, kept_at = problem.shape.coefficients, problem.shape.coefficients + 1 + problem.shape.mixed
        self.sd, self.sigma = scalars[:k], scalars[k]
        self.correlation = root @ root.T
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
        self.z = np.zeros((len(self.y), 0))
        self.phi = np.zeros((0, 0))
        if design.factors:
            factor = design.factors[0]
            order = [i for block in factor.blocks for i in block]
            phi = self.correlation * np.outer(self.sd, self.sd)
            self.z = np.zeros((len(self.y), k * len(factor.levels)))
            for row, level in enumerate(factor.index):
                self.z[row, level * k : (level + 1) * k] = factor.z[row, order]
            self.phi = np.kron(np.eye(len(factor.levels)), phi)
        self.group = self.z @ self.phi @ self.z.T
        prior = [self._prior(made, i) for i in self.integrated]
        self.location = np.array([p[0] for p in prior])
        self.scale = np.array([p[1] for p in prior])
        self.chosen = self.x[:, self.integrated]
        self.covariance = self.group + residual
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
        """Conditional mean and covariance of the integrated coefficients, as the prior has them."""
        weighted = np.linalg.solve(self.covariance, self.chosen)
        precision = self.chosen.T @ weighted + np.diag(self.scale**-2)
        r = weighted.T @ self.y + self.location / self.scale**2
        return np.linalg.solve(precision, r), np.linalg.inv(precision)


def log_prior(name: str, theta: np.ndarray[Any, Any]) -> Any:
    """Log prior density of theta: scipy's densities of the values, and slopes by finite differences."""
    made, problem, _ = built(name)
    scalars, root = values(name, theta)
    shape = problem.shape
    rows = [
        made.prior("sd", f.coefficients[i], f.name)
        for f in made.design().factors
        for b in f.blocks
        for i in b
    ]
    columns = list(range(shape.coefficients))
    if "sigma" in {row.class_ for row in made.priors}:
        rows, columns = [*rows, made.prior("sigma")], [*columns, shape.coefficients]
    kept = [i for i in range(len(made.encoding.coefficients)) if i not in problem.integrated]
    for number, column in enumerate(kept):
        row = made.prior("b", made.encoding.coefficients[column])
        if str(row.distribution) != "constant(0.3)":
            rows, columns = [*rows, row], [*columns, shape.coefficients + 1 + shape.mixed + number]
    total = np.zeros(len(theta))
    for row, column in zip(rows, columns, strict=True):
        bounds = row.bounds
        total += row.distribution.log_density(scalars[:, column]) - row.distribution.log_mass(*bounds)
    if shape.correlations:
        for t in range(len(theta)):
            correlation = root[t] @ root[t].T
            start = 0
            for size in shape.blocks:
                block = correlation[start : start + size, start : start + size]
                total[t] += 0.5 * np.linalg.slogdet(block)[1] - _lkj_constant(1.5, size)
                start += size
    return total + _log_slopes(name, theta, columns)


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
        scalars, root = values(name, at)
        correlation = root @ np.swapaxes(root, -1, -2)
        pieces = [scalars[:, columns]]
        start = 0
        for size in problem.shape.blocks:
            pieces += [correlation[:, start + i, start + j][:, None] for i in range(size) for j in range(i)]
            start += size
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
    scalars, root = values(name, theta)
    dense = [Dense(made, problem, scalars[t], root[t]).log_marginal() for t in range(len(theta))]
    expected = np.array(dense) + log_prior(name, theta)
    np.testing.assert_allclose(density + problem.log_evidence_offset, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_coefficients_are_drawn_from_their_conditional_distribution(name: str) -> None:
    made, problem, _ = built(name)
    theta = points(problem, 1)
    p = len(problem.integrated)
    noise = np.vstack([np.zeros(p), np.eye(p)])
    _, drawn = evaluate(name, np.repeat(theta, p + 1, axis=0), noise)
    scalars, root = values(name, theta)
    kept = scalars[:, problem.shape.coefficients + 1 + problem.shape.mixed :]
    inside = np.stack([drawn[:, :p]])
    design = made.design()
    raw = collapsed._population(problem, inside, np.repeat(kept[None], p + 1, axis=1), design)[0]
    if made.center and design.intercept:
        raw[:, 0] += raw[:, 1:] @ design.x[:, 1:].mean(axis=0)
    chosen = raw[:, list(problem.integrated)]
    mean, covariance = Dense(made, problem, scalars[0], root[0]).coefficients()
    np.testing.assert_allclose(chosen[0], mean, rtol=1e-8, atol=1e-8)
    spread = (chosen[1:] - chosen[0]).T
    np.testing.assert_allclose(spread @ spread.T, covariance, rtol=1e-7, atol=1e-10)


def test_the_log_evidence_of_a_known_model() -> None:
    """With every hyperparameter fixed but one, the evidence is a one-dimensional integral."""
    fixed = _statements("constant(0.8)", "sigma")
    made = plan("y ~ x + (1 | g)", (*NORMAL[:3], *fixed))
    problem = collapsed_problem(made, made.design())
    programs = collapsed.programs(problem.shape, problem.data)

    class Silent:
        def report(self, *_: Any, **__: Any) -> None: ...
        def cancelled(self) -> bool:
            return False

    chains = collapsed.sample(problem, programs, made, Silent())
    posterior = collapsed.posterior(problem, programs, chains, made, made.design())

    def likelihood(sd: float) -> float:
        dense = Dense(made, problem, np.array([sd, 0.8]), np.eye(1))
        return math.exp(dense.log_marginal() + 90) * 2 * stats.norm.pdf(sd, 0, 2)

    grid = np.linspace(1e-4, 12, 1501)
    integral = np.trapezoid([likelihood(sd) for sd in grid], grid)
    assert posterior.statistics["log_marginal_likelihood"] == pytest.approx(math.log(integral) - 90, abs=0.02)

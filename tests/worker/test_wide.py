"""Elimination on the host, its surrogate and its draws: against dense algebra, and against the compiled program."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from model.priors import PriorStatement
from tests.worker.models import NORMAL, columns, plan
from tests.worker.silent import Silent
from tests.worker.test_collapsed import Dense
from worker import padding, wide
from worker.fitting import fit
from worker.padding import collapsed_problem
from worker.samplers.surrogate import fit_surrogate

LKJ = PriorStatement("lkj(1.5)", "cor")
MODELS = {
    "crossed": ("y ~ x + (1 | g) + (1 | h)", NORMAL),
    "slopes": ("y ~ x + w + (1 + x | g) + (1 + w | h)", (*NORMAL, LKJ)),
    "three": ("y ~ x + (1 + x | g) + (1 | h) + (1 | g:h)", (*NORMAL, LKJ)),
    "kept": ("y ~ x + w + (1 | g) + (1 | h)", (*NORMAL, PriorStatement("laplace(0.2, 0.5)", "b", "x"))),
}


@pytest.fixture
def on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padding, "MAX_PROGRAM_WIDTH", 0)


def some_points(problem: Any, count: int = 4) -> Any:
    rng = np.random.default_rng(3)
    theta = problem.start + rng.normal(0, 0.3, (count, problem.shape.dimension))
    return np.clip(theta, problem.lower + 0.05, problem.upper - 0.05)[:, problem.active]


@pytest.mark.usefixtures("on_the_host")
@pytest.mark.parametrize("name", MODELS)
def test_exact_elimination_gives_the_marginal_likelihood(name: str) -> None:
    made = plan(MODELS[name][0], MODELS[name][1])
    problem = collapsed_problem(made, made.design())
    assert problem.wide
    hosted = wide._Wide(problem, made, Silent())
    points = some_points(problem)
    scalars, roots = hosted.values(points)
    density, _ = hosted.density(
        points, np.zeros((len(points), len(problem.carried))), hosted.eliminate(hosted.coordinates(points))
    )
    # The prior of theta is the program's own, tested beside it: here the differences of the likelihoods matter.
    prior = _log_prior(name, points)
    dense = [
        Dense(made, problem, scalars[t], [root[t] for root in roots]).log_marginal()
        for t in range(len(points))
    ]
    np.testing.assert_allclose(density - prior, np.array(dense) - problem.log_evidence_offset, atol=2e-6)


def _log_prior(name: str, points: Any) -> Any:
    """Log prior density of theta, as the compiled program of the same model has it where nothing was observed."""
    from worker.programs.collapsed import _read

    made = plan(MODELS[name][0], MODELS[name][1])
    problem = collapsed_problem(made, made.design())
    theta = np.tile(problem.start, (len(points), 1))
    theta[:, problem.active] = points
    return np.asarray(_read(problem.shape, jnp.asarray(theta.T), problem.data).log_prior)


@pytest.mark.usefixtures("on_the_host")
@pytest.mark.parametrize("name", MODELS)
def test_deviations_are_drawn_from_their_conditional_distribution(name: str) -> None:
    made = plan(MODELS[name][0], MODELS[name][1])
    problem = collapsed_problem(made, made.design())
    hosted = wide._Wide(problem, made, Silent())
    crossed = hosted.crossed
    points = some_points(problem, 2)
    size, sigma, columns = crossed.width, 0.7, len(problem.places)
    repeated = np.repeat(points, size + 1, axis=0)
    rng = np.random.default_rng(1)
    known = np.repeat(np.column_stack([rng.normal(size=(2, columns - 1)), np.ones(2)]), size + 1, axis=0)
    noise = np.tile(np.vstack([np.zeros(size), np.eye(size)]), (2, 1))
    drawn = crossed.draw(hosted.relative_roots(repeated), known, np.full(len(repeated), sigma), noise)
    for t in range(2):
        own = drawn[t * (size + 1) : (t + 1) * (size + 1)]
        precision, score = _dense_block(
            problem, [root[t] for root in hosted.relative_roots(points)], known[t * (size + 1)]
        )
        np.testing.assert_allclose(own[0], np.linalg.solve(precision, score), rtol=1e-5, atol=1e-6)
        spread = (own[1:] - own[0]).T
        np.testing.assert_allclose(
            spread @ spread.T, sigma**2 * np.linalg.inv(precision), rtol=1e-4, atol=1e-6
        )


def _dense_block(problem: Any, roots: Any, known: Any) -> tuple[Any, Any]:
    """Precision and score of the other factors' deviations, in units of sigma^2, from all rows' sums."""
    crossed, columns = problem.crossed(), len(problem.places)
    k, levels = crossed._a.shape[0], crossed._a.shape[-1]
    precision, score = crossed._dense.copy(), crossed._down @ known
    for level in range(levels):
        a = crossed._a[:, :, level]
        inner = roots[0] @ np.linalg.inv(np.eye(k) + roots[0].T @ a @ roots[0]) @ roots[0].T
        b = np.stack([cells.toarray()[:, level] for cells in crossed._cells])
        precision -= b.T @ inner @ b
        score -= b.T @ inner @ crossed._head[:, level, :columns] @ known
    start = 0
    for root, count in zip(roots[1:], crossed._levels, strict=True):
        block = np.kron(np.linalg.inv(root @ root.T), np.eye(count))
        precision[start : start + len(block), start : start + len(block)] += block
        start += len(block)
    return precision, score


def test_the_host_and_the_program_give_the_same_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    data = columns(rows=300, levels=20)
    h = np.arange(300) // 5 % 15
    data |= {"h": h, "y": data["y"] + np.random.default_rng(5).normal(0, 1, 15)[h]}

    def posterior() -> Any:
        made = plan("y ~ x + (1 | g) + (1 | h)", NORMAL, data=data, sampler={"draws": 1000, "chains": 4})
        result = fit(made, Silent())
        assert result.method == "collapsed", result.method_reason
        return result.posterior

    compiled = posterior()
    monkeypatch.setattr(padding, "MAX_PROGRAM_WIDTH", 0)
    hosted = posterior()
    assert hosted.statistics["surrogate_error"] <= 0.05
    for a, b in [
        (compiled.population, hosted.population),
        (compiled.factors["g"].sd, hosted.factors["g"].sd),
        (compiled.factors["h"].sd, hosted.factors["h"].sd),
        (compiled.deviations("h", range(15))[..., 0], hosted.deviations("h", range(15))[..., 0]),
        (compiled.deviations("g", range(20))[..., 0], hosted.deviations("g", range(20))[..., 0]),
    ]:
        sd = a.std(axis=(0, 1))
        np.testing.assert_array_less(np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))), 0.12 * sd)
        np.testing.assert_allclose(b.std(axis=(0, 1)), sd, rtol=0.12)


def test_a_surrogate_is_exact_for_polynomials_and_close_for_smooth_functions() -> None:
    center, half_width = np.array([1.0, -2.0]), np.array([0.5, 2.0])

    def function(points: Any) -> Any:
        x, y = points.T
        return np.column_stack([x**3 * y - y**2, np.exp(x + 0.3 * y)])

    surrogate = fit_surrogate(function, center, half_width, 6)
    points = center + half_width * np.random.default_rng(0).uniform(-1, 1, (200, 2))
    np.testing.assert_allclose(surrogate(points)[:, 0], function(points)[:, 0], atol=1e-10)
    np.testing.assert_allclose(surrogate(points)[:, 1], function(points)[:, 1], rtol=1e-4)
    assert surrogate.excess(np.array([[1.0, 2.0]]))[0] == pytest.approx(1.0)
    assert surrogate.excess(points).max() == 0.0

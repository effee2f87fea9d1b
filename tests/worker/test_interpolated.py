"""Exact eliminations, on the host and compiled, their surrogate, and the draws made with it.

Against dense algebra, and against the program that evaluates all of the density.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from model.errors import InvalidModel
from model.priors import PriorStatement
from tests.worker.models import NORMAL, columns, plan
from tests.worker.silent import Silent
from tests.worker.test_collapsed import Dense
from worker import collapsed, interpolated, padding
from worker.batch import batches
from worker.compiled import COMPILED
from worker.eliminations import Eliminations
from worker.fitting import fit
from worker.padding import collapsed_problem
from worker.samplers.surrogate import Surrogate, fit_surrogate
from worker.shape import bucket, level_bucket

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
    hosted = Eliminations(problem, Silent(), problem.crossed())
    points = some_points(problem)
    scalars, roots = hosted.values(points)
    density = hosted.log_density(points)
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
    hosted = Eliminations(problem, Silent(), problem.crossed())
    crossed = problem.crossed()
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


def crossed_columns() -> dict[str, Any]:
    data = columns(rows=300, levels=20)
    h = np.arange(300) // 5 % 15
    return data | {"h": h, "y": data["y"] + np.random.default_rng(5).normal(0, 1, 15)[h]}


def test_the_host_and_the_program_give_the_same_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    data, sampler = crossed_columns(), {"draws": 1000, "chains": 4}

    def posterior() -> Any:
        made = plan("y ~ x + (1 | g) + (1 | h)", NORMAL, data=data, sampler=sampler)
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


ALONE = {
    "intercepts": ("y ~ x + (1 | g)", NORMAL),
    "slopes": ("y ~ x + w + (1 + x | g)", (*NORMAL, LKJ)),
    "uncorrelated": ("y ~ x + (1 + x || g)", (PriorStatement("student_t(4, 1, 2)", "Intercept"),)),
    "weighted": ("y | weights(wt) ~ x + w + (1 + x + w | g)", (*NORMAL, LKJ)),
    "kept": ("y ~ x + w + (1 | g)", (*NORMAL, PriorStatement("laplace(0.2, 0.5)", "b", "x"))),
}


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A surrogate for one factor, however few its levels."""
    monkeypatch.setattr(interpolated, "_DEAR", 0)
    monkeypatch.setattr(interpolated, "_DEAR_PER_TERM", 0)


def densities(problem: Any, points: Any) -> Any:
    """The log density that the program for all of it gives."""
    evaluate, values = collapsed.executable(problem.shape, problem.data), np.empty(len(points))
    for batch, part in batches(problem, points, problem.shape.batch):
        noise, count = np.zeros((problem.shape.carried, batch.shape[1])), part.stop - part.start
        values[part] = np.asarray(evaluate(batch, noise, np.array(count), problem.data)[0])[:count]
    return values


@pytest.mark.parametrize("name", ALONE)
def test_a_factor_eliminated_by_itself_gives_the_same_density(name: str) -> None:
    made = plan(*ALONE[name])
    problem = collapsed_problem(made, made.design())
    points = some_points(problem, 40)
    exact = Eliminations(problem, Silent())
    np.testing.assert_allclose(exact.log_density(points), densities(problem, points), rtol=1e-10, atol=1e-7)
    assert exact.count == 40


def test_where_nothing_can_be_eliminated_there_is_no_number() -> None:
    made = plan(*ALONE["slopes"])
    problem = collapsed_problem(made, made.design())
    exact = Eliminations(problem, Silent())
    coordinates = exact.coordinates(some_points(problem, 3))
    coordinates[1, 0] = np.nan
    left = exact.eliminate(coordinates)
    assert np.isnan(left[1]).any()
    assert np.isfinite(left[[0, 2]]).all()


MANY = columns(rows=6000, levels=600)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("formula", ["y ~ x + (1 + x | g)", "y ~ x + (1 | g)"])
def test_draws_between_exact_values_are_of_the_exact_density(
    formula: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(formula, NORMAL, data=MANY)
    problem = collapsed_problem(made, made.design())
    fitted: list[Surrogate] = []

    def recorded(*arguments: Any) -> Surrogate:
        fitted.append(fit_surrogate(*arguments))
        return fitted[-1]

    monkeypatch.setattr(interpolated, "fit_surrogate", recorded)
    found = interpolated.sample(problem, made, Silent())
    assert found.error <= 1e-3
    assert found.eliminations < 800
    # Every draw, not only the dozen that the sampler looks at.
    points = found.chains.theta.reshape(-1, found.chains.theta.shape[-1])
    exact, noise = Eliminations(problem, Silent()), np.zeros((len(points), len(problem.carried)))
    between, _ = exact.density(points, noise, fitted[-1](exact.coordinates(points)))
    error = np.abs(between - densities(problem, points))
    assert error.max() < 2e-3


@pytest.mark.parametrize("formula", ["y ~ x + (1 + x | g)", "y ~ x + (1 | g)"])
def test_with_and_without_a_surrogate_the_posterior_is_the_same(
    formula: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fitted() -> Any:
        result = fit(plan(formula, NORMAL, data=MANY, sampler={"draws": 1000, "chains": 4}), Silent())
        assert result.method == "collapsed", result.method_reason
        return result.posterior

    exact = fitted()
    assert "surrogate_error" not in exact.statistics
    monkeypatch.setattr(interpolated, "_DEAR", 0)
    monkeypatch.setattr(interpolated, "_DEAR_PER_TERM", 0)
    close = fitted()
    assert close.statistics["surrogate_error"] <= 1e-3
    assert close.statistics["log_marginal_likelihood"] == pytest.approx(
        exact.statistics["log_marginal_likelihood"], abs=0.05
    )
    for a, b in [
        (exact.population, close.population),
        (exact.factors["g"].sd, close.factors["g"].sd),
        (exact.parameters["sigma"][..., None], close.parameters["sigma"][..., None]),
        (exact.deviations("g", range(20))[..., 0], close.deviations("g", range(20))[..., 0]),
    ]:
        sd = a.std(axis=(0, 1))
        np.testing.assert_array_less(np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))), 0.12 * sd)
        np.testing.assert_allclose(b.std(axis=(0, 1)), sd, rtol=0.12)


@pytest.mark.usefixtures("always")
def test_where_the_polynomial_is_not_close_enough_every_draw_is_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = plan("y ~ x + (1 | g)", NORMAL, data=MANY)
    monkeypatch.setattr(interpolated, "_MAX_ERROR_WHERE_CHEAP", 0.0)
    refused = fit(made, Silent()).posterior
    assert "surrogate_error" not in refused.statistics
    monkeypatch.setattr(interpolated, "_DEAR", 1 << 40)
    np.testing.assert_array_equal(refused.population, fit(made, Silent()).posterior.population)


def test_a_posterior_that_a_coarse_polynomial_misses_is_found_by_its_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(padding, "MAX_PROGRAM_WIDTH", 0)
    made = plan("y ~ x + (1 | g) + (1 | h)", NORMAL, data=crossed_columns())
    problem = collapsed_problem(made, made.design())
    coarse = interpolated.sample(problem, made, Silent())
    settle, calls = interpolated._Sampler._settle, []

    def fails_first(self: Any, box: Any) -> Any:
        calls.append(box)
        if len(calls) == 1:
            raise interpolated.SurrogateFailed
        return settle(self, box)

    monkeypatch.setattr(interpolated._Sampler, "_settle", fails_first)
    by_mode = interpolated.sample(problem, made, Silent())
    assert len(calls) == 2
    one, other = (found.chains.theta.reshape(-1, found.chains.theta.shape[-1]) for found in (coarse, by_mode))
    np.testing.assert_array_less(np.abs(one.mean(0) - other.mean(0)), 0.12 * one.std(0))


@pytest.mark.usefixtures("always")
def test_neither_the_order_of_rows_nor_padding_changes_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def fitted(data: dict[str, Any]) -> Any:
        found = fit(
            plan("y ~ x + (1 + x | g)", NORMAL, data=data, sampler={"draws": 200}), Silent()
        ).posterior
        assert "surrogate_error" in found.statistics
        return found

    first = fitted(MANY)
    order = np.random.default_rng(0).permutation(6000)
    shuffled = fitted({name: np.array(values)[order] for name, values in MANY.items()})
    monkeypatch.setattr(padding, "bucket", lambda size: bucket(2 * size + 1))
    monkeypatch.setattr(padding, "level_bucket", lambda levels: level_bucket(2 * levels + 40))
    for other in (shuffled, fitted(MANY)):
        np.testing.assert_allclose(other.population, first.population, rtol=1e-6)
        np.testing.assert_allclose(other.factors["g"].sd, first.factors["g"].sd, rtol=1e-6)
        assert other.statistics["eliminations"] == first.statistics["eliminations"]


@pytest.mark.usefixtures("always")
def test_the_second_fit_compiles_nothing() -> None:
    formula = "y ~ x + (1 + x | g)"
    fit(plan(formula, NORMAL, data=MANY), Silent())
    before = COMPILED.compilations
    other = fit(plan(formula, NORMAL, data=columns(rows=5500, levels=590, seed=8)), Silent())
    assert "surrogate_error" in other.posterior.statistics
    assert COMPILED.compilations == before


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("between", [0.0, 1.0])
def test_a_response_that_is_explained_exactly_is_an_error_here_too(between: float) -> None:
    data = MANY | {"y": 2 + 3 * MANY["x"] + between * (np.arange(6000) % 600)}
    with pytest.raises(InvalidModel) as error:
        fit(plan("y ~ x + (1 | g)", NORMAL, data=data), Silent())
    assert [issue.code for issue in error.value.issues] == ["perfect-fit"]


@pytest.mark.usefixtures("always")
def test_an_sd_of_zero_among_many_levels() -> None:
    data = MANY | {"y": np.random.default_rng(0).normal(size=6000)}
    result = fit(plan("y ~ x + (1 + x | g)", NORMAL, data=data, sampler={"draws": 1000}), Silent())
    assert result.method == "collapsed"
    assert result.summary["diagnostics"]["ess_bulk_min"] > 400
    assert "sd_near_boundary" in {notice.code for notice in result.warnings}


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

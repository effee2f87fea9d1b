"""NUTS on the hyperparameters: it tells what the independence sampler tells, and stands in where that one fails."""

import math
from functools import cache, partial
from typing import Any

import jax
import numpy as np
import pytest

from model.priors import PriorStatement
from model.results.posterior import Posterior
from model.results.summary import scalars
from model.spec import FitPlan
from tests.worker.models import NORMAL, plan
from tests.worker.silent import Silent
from worker import chains as walking
from worker import collapsed, collapsed_nuts, padding
from worker.compiled import COMPILED
from worker.fitting import fit
from worker.monitor import Cancelled, HandedBack, Saved
from worker.padding import collapsed_problem
from worker.programs import collapsed as program
from worker.programs.elimination import eliminate
from worker.shape import bucket, level_bucket

SAMPLER = {"draws": 500, "seed": 3}


def _no_signal(formula: str, *priors: PriorStatement) -> FitPlan:
    """A response that no level moves, so that the sd of the levels is at its wall."""
    rng = np.random.default_rng(8)
    data = {"y": rng.normal(1, 1, 60), "x": rng.normal(0, 1, 60), "g": [f"g{i % 6}" for i in range(60)]}
    return plan(formula, priors, data=data, sampler=SAMPLER)


MODELS: dict[str, Any] = {
    "slopes": lambda: plan("y ~ x + w + (1 + x | g)", sampler=SAMPLER),
    "student_t priors, sd at zero": lambda: _no_signal("y ~ 1 + (1 | g)"),
    "between two walls": lambda: _no_signal("y ~ 1 + (1 | g)", PriorStatement("uniform(0, 0.3)", "sd")),
    "crossed, one kept": lambda: plan(
        "y ~ x + (1 | g) + (1 | h)", (*NORMAL, PriorStatement("laplace(0.2, 0.5)", "b", "x")), sampler=SAMPLER
    ),
}


@cache
def both(name: str) -> tuple[Posterior, Posterior]:
    """The posterior by the independence sampler, and by NUTS as if that one had failed."""
    made = MODELS[name]()
    design = made.design()
    problem = collapsed_problem(made, design)
    evaluate = collapsed.executable(problem.shape, problem.data)
    first = collapsed.sample(problem, evaluate, made, Silent())
    assert first.trustworthy
    told = collapsed.statistics(problem, first)
    return (
        collapsed.posterior(problem, first.drawn, made, design, told),
        collapsed_nuts.fit(problem, first, evaluate, made, design, Silent()),
    )


@pytest.mark.parametrize("name", MODELS)
def test_it_agrees_with_the_independence_sampler(name: str) -> None:
    independent, walked = both(name)
    for parameter, draws in scalars(walked).items():
        other = scalars(independent)[parameter]
        error = np.sqrt(2.0 / 700) * other.std()
        assert abs(draws.mean() - other.mean()) < 4 * error, parameter
        assert draws.std() == pytest.approx(other.std(), rel=0.2), parameter
        assert abs(np.mean(draws < np.median(other)) - 0.5) < 0.1, parameter
    for factor in walked.factors:
        mean, other_mean = (p.deviations(factor, range(4)).mean(axis=(0, 1)) for p in (walked, independent))
        spread = independent.deviations(factor, range(4)).std(axis=(0, 1))
        assert np.all(np.abs(mean - other_mean) < 4 * np.sqrt(2.0 / 700) * spread)


def test_an_sd_stays_between_its_walls() -> None:
    sd = both("between two walls")[1].factors["g"].sd
    assert 0 < sd.min() < 0.02
    assert 0.28 < sd.max() < 0.3


def test_its_statistics_are_those_of_nuts_and_none_of_untrusted_weights() -> None:
    statistics = both("slopes")[1].statistics
    assert statistics["pareto_k"] is None
    assert statistics["log_marginal_likelihood"] is None
    assert statistics["warmup"] == 300
    assert statistics["divergences"] < 10
    assert statistics["leapfrog_steps"] > 2000


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_slope_of_the_elimination_is_that_of_its_values(k: int) -> None:
    rng = np.random.default_rng(k)
    pairs = [(i, j) for i in range(k) for j in range(i + 1)]
    z = rng.normal(size=(k, 4, 9))
    a, t = np.einsum("ilr,jlr->ijl", z, z)[..., None], rng.normal(size=(len(pairs), 1, 2))
    inner_weight, det_weight = rng.normal(size=(len(pairs), 4, 2)), rng.normal(size=(4, 2))

    def told(entries: Any) -> Any:
        root = [[entries[pairs.index((i, j))] for j in range(i + 1)] for i in range(k)]
        inner, log_det = eliminate(root, a)
        return (inner * inner_weight).sum() + (log_det * det_weight).sum()

    found = np.asarray(jax.grad(told)(t))
    for place in np.ndindex(t.shape):
        step = np.zeros_like(t)
        step[place] = 1e-6
        assert found[place] == pytest.approx(
            float(told(t + step) - told(t - step)) / 2e-6, rel=1e-5, abs=1e-5
        )


@pytest.mark.parametrize(
    "prior",
    [
        "normal(0, 2)",
        "student_t(3, 0, 2)",
        "cauchy(0, 1)",
        "laplace(0, 1)",
        "exponential(1)",
        "gamma(2, 1)",
        "inv_gamma(2, 1)",
        "lognormal(0, 1)",
        "uniform(0, 5)",
        "constant(0.7)",
    ],
)
def test_the_slope_of_the_density_is_that_of_its_values(prior: str) -> None:
    """Every transform and every prior is computed for each parameter and one is chosen: none may spoil its slope."""
    priors = (NORMAL[0], PriorStatement("cauchy(0, 1)", "b"), PriorStatement(prior, "sd"), NORMAL[3])
    made = plan("y ~ x + (1 | g)", priors)
    problem = collapsed_problem(made, made.design())
    rng = np.random.default_rng(3)
    theta = np.clip(
        problem.start + rng.normal(0, 0.3, len(problem.start)), problem.lower + 0.05, problem.upper - 0.05
    )
    theta = np.where(problem.active, theta, problem.start)
    density = COMPILED.get(
        (problem.shape, "tests/slope"),
        lambda at, data: jax.value_and_grad(partial(program.log_density, problem.shape))(at, data),
        theta,
        problem.data,
    )
    slope = np.asarray(density(theta, problem.data)[1])
    for i, step in enumerate(np.eye(len(theta)) * 1e-6):
        up, down = (float(density(theta + way, problem.data)[0]) for way in (step, -step))
        assert slope[i] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-5)


def in_conflict(**sampler: Any) -> FitPlan:
    """A strict prior of the intercept far from all data: its scale mixture has a mode that no proposal fits."""
    rng = np.random.default_rng(1)
    group = np.arange(48) % 16
    y = 8 + rng.standard_normal(16)[group] + rng.standard_normal(48)
    priors = (
        PriorStatement("student_t(3, 0, 0.05)", "Intercept"),
        PriorStatement("normal(0, 1)", "sd"),
        PriorStatement("exponential(0.7)", "sigma"),
    )
    data = {"y": y, "g": [f"g{i}" for i in group]}
    return plan("y ~ 1 + (1 | g)", priors, data=data, sampler={"draws": 500, **sampler})


def test_a_posterior_that_no_proposal_fits_is_walked_collapsed_and_equals_that_of_the_whole_model() -> None:
    result = fit(in_conflict(), Silent())
    assert result.method == "collapsed"
    assert result.method_reason.startswith("the collapsed sampler judged its draws unfit (Pareto k-hat ")
    assert result.method_reason.endswith(
        "NUTS walked the hyperparameters, coefficients and group-level effects still integrated out"
    )
    assert result.summary["diagnostics"]["r_hat_max"] < 1.03
    assert "high_pareto_k" not in {notice.code for notice in result.warnings}
    whole = fit(in_conflict(method="nuts"), Silent())
    for name, draws in scalars(whole.posterior).items():
        other = scalars(result.posterior)[name]
        assert abs(draws.mean() - other.mean()) < 4 * np.sqrt(2.0 / 300) * other.std(), name


def test_six_correlated_slopes_without_signal() -> None:
    """Twenty-eight hyperparameters, six of them at a wall: one of several thousand proposals is taken."""
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(5)]
    data = {name: rng.standard_normal(600) for name in names}
    data |= {"y": rng.standard_normal(600), "g": [f"g{i % 60}" for i in range(600)]}
    terms = " + ".join(names)
    result = fit(plan(f"y ~ {terms} + (1 + {terms} | g)", (), data=data, sampler=SAMPLER), Silent())
    diagnostics = result.summary["diagnostics"]
    assert result.method == "collapsed"
    assert "NUTS walked the hyperparameters" in result.method_reason
    assert diagnostics["r_hat_max"] < 1.02
    assert diagnostics["ess_bulk_min"] > 700
    assert diagnostics["divergences"] == 0
    assert {notice.code for notice in result.warnings} <= {"sd_near_boundary"}


def test_one_that_no_proposal_fits_lets_others_go_first() -> None:
    class Busy(Silent):
        def defers(self) -> bool:
            return True

    with pytest.raises(HandedBack):
        fit(in_conflict(), Busy())


class Recorder(Silent):
    """Keeps what a fit saves; asks it to stop once so many draws are made."""

    def __init__(self, stop_at: int, before: Saved | None = None) -> None:
        self.stop_at, self.before, self.kept, self.drawn, self.walks = stop_at, before, before, 0, 0

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        self.walks += phase == "warmup"
        self.drawn = draws if self.walks and phase == "sampling" else 0

    def cancelled(self) -> bool:
        return self.drawn >= self.stop_at

    def save(self, progress: Saved) -> None:
        self.kept = progress

    def saved(self) -> Saved | None:
        return self.before


def test_a_cancelled_walk_keeps_its_draws_and_a_resumed_one_goes_on_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walking, "_SAVING", 0.0)
    monkeypatch.setattr(walking, "_SAVING_SHARE", math.inf)
    whole = fit(in_conflict(), Silent()).posterior
    first = Recorder(stop_at=600)
    with pytest.raises(Cancelled) as stop:
        fit(in_conflict(), first)
    partial = stop.value.partial
    assert partial is not None
    drawn = partial.posterior.draws
    assert 150 <= drawn < 500
    np.testing.assert_array_equal(partial.posterior.population, whole.population[:, :drawn])
    second = Recorder(stop_at=10**9, before=first.kept)
    resumed = fit(in_conflict(), second).posterior
    assert second.walks == 0
    np.testing.assert_array_equal(resumed.population, whole.population)
    np.testing.assert_array_equal(resumed.deviations("g", range(16)), whole.deviations("g", range(16)))
    assert resumed.statistics == whole.statistics


def test_padding_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed whose chains meet no tie that a rounding error decides: of 48 chains one or two do."""
    first = fit(in_conflict(seed=2), Silent()).posterior
    monkeypatch.setattr(padding, "bucket", lambda size: bucket(2 * size + 1))
    monkeypatch.setattr(padding, "level_bucket", lambda levels: level_bucket(2 * levels + 40))
    padded = fit(in_conflict(seed=2), Silent()).posterior
    np.testing.assert_allclose(padded.population, first.population, rtol=1e-8)
    np.testing.assert_allclose(padded.factors["g"].sd, first.factors["g"].sd, rtol=1e-7, atol=1e-9)

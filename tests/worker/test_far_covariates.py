"""Slopes on covariates far from zero: the posterior is the user's, wherever the data lie, by every sampler."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.frame.table import Table
from model.priors import PriorStatement
from model.results.posterior import Posterior
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare
from tests.worker.quadrature import Marginal, integrate
from tests.worker.silent import Silent
from worker import collapsed, collapsed_nuts
from worker.fitting import FitResult, fit
from worker.padding import collapsed_problem
from worker.samplers.independence import Chains

FIELD = Path(__file__).parent.parent / "field" / "slope_of_a_year.json"
SCALE, LOCATION = 2.5, 10.0
"""Of brms's default priors of these data."""
DRAWS = 2000


@cache
def years() -> dict[str, Any]:
    """Eight years of twenty levels, 2010 to 2017."""
    data: dict[str, Any] = json.loads(FIELD.read_text())
    return data


def planned(away: float = 0.0, method: Any = "auto", formula: str = "y ~ yr + (1 + yr | g)") -> FitPlan:
    """The data with their years moved."""
    data = years() | {"yr": np.array(years()["yr"]) + away}
    sampler = SamplerSettings(method=method, draws=DRAWS, seed=3)
    return prepare(FitSpec(formula, Table.from_columns(data), sampler=sampler))


@cache
def exact(away: float, bound: float = 0.05) -> Marginal:
    data = {name: np.array(values) for name, values in years().items()}
    return integrate(data["y"], data["yr"] + away, data["g"], SCALE, (LOCATION, SCALE), bound)


def means(posterior: Posterior) -> tuple[float, float, float]:
    sd = posterior.factors["g"].sd
    return float(sd[:, :, 0].mean()), float(sd[:, :, 1].mean()), float(posterior.parameters["sigma"].mean())


def assert_right(posterior: Posterior, away: float) -> None:
    wanted, sd = exact(away), posterior.factors["g"].sd.std(axis=(0, 1))
    errors = 4 * np.array([*sd, posterior.parameters["sigma"].std()]) / np.sqrt(1000)
    differences = np.abs(np.array(means(posterior)) - np.array(wanted[:3]))
    assert np.all(differences < errors), (means(posterior), wanted)


def test_the_priors_are_the_defaults() -> None:
    made = planned()
    assert made.prior("Intercept").prior == f"student_t(3, {LOCATION:g}, {SCALE})"
    assert {row.prior for row in made.priors if row.class_ in ("sd", "sigma")} == {
        f"student_t(3, 0, {SCALE})"
    }


def test_two_modes_and_their_masses() -> None:
    """A search from one start found the one with a thousandth of the posterior, and nothing said so."""
    wanted = exact(0.0)
    assert wanted.log_mass_above - wanted.log_mass_below == pytest.approx(7.0, abs=0.3)
    result = fit(planned(), Silent())
    assert result.method == "collapsed"
    assert_right(result.posterior, 0.0)
    minor = np.mean(result.posterior.factors["g"].sd[:, :, 1] < 0.05)
    assert minor == pytest.approx(np.exp(wanted.log_mass_below - wanted.log_mass_above), abs=0.002)
    assert result.summary["diagnostics"]["minor_modes"] == pytest.approx(minor, abs=0.001)


@pytest.mark.parametrize("away", [-2013.5, -1990.0, -1900.0, 5_000.0, 1e6])
def test_wherever_the_data_lie(away: float) -> None:
    result = fit(planned(away), Silent())
    assert result.method == "collapsed"
    assert_right(result.posterior, away)
    assert max(e for e in (result.summary["diagnostics"]["r_hat_max"],)) < 1.02


@pytest.mark.parametrize("away", [-1990.0, 0.0])
def test_the_whole_model_by_nuts(away: float) -> None:
    result = fit(planned(away, "nuts"), Silent())
    assert result.method == "nuts"
    assert_right(result.posterior, away)


def test_the_hyperparameters_by_nuts() -> None:
    made = planned()
    design = made.design()
    problem = collapsed_problem(made, design)
    evaluate = collapsed.executable(problem.shape, problem.data)
    walked: Chains = collapsed.sample(problem, evaluate, made, Silent())
    assert_right(collapsed_nuts.fit(problem, walked, evaluate, made, design, Silent()), 0.0)


@pytest.mark.parametrize("method", ["collapsed", "nuts"])
def test_a_prior_with_an_end_is_kept_to(method: Any) -> None:
    """The intercepts' sd at year zero may be 100 at most, where slopes of an ordinary size would make it 850."""
    ended = (PriorStatement("uniform(0, 100)", "sd"), PriorStatement("uniform(0, 100)", "sigma"))
    made = prepare(
        FitSpec(
            "y ~ yr + (1 + yr | g)",
            Table.from_columns(years()),
            priors=ended,
            sampler=SamplerSettings(method=method, seed=3),
        )
    )
    assert "far_covariate" in {notice.code for notice in made.warnings}
    sd = fit(made, Silent()).posterior.factors["g"].sd
    assert sd[..., 0].max() < 100
    assert sd[..., 1].mean() < 0.05


def test_deviations_and_new_levels_follow() -> None:
    """Where deviations are put together again they are those of a model whose covariate was centered by hand, as far
    as the priors allow."""
    result = fit(planned(), Silent())
    posterior = result.posterior
    deviations = posterior.deviations("g", range(20))  # (chain, draw, level, coef)
    at_the_mean = deviations[..., 0] + 2013.5 * deviations[..., 1]
    own = fit(planned(-2013.5), Silent()).posterior.deviations("g", range(20))
    np.testing.assert_allclose(at_the_mean.mean(axis=(0, 1)), own[..., 0].mean(axis=(0, 1)), atol=0.1)
    np.testing.assert_allclose(at_the_mean.std(axis=(0, 1)), own[..., 0].std(axis=(0, 1)), rtol=0.15)
    of = posterior.factors["g"]
    new = posterior.new_levels["g"].draw(("new",), 1)
    spread = (new[0] + 2013.5 * new[1]).std()
    phi = of.covariance
    wanted = np.sqrt((phi[..., 0, 0] + 2 * 2013.5 * phi[..., 0, 1] + 2013.5**2 * phi[..., 1, 1]).mean())
    assert spread == pytest.approx(wanted, rel=0.1)


def test_many_levels_between_exact_eliminations() -> None:
    """Where the data say all, coordinates do not matter: the same slopes, near zero and far from it."""
    source = np.random.default_rng(8)
    level = np.concatenate([np.arange(5000), source.integers(0, 5000, 15_000)])
    x = source.normal(0.0, 1.0, len(level))
    u = source.normal(0, [1.0, 0.5], (5000, 2))
    y = 1 + 0.3 * x + u[level, 0] + u[level, 1] * x + source.normal(0, 1, len(level))
    wide = (PriorStatement("normal(0, 10000)", "sd"), PriorStatement("normal(0, 10)", "sigma"))

    def slopes(away: float) -> FitResult:
        table = Table.from_columns({"y": y, "x": x + away, "g": level})
        return fit(
            prepare(FitSpec("y ~ x + (1 + x | g)", table, priors=wide, sampler=SamplerSettings(seed=1))),
            Silent(),
        )

    near, far = slopes(0.0), slopes(3000.0)
    assert "eliminations" in near.posterior.statistics
    assert "eliminations" in far.posterior.statistics
    one, other = (result.posterior.factors["g"].sd[:, :, 1] for result in (near, far))
    assert other.mean() == pytest.approx(one.mean(), abs=0.3 * one.std())
    assert other.std() == pytest.approx(one.std(), rel=0.15)


def test_a_model_of_counts_by_nuts() -> None:
    """The same slopes of counts, whether their year is counted from zero or from the middle of the data."""
    source = np.random.default_rng(2)
    level, t = np.repeat(np.arange(40), 10), np.tile(np.arange(10.0) - 4.5, 40)
    u = source.normal(0, [0.5, 0.15], (40, 2))
    y = source.poisson(np.exp(1.0 + 0.05 * t + u[level, 0] + u[level, 1] * t))
    wide = (PriorStatement("normal(0, 1000)", "sd"),)

    def slopes(away: float) -> np.ndarray[Any, Any]:
        table = Table.from_columns({"y": y, "t": t + away, "g": level})
        spec = FitSpec(
            "y ~ t + (1 + t | g)", table, family="poisson", priors=wide, sampler=SamplerSettings(seed=1)
        )
        result = fit(prepare(spec), Silent())
        assert result.summary["diagnostics"]["r_hat_max"] < 1.03
        return np.asarray(result.posterior.factors["g"].sd[:, :, 1])

    near, far = slopes(0.0), slopes(2000.0)
    assert far.mean() == pytest.approx(near.mean(), abs=0.5 * near.std())

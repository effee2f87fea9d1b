"""Posterior predictive checks: replicated data sets, and what is said of them."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from model.criticism.predictive import PredictiveCheck, Statistic, predictive_check, replicate
from model.results.posterior import Posterior
from model.spec import FitPlan
from tests.service.samples import make_posterior
from tests.worker.models import columns, plan
from tests.worker.silent import Silent
from worker.fitting import fit


@cache
def fitted() -> tuple[FitPlan, Posterior]:
    made = plan("y ~ x + (1 + x | g)", data=columns(rows=120), sampler={"draws": 500})
    return made, fit(made, Silent()).posterior


def counts(y: Any, mean: float, **changes: Any) -> PredictiveCheck:
    """A check of a model that says of every row that it is Poisson with this mean."""
    made = plan("y ~ 1", priors=(), family="poisson", data={"y": y})
    posterior = make_posterior(made)
    sure = replace(posterior, population=np.full_like(posterior.population, np.log(mean)))
    return predictive_check(sure, made.design(), **{"replications": 100, **changes})


def named(check: PredictiveCheck, name: str) -> Statistic:
    return next(one for one in check.statistics if one.name == name)


def test_a_model_that_is_right_makes_data_like_the_responses() -> None:
    made, posterior = fitted()
    check = predictive_check(posterior, made.design(), replications=400)
    assert all(0.02 < one.p_value < 0.98 for one in check.statistics), check.statistics


def test_a_model_that_is_wrong_does_not() -> None:
    made, posterior = fitted()
    design = made.design()
    assert design.y is not None
    skewed = replace(design, y=np.exp(design.y / 2))
    check = predictive_check(posterior, skewed, replications=200)
    assert named(check, "max").p_value < 0.01


def test_statistics_are_what_their_names_say() -> None:
    made, posterior = fitted()
    design = made.design()
    check = predictive_check(posterior, design, replications=50, seed=4)
    replicated = replicate(posterior, design, 50, 4)
    assert design.y is not None
    for name, of in (("mean", np.mean), ("min", np.min), ("median", np.median), ("max", np.max)):
        assert named(check, name).observed == pytest.approx(of(design.y))
        np.testing.assert_allclose(named(check, name).replicated, of(replicated, axis=1))
    np.testing.assert_allclose(named(check, "sd").replicated, replicated.std(axis=1, ddof=1))
    np.testing.assert_allclose(named(check, "q95").replicated, np.quantile(replicated, 0.95, axis=1))
    index = design.factors[0].index
    means = [[row[index == level].mean() for level in range(6)] for row in (design.y, replicated[0])]
    between = named(check, "sd_of_means[g]")
    assert between.observed == pytest.approx(np.std(means[0], ddof=1))
    assert between.replicated[0] == pytest.approx(np.std(means[1], ddof=1))


def test_equal_statistics_count_half() -> None:
    assert Statistic("zeros", 0.5, np.array([0.5, 0.5, 0.7, 0.1])).p_value == 0.5


def test_replications_scatter_around_their_draws() -> None:
    made, posterior = fitted()
    design = made.design()
    replicated = replicate(posterior, design, 2000, 1)
    used = posterior.spread(2000)
    mean = used.population[0] @ design.x.T
    u = used.deviations("g", range(6))[0][:, design.factors[0].index]
    mean = mean + np.einsum("drk,rk->dr", u, design.factors[0].z)
    noise = (replicated - mean) / used.parameters["sigma"][0][:, None]
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(1, abs=0.01)


def test_rows_of_known_errors_have_them() -> None:
    made = plan("y | se(err) ~ 1", priors=())
    design, posterior = made.design(), make_posterior(made)
    still = replace(posterior, parameters={}, population=np.zeros((2, 1000, 1)))
    replicated = replicate(still, design, 2000, 1)
    assert design.standard_error is not None
    np.testing.assert_allclose(replicated.std(axis=0), design.standard_error, rtol=0.1)


def test_the_same_seed_makes_the_same_data() -> None:
    made, posterior = fitted()
    one, again, other = (replicate(posterior, made.design(), 20, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.any(one == other)


def test_densities_are_densities_and_distributions_rise_from_none_to_all() -> None:
    made, posterior = fitted()
    check = predictive_check(posterior, made.design(), replications=80, prob=0.5)
    assert check.density is not None
    assert check.distribution is not None
    assert check.density.replicated.shape == (50, 200)
    cell = check.density.grid[1] - check.density.grid[0]
    assert check.density.observed.sum() * cell == pytest.approx(1, abs=0.02)
    at = check.distribution
    assert (at.observed[0], at.observed[-1]) == (0, 1)
    assert np.all(np.diff(at.observed) >= 0)
    assert np.all((at.lower <= at.median) & (at.median <= at.upper))


def test_equal_responses_have_a_grid_all_the_same() -> None:
    made = plan("y | se(err) ~ 1", priors=(), data={"y": [2.0] * 5, "err": [1.0] * 5})
    check = predictive_check(make_posterior(made), made.design(), replications=20)
    assert check.density is not None
    assert np.isfinite(check.density.replicated).all()


def test_small_counts_have_a_bar_each() -> None:
    check = counts([0, 0, 1, 2, 2, 2, 5], 2.0)
    assert check.density is None
    assert check.distribution is None
    assert check.bars is not None
    assert check.bars.first[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert check.bars.observed[:6].tolist() == [2, 1, 3, 0, 0, 1]
    assert named(check, "zeros").observed == 2 / 7
    assert named(check, "zeros").replicated.mean() == pytest.approx(np.exp(-2), abs=0.06)


def test_large_counts_share_bars_and_none_is_lost() -> None:
    y = np.random.default_rng(5).poisson(900, 80)
    check = counts(y.tolist(), 900.0)
    assert check.bars is not None
    assert len(check.bars.first) <= 50
    assert check.bars.observed.sum() == 80
    np.testing.assert_array_equal(check.bars.first[1:], check.bars.last[:-1] + 1)
    within = (y[:, None] >= check.bars.first) & (y[:, None] <= check.bars.last)
    np.testing.assert_array_equal(within.sum(axis=0), check.bars.observed)


def test_a_replication_beyond_all_bars_is_in_the_last_which_is_open() -> None:
    check = counts([0, 1, 0, 2, 1, 1], 1.0, replications=100, seed=2)
    assert check.bars is not None
    assert np.isinf(check.bars.last[-1])
    assert check.bars.upper.sum() > 0

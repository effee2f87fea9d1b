"""Every method is calibrated over its priors: a share of it always, all of it in `make slow`."""

from dataclasses import replace

import pytest

from model.spec import FitPlan
from tests.calibration.campaigns import CAMPAIGNS
from tests.calibration.models import COLLAPSED, NUTS
from tests.calibration.sbc import Model, calibrate
from worker.fitting import FitResult, fit
from worker.monitor import Monitor

LUCK = 1e-4
"""The smallest p-value of some 150 that is still taken for luck."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("campaign", "name"),
    [(number, name) for number, campaign in CAMPAIGNS.items() for name in campaign.models],
)
def test_ranks_are_uniform(campaign: str, name: str) -> None:
    p_values = CAMPAIGNS[campaign].run(name).p_values()
    assert {quantity: p for quantity, p in p_values.items() if p < LUCK} == {}


@pytest.mark.parametrize("name", ["slopes, lkj(2)", "nested"])
def test_a_share_of_the_ranks_is_uniform(name: str) -> None:
    p_values = calibrate(COLLAPSED[name], "collapsed", simulations=50, seed=1).p_values(bins=5)
    assert {quantity: p for quantity, p in p_values.items() if p < LUCK} == {}


@pytest.mark.parametrize(
    ("method", "model", "quantity"),
    [
        ("collapsed", COLLAPSED["slopes, lkj(2)"], "sd[g][x]"),
        ("nuts", NUTS["bernoulli"], "sd[g][Intercept]"),
    ],
)
def test_another_prior_than_the_one_simulated_from_is_found(method: str, model: Model, quantity: str) -> None:
    other = replace(model, priors={**model.priors, "sd": "exponential(10)"}).plan(method, seed=1).priors

    def with_another_prior(plan: FitPlan, monitor: Monitor) -> FitResult:
        return fit(replace(plan, priors=other), monitor)

    p_values = calibrate(model, method, simulations=50, seed=1, fit=with_another_prior).p_values(bins=5)
    assert p_values[quantity] < LUCK

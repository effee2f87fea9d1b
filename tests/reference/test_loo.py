"""Leave-one-out estimates against those that `brms::loo` gave of the reference posteriors, from as many draws."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from model.criticism.loo import Loo, loo
from model.spec import prepare
from tests.reference.cases import Case, load
from tests.reference.test_posteriors import fitted
from tests.worker.silent import Silent
from worker.fitting import fit

RUNS = 6


def runs(case: Case) -> list[Loo]:
    """The estimates of several fits that differ by their seeds."""
    spec = case.spec("collapsed")
    plans = [prepare(replace(spec, sampler=replace(spec.sampler, seed=seed))) for seed in range(RUNS)]
    return [loo(fit(plan, Silent()).posterior, plan.design()) for plan in plans]


def compare_rest(found: Loo, case: Case) -> None:
    reference = case.facts["loo"]
    assert found.draws == reference["draws_used"]
    assert found.elpd_total.se == pytest.approx(reference["se"], rel=0.1)
    assert found.p_loo_total.estimate == pytest.approx(reference["p_loo"], rel=0.1)


@pytest.mark.parametrize(
    ("name", "method"), [("classroom", "collapsed"), ("dyestuff", "collapsed"), ("cbpp", "nuts")]
)
def test_the_estimates_are_those_of_brms(name: str, method: str) -> None:
    case, result = fitted(name, method)
    found = loo(result.posterior, prepare(case.spec(method)).design())
    error = np.sqrt(np.sum(found.mcse**2))
    # The reference has such a Monte Carlo error too.
    assert abs(found.elpd_total.estimate - case.facts["loo"]["elpd_loo"]) < 2 * np.sqrt(2) * error
    compare_rest(found, case)


@pytest.mark.parametrize("name", ["sleepstudy", "sleepstudy_uncorrelated", "pastes"])
def test_where_k_is_high_the_estimates_are_those_of_another_run(name: str) -> None:
    case = load(name)
    found = runs(case)
    # The weights of some rows have hardly a variance, so what it costs is measured: 95% of all further runs lie so far
    # from the mean of these.
    elpd = np.array([one.elpd_total.estimate for one in found])
    reach = stats.t.ppf(0.975, RUNS - 1) * elpd.std(ddof=1) * np.sqrt(1 + 1 / RUNS)
    assert abs(elpd.mean() - case.facts["loo"]["elpd_loo"]) < reach
    compare_rest(found[0], case)

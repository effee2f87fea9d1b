"""Leave-one-out estimates against those that `brms::loo` gave of the reference posteriors, from as many draws.

Where k-hat is high such estimates are too good, one run's by more than another's; there the deviations are also
integrated out by dense algebra, after which no weight is heavy, and ours must lie between that and brms's one run.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from model.criticism.loo import Loo, loo
from model.frame.design import Design
from model.results.posterior import Posterior
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


def integrated(posterior: Posterior, design: Design) -> float:
    """elpd by leaving each row out of the normal distribution of y given hyperparameters and coefficients alone."""
    few = posterior.thinned(1000)
    flat = {name: of.covariance.reshape(-1, *of.covariance.shape[2:]) for name, of in few.factors.items()}
    sigma, population = few.parameters["sigma"].ravel(), few.population.reshape(-1, design.x.shape[1])
    assert design.y is not None
    density = np.empty((len(sigma), design.rows))
    for s in range(len(sigma)):
        variance = sigma[s] ** 2 * np.eye(design.rows)
        for factor in design.factors:
            same = factor.index[:, None] == factor.index
            variance += same * (factor.z @ flat[factor.name][s] @ factor.z.T)
        inverse = np.linalg.inv(variance)
        own = np.diagonal(inverse)
        density[s] = stats.norm.logpdf(
            (inverse @ (design.y - population[s] @ design.x.T)) / own, 0, own**-0.5
        )
    # The posterior without the row has weights 1 / density.
    return float(np.sum(np.log(len(sigma)) - logsumexp(-density, axis=0)))


@pytest.mark.parametrize("name", ["sleepstudy", "sleepstudy_uncorrelated", "pastes"])
def test_where_k_is_high_ours_lies_between_the_integrated_estimate_and_that_of_brms(name: str) -> None:
    case = load(name)
    found = runs(case)
    # The weights of some rows have hardly a variance, so what it costs is measured: 95% of all further runs lie so far
    # from the mean of these.
    elpd = np.array([one.elpd_total.estimate for one in found])
    reach = stats.t.ppf(0.975, RUNS - 1) * elpd.std(ddof=1) * np.sqrt(1 + 1 / RUNS)
    _, result = fitted(name, "collapsed")
    exact = integrated(result.posterior, prepare(case.spec("collapsed")).design())
    brms = case.facts["loo"]["elpd_loo"]
    assert exact < brms
    assert exact - reach < elpd.mean() < brms + reach
    compare_rest(found[0], case)

"""Leave-one-out cross-validation: against R's loo for the same draws, against fits anew, and in degenerate cases."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from model.criticism.importance import leave_out
from model.criticism.influence import influential_levels
from model.criticism.loo import loo
from model.results.posterior import Posterior
from model.spec import FitPlan
from model.subsample import sample_rows, total
from tests.service.samples import make_posterior
from tests.worker.models import columns, plan
from tests.worker.silent import Silent
from worker.fitting import fit

GOLDEN = json.loads((Path(__file__).parent / "loo" / "loo.json").read_text())
FORMULAS = ("y ~ x", "y ~ 1")
EACH = pytest.mark.parametrize("number", [0, 1])


def recorded(number: int) -> tuple[FitPlan, Posterior]:
    """A pooled model with the draws that R made."""
    model, chains = GOLDEN["models"][number], GOLDEN["chains"]
    made = plan(FORMULAS[number], priors=(), data={"x": GOLDEN["x"], "y": GOLDEN["y"]})
    draws = np.array(model["b"]).reshape(chains, -1, len(model["b"][0]))
    x = made.design().x
    posterior = Posterior(
        encoding=made.encoding,
        family=made.family,
        method="nuts",
        seed=1,
        population=draws,
        parameters={"sigma": np.array(model["sigma"]).reshape(chains, -1)},
        factors={},
        x_mean=x.mean(axis=0),
        x_covariance=np.cov(x, rowvar=False).reshape(x.shape[1], -1),
        statistics={},
    )
    return made, posterior


def log_likelihoods(number: int) -> Any:
    """(row, chain, draw)"""
    made, posterior = recorded(number)
    mean = np.einsum("cdj,rj->rcd", posterior.population, made.design().x)
    return stats.norm.logpdf(np.array(GOLDEN["y"])[:, None, None], mean, posterior.parameters["sigma"])


@EACH
def test_the_figures_are_those_of_r(number: int) -> None:
    made, posterior = recorded(number)
    found, expected = loo(posterior, made.design()), GOLDEN["models"][number]
    sums = (found.elpd_total, found.p_loo_total, found.elpd_total.scaled(-2))
    np.testing.assert_allclose([one.estimate for one in sums], expected["estimates"], atol=2e-2)
    np.testing.assert_allclose([one.se for one in sums], expected["se"], atol=2e-2)  # type: ignore[arg-type]
    reliable = np.array(expected["pareto_k"]) < 0.7
    assert reliable.sum() >= 39
    # R's effective sizes are of whole chains, ours of split ones, so their tails begin a few draws apart.
    np.testing.assert_allclose(found.elpd[reliable], np.array(expected["elpd"])[reliable], atol=1e-3)
    np.testing.assert_allclose(found.mcse[reliable], np.array(expected["mcse"])[reliable], rtol=0.1)
    np.testing.assert_allclose(found.pareto_k, expected["pareto_k"], atol=0.05)


@EACH
def test_the_smoothing_is_that_of_r(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "model.criticism.importance._relative_efficiency", lambda values: np.ones(len(values))
    )
    elpd, _, k, _ = leave_out(log_likelihoods(number))
    expected = GOLDEN["models"][number]["efficient"]
    np.testing.assert_allclose(k, expected["pareto_k"], atol=1e-6)
    np.testing.assert_allclose(elpd, expected["elpd"], atol=1e-6)


def test_leaving_out_agrees_with_fitting_anew() -> None:
    data = columns(rows=40, levels=4)
    formula, sampler = "y ~ x + (1 | g)", {"draws": 2000}
    found = loo(
        fit(plan(formula, data=data, sampler=sampler), Silent()).posterior, plan(formula, data=data).design()
    )
    for row in (0, 17):
        rest = {name: np.delete(np.asarray(values), row).tolist() for name, values in data.items()}
        anew = fit(plan(formula, data=rest, sampler=sampler), Silent()).posterior
        whole = plan(formula, data=data).design()
        mean = anew.population @ whole.x[row]
        level = whole.factors[0].index[row]
        mean = mean + anew.deviations("g", [int(level)])[:, :, 0, 0]
        assert whole.y is not None
        density = stats.norm.pdf(whole.y[row], mean, anew.parameters["sigma"])
        error = density.std() / density.mean() / np.sqrt(density.size)
        assert found.elpd[row] == pytest.approx(np.log(density.mean()), abs=5 * (error + found.mcse[row]))


def test_a_row_of_no_weight_is_predicted_by_no_density() -> None:
    data = columns()
    data["wt"][3] = 0.0
    made = plan("y | weights(wt) ~ x", priors=(), data=data)
    found = loo(make_posterior(made), made.design())
    assert (found.elpd[3], found.p_loo[3], found.pareto_k[3], found.mcse[3]) == (0, 0, 0, 0)


def test_too_few_draws_have_no_tail() -> None:
    values = np.random.default_rng(1).normal(size=(3, 2, 10))
    elpd, p_loo, k, mcse = leave_out(values)
    flat = values.reshape(3, -1)
    np.testing.assert_allclose(elpd, -np.log(np.exp(-flat).mean(axis=1)))
    assert np.isposinf(k).all()
    assert np.isfinite([p_loo, mcse]).all()


def test_weights_beyond_all_doubles_are_unreliable_and_finite() -> None:
    values = -np.exp(np.random.default_rng(2).normal(3, 3, size=(5, 4, 250)))
    figures = leave_out(values)
    assert np.isposinf(figures[2]).any()
    assert np.isfinite(figures[[0, 1, 3]]).all()


def test_an_outlier_is_warned_of_and_its_level_named() -> None:
    data = columns()
    data["y"] = np.array(data["y"])
    data["y"][8] += 25
    made = plan("y ~ x + (1 + x | g)", data=data, sampler={"draws": 500})
    found = loo(fit(made, Silent()).posterior, made.design())
    assert found.pareto_k.argmax() == 8
    assert [notice.code for notice in found.notices] == ["unreliable_loo"]
    assert found.mcse_total is None
    (first, *_) = influential_levels(found, made.design().factors[0], 3)
    assert made.design().factors[0].levels[first.level] == (data["g"][8],)
    assert first.unreliable >= 1


def test_the_limit_of_k_grows_with_the_draws() -> None:
    _, posterior = recorded(0)
    found = loo(posterior, recorded(0)[0].design())
    assert found.k_limit == pytest.approx(1 - 1 / np.log10(1024))
    assert replace(found, draws=4000).k_limit == 0.7


def test_a_long_posterior_is_thinned() -> None:
    made, posterior = recorded(0)
    longer = replace(
        posterior,
        population=np.tile(posterior.population, (1, 20, 1)),
        parameters={"sigma": np.tile(posterior.parameters["sigma"], (1, 20))},
    )
    assert loo(longer, made.design()).draws == 4 * np.ceil(256 * 20 / 3)


def test_sums_of_a_sample_are_estimated_as_in_r() -> None:
    golden = GOLDEN["subsample"]
    found = total(*(np.array(golden[name]) for name in ("exact", "rough", "index")))
    assert found.estimate == pytest.approx(golden["estimate"])
    assert found.se == pytest.approx(np.sqrt(golden["variance"]))
    assert found.subsampling_se == pytest.approx(np.sqrt(golden["subsampling_variance"]))


def test_a_sample_of_the_rows_gives_the_sum_within_its_error() -> None:
    data = columns(rows=1500, levels=30)
    made = plan("y ~ x + (1 | g)", data=data, sampler={"draws": 250})
    posterior, design = fit(made, Silent()).posterior, made.design()
    whole, part = loo(posterior, design), loo(posterior, design, most_rows=150)
    assert (part.rows, len(part.sampled)) == (1500, 150)
    np.testing.assert_allclose(part.elpd, whole.elpd[part.sampled])
    error = part.elpd_total.subsampling_se
    assert error is not None
    assert abs(part.elpd_total.estimate - whole.elpd_total.estimate) < 4 * error
    # A sum of the sample alone would be as uncertain as rows differ.
    assert error < 0.2 * 1500 * whole.elpd.std() / np.sqrt(150)
    p_error = part.p_loo_total.subsampling_se
    assert p_error is not None
    assert abs(part.p_loo_total.estimate - whole.p_loo_total.estimate) < 4 * p_error
    assert p_error < 0.7 * 1500 * whole.p_loo.std() / np.sqrt(150)
    assert part.elpd_total.se == pytest.approx(whole.elpd_total.se, rel=0.1)
    assert "loo_subsample" in {notice.code for notice in part.notices}


def test_samples_of_as_many_rows_are_the_same() -> None:
    np.testing.assert_array_equal(sample_rows(10_000, 50), sample_rows(10_000, 50))
    assert len(np.unique(sample_rows(10_000, 50))) == 50
    np.testing.assert_array_equal(sample_rows(5, 10), np.arange(5))

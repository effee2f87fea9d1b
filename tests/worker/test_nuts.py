"""NUTS of every family: it recovers what was simulated, compiles once, stops when told to, and never gives NaN."""

import json
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.priors import PriorStatement
from model.results.summary import scalars
from tests.worker.glmms import EACH, OWN, TRUTH, columns, plan
from tests.worker.models import plan as gaussian_plan
from tests.worker.silent import Silent
from worker.compiled import COMPILED
from worker.fitting import FitResult, fit
from worker.monitor import Cancelled

_FITS: dict[tuple[str, str], FitResult] = {}


def fitted(family: str, link: str) -> FitResult:
    """Fit each family once for all tests that ask about it."""
    if (family, link) not in _FITS:
        _FITS[family, link] = fit(plan(family, link), Silent())
    return _FITS[family, link]


@pytest.mark.parametrize(("family", "link"), EACH)
def test_what_was_simulated_is_found_again(family: str, link: str) -> None:
    result = fitted(family, link)
    truth = TRUTH | {name: OWN[name] for name in result.posterior.parameters}
    for name, draws in scalars(result.posterior).items():
        # Each is a draw of a posterior's sds from its mean; 3.5 of them are once in two thousand.
        assert abs(draws.mean() - truth[name]) < 3.5 * draws.std(), name
    diagnostics = result.summary["diagnostics"]
    assert diagnostics["divergences"] == 0
    assert diagnostics["r_hat_max"] < 1.03
    assert diagnostics["ess_bulk_min"] > 300


@pytest.mark.parametrize(("family", "link"), EACH)
def test_the_second_fit_of_a_shape_compiles_nothing(family: str, link: str) -> None:
    first = fitted(family, link)
    before = COMPILED.compilations
    other = plan(family, link, data=columns(family, link, seed=6), seed=4, target_accept=0.9, draws=20)
    second = fit(other, Silent())
    assert COMPILED.compilations == before
    assert second.timing["compile"] < 0.1
    assert first.posterior.population[0, 0, 0] != second.posterior.population[0, 0, 0]


def test_equal_plans_give_equal_draws() -> None:
    again = fit(plan("bernoulli", "logit"), Silent())
    np.testing.assert_array_equal(
        again.posterior.population, fitted("bernoulli", "logit").posterior.population
    )


def test_a_summary_has_no_figure_that_is_not_a_number() -> None:
    def check(value: Any, where: str) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                check(below, f"{where}/{key}")
        elif isinstance(value, list | tuple):
            for number, below in enumerate(value):
                check(below, f"{where}/{number}")
        elif isinstance(value, float):
            assert np.isfinite(value), where

    for family, link in EACH:
        check(fitted(family, link).summary, f"{family}/{link}")


def test_explained_variance_on_the_scale_of_the_link() -> None:
    summary = fitted("bernoulli", "logit").summary
    # var(0.7 x) = 0.245, sd^2 = 0.64 and pi^2 / 3, to what 480 rows can tell.
    assert summary["r2"]["marginal"]["mean"] == pytest.approx(0.06, abs=0.05)
    assert summary["icc"]["g"]["mean"] == pytest.approx(0.16, abs=0.1)


class Listener(Silent):
    """Hears what is reported, and stops the fit once so many transitions are done."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.stop_at = stop_at
        self.fractions: list[float] = []
        self.asked = 0

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        if phase in ("warmup", "sampling"):
            assert fraction is not None
            self.fractions.append(fraction)

    def cancelled(self) -> bool:
        self.asked += 1
        return bool(self.fractions) and self.fractions[-1] >= self.stop_at


def test_a_cancelled_fit_stops_within_one_chunk() -> None:
    listener = Listener(stop_at=0.2)
    with pytest.raises(Cancelled) as stop:
        fit(plan("bernoulli", "logit"), listener)
    assert stop.value.partial is None
    assert 0.2 <= listener.fractions[-1] <= 0.2 + 50 / 600
    # Beside each chunk: asked once more before the first, and where the chains begin was told too.
    assert listener.asked == len(listener.fractions)


def test_a_fit_that_is_cancelled_after_warm_up_keeps_its_draws() -> None:
    with pytest.raises(Cancelled) as stop:
        fit(plan("bernoulli", "logit"), Listener(stop_at=0.7))
    partial = stop.value.partial
    assert partial is not None
    drawn = partial.posterior.draws
    assert 120 <= drawn <= 120 + 50
    whole = fitted("bernoulli", "logit").posterior
    np.testing.assert_array_equal(partial.posterior.population, whole.population[:, :drawn])
    assert partial.summary["diagnostics"]["warmup"] == 300
    json.dumps(partial.summary, allow_nan=False)


def test_a_warm_up_ends_when_the_chains_agree() -> None:
    agreeing = fit(plan("binomial", "cloglog", warmup=1000), Silent())
    assert agreeing.summary["diagnostics"]["warmup"] == 300
    short = fit(plan("binomial", "cloglog", warmup=20), Silent())
    assert short.summary["diagnostics"]["warmup"] == 20


def test_progress_is_told_to_the_end() -> None:
    listener = Listener()
    fit(plan("bernoulli", "logit"), listener)
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] == pytest.approx(1.0)


def test_it_agrees_with_the_collapsed_sampler() -> None:
    formula = "y ~ x + w + (1 + x | g)"
    collapsed, nuts = (
        fit(gaussian_plan(formula, sampler={"method": method, "warmup": 300}), Silent()).posterior
        for method in ("collapsed", "nuts")
    )
    for name, draws in scalars(nuts).items():
        other = scalars(collapsed)[name]
        error = np.sqrt(2.0 / 1000) * other.std()
        assert abs(draws.mean() - other.mean()) < 4 * error, name
        assert draws.std() == pytest.approx(other.std(), rel=0.15), name


def test_perfect_separation_is_named() -> None:
    data = columns("bernoulli", "logit")
    data["y"] = (data["x"] > 0).astype(float)
    result = fit(plan("bernoulli", "logit", data=data, priors=(), draws=100), Silent())
    assert "separation" in {notice.code for notice in result.warnings}
    assert "separation" not in {notice.code for notice in fitted("bernoulli", "logit").warnings}


def test_a_density_without_a_number_is_an_error() -> None:
    data = columns("poisson", "log")
    far = (PriorStatement("normal(0, 1e-200)", "b"), PriorStatement("normal(1e200, 1e-100)", "Intercept"))
    with pytest.raises(InvalidModel) as error:
        fit(plan("poisson", "log", data=data, priors=far), Silent())
    assert [issue.code for issue in error.value.issues] == ["sampling-failed"]

"""Comparisons of models: R's differences and stacking weights, and the observations that must be the same."""

from typing import Any

import numpy as np
import pytest

from model.criticism.comparison import Observed, compare, notices, stacking_weights
from model.criticism.loo import Loo, loo
from model.family import Family
from tests.model.test_loo import GOLDEN, recorded
from tests.worker.models import plan

EXPECTED = GOLDEN["comparison"]
DATA = {
    "y": [3, 1, 4, 1, 5, 9],
    "n": [9] * 6,
    "w": [1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
    "x": [0.1, 0.5, 0.2, 0.9, 0.4, 0.6],
}


def results() -> list[Loo]:
    return [loo(posterior, made.design()) for made, posterior in map(recorded, (0, 1))]


def made_up(elpd: Any, sampled: Any, rough: Any) -> Loo:
    """Estimates of which only the elpd matters."""
    elpd, nothing = np.asarray(elpd), np.zeros(len(elpd))
    return Loo(
        np.asarray(sampled), elpd, nothing, nothing, nothing, np.asarray(rough), np.zeros(len(rough)), 1000
    )


def observed(formula: str, family: str = "gaussian", **changes: Any) -> Observed:
    found = plan(formula, priors=(), family=family, data={**DATA, **changes}, missing="drop")
    return Observed.of(found.encoding, found.design())


def test_differences_are_those_of_r() -> None:
    found = compare(results())
    assert [f"model{one.place + 1}" for one in found] == EXPECTED["order"]
    np.testing.assert_allclose([one.difference.estimate for one in found], EXPECTED["elpd_diff"], atol=2e-2)
    np.testing.assert_allclose([one.difference.se for one in found], EXPECTED["se_diff"], atol=2e-2)  # type: ignore[arg-type]


def test_weights_are_those_of_r() -> None:
    elpd = np.array([*(model["elpd"] for model in GOLDEN["models"]), EXPECTED["third"]])
    np.testing.assert_allclose(stacking_weights(elpd), EXPECTED["stacking"], atol=1e-4)


def test_a_model_that_is_worse_everywhere_has_no_weight() -> None:
    elpd = np.random.default_rng(1).normal(-1, 1, 50)
    np.testing.assert_allclose(stacking_weights(np.stack([elpd, elpd - 2000])), [1, 0], atol=1e-6)


def test_the_weights_of_models_that_are_right_for_half_of_the_rows_are_halves() -> None:
    half = np.repeat([0.0, -20.0], 30)
    np.testing.assert_allclose(stacking_weights(np.stack([half, half[::-1]])), [0.5, 0.5], atol=1e-6)


def test_of_a_sample_of_rows_the_difference_of_all_is_estimated() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(-1, 1, (2, 4000))
    sampled = np.sort(rng.choice(4000, 300, replace=False))
    noise = rng.normal(0, 0.05, (2, 4000))
    parts = [
        made_up(all_[sampled], sampled, all_ + n) for all_, n in zip((first, second), noise, strict=True)
    ]
    worse = compare(parts)[1].difference
    assert worse.subsampling_se is not None
    assert worse.subsampling_se < 4000 * 0.1 / np.sqrt(300)
    assert abs(worse.estimate + abs(first.sum() - second.sum())) < 4 * worse.subsampling_se


def test_the_same_observations_can_be_compared_whatever_the_model() -> None:
    first = observed("y ~ x")
    assert observed("y ~ 1", family="poisson").issues(first, 1) == []
    assert observed("y | weights(x / x) ~ 1").issues(first, 1) == []


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (observed("y ~ x", y=[3, 1, 4, 1, 6, 9]), "The responses (y, in the first y) differ from those of the first "
         "fit in 1 rows (first: 4)."),
        (observed("sqrt(y) ~ x"), "The responses (sqrt(y), in the first y) differ"),
        (observed("y ~ x", x=[None, 0.5, 0.2, 0.9, 0.4, 0.6]), "it uses 5 rows, the first 6"),
        (observed("y | weights(w) ~ x"), "The weights differ from those of the first fit in 1 rows (first: 1)."),
        (observed("y | trials(n) ~ x", family="binomial"), "The trials differ from those of the first fit in 6 rows"),
    ],
)  # fmt: skip
def test_other_observations_are_named(other: Observed, message: str) -> None:
    (issue,) = other.issues(observed("y ~ x"), 2)
    assert (issue.code, issue.pointer) == ("different-data", "/fits/2")
    assert message in issue.message


def test_dropped_rows_count_as_they_were_sent() -> None:
    gap = [None, 0.5, 0.2, 0.9, 0.4, 0.6]
    first = observed("y ~ x", x=gap)
    assert observed("y ~ x", x=gap).issues(first, 1) == []
    shifted = observed("y ~ x", x=[0.5, None, 0.2, 0.9, 0.4, 0.6])
    assert [issue.code for issue in shifted.issues(first, 1)] == ["different-data"]


def test_densities_and_probabilities_are_told_apart() -> None:
    found = results()
    gaussian, poisson = Family("gaussian", "identity"), Family("poisson", "log")
    assert "densities_and_probabilities" in {one.code for one in notices([gaussian, poisson], found)}
    assert "densities_and_probabilities" not in {one.code for one in notices([gaussian, gaussian], found)}

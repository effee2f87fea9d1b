"""The checks of a finished fit: leave-one-out cross-validation and posterior predictive checks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model.results.posterior import Posterior
from service.answers.checks import Checks
from service.answers.common import Problem
from service.settings import Limits, ServiceSettings
from tests.service.samples import COLUMNS, REQUEST

COUNTS: dict[str, Any] = {
    "formula": "n ~ x + (1 | g)",
    "family": "poisson",
    "data": {"columns": {"n": [i % 4 for i in range(24)], "x": COLUMNS["x"], "g": COLUMNS["g"]}},
}


def checks(client: TestClient, fit: str, query: str = "") -> Checks:
    answer = client.get(f"/v1/fits/{fit}/checks{query}")
    assert answer.status_code == 200, answer.text
    return Checks.model_validate(answer.json())


def test_every_row_is_left_out_and_the_sums_are_theirs(client: TestClient, finished: str) -> None:
    loo = checks(client, finished).loo
    assert loo is not None
    assert loo.pointwise is not None
    assert (loo.rows, loo.left_out, loo.draws) == (24, 24, 100)
    assert loo.pointwise.row == list(range(24))
    assert loo.elpd_loo.estimate == pytest.approx(sum(loo.pointwise.elpd_loo))
    assert loo.looic.estimate == pytest.approx(-2 * loo.elpd_loo.estimate)
    assert loo.looic.se == pytest.approx(2 * loo.elpd_loo.se)  # type: ignore[operator]
    above = [k is None or k > loo.pareto_k_limit for k in loo.pointwise.pareto_k]
    assert loo.unreliable == sum(above)


def test_levels_come_in_the_order_of_their_influence(client: TestClient, finished: str) -> None:
    loo = checks(client, finished, "?levels=4").loo
    assert loo is not None
    found = loo.levels["g"]
    assert len(found) == 4
    assert all(one.rows == 4 and one.columns == {"g": one.level} for one in found)
    assert [one.p_loo for one in found] == sorted((one.p_loo for one in found), reverse=True)
    everything = checks(client, finished, "?levels=100").loo
    assert everything is not None
    assert sum(one.p_loo for one in everything.levels["g"]) == pytest.approx(loo.p_loo.estimate)


def test_an_unreliable_row_is_warned_of(client: TestClient, finished: str) -> None:
    found = checks(client, finished)
    assert found.loo is not None
    assert found.loo.unreliable > 0
    assert found.loo.mcse_elpd_loo is None
    assert [warning.code for warning in found.warnings] == ["unreliable_loo"]


def test_a_part_that_is_not_asked_for_is_null(client: TestClient, finished: str) -> None:
    assert checks(client, finished, "?include=loo").predictive is None
    assert checks(client, finished, "?include=predictive").loo is None
    both = checks(client, finished, "?include=predictive&include=loo")
    assert both.loo is not None
    assert both.predictive is not None
    assert checks(client, finished, "?pointwise=false").loo.pointwise is None  # type: ignore[union-attr]


def test_dropped_rows_keep_their_numbers(client: TestClient, finish: Callable[..., Posterior]) -> None:
    columns = {**COLUMNS, "x": [None, *COLUMNS["x"][1:3], None, *COLUMNS["x"][4:]]}
    answer = client.post("/v1/fits", json={**REQUEST, "data": {"columns": columns}, "missing": "drop"})
    fit = answer.json()["id"]
    finish(fit)
    loo = checks(client, fit).loo
    assert loo is not None
    assert loo.pointwise is not None
    assert loo.pointwise.row == [1, 2, *range(4, 24)]


def test_responses_stand_beside_replicated_ones(client: TestClient, finished: str) -> None:
    found = checks(client, finished, "?include=predictive&replications=60&prob=0.8&seed=3").predictive
    assert found is not None
    assert (found.response, found.rows, found.replications, found.seed) == ("y", 24, 60, "3")
    statistics = {one.name: one for one in found.statistics}
    assert set(statistics) >= {"mean", "sd", "min", "median", "max", "sd_of_means[g]"}
    mean = statistics["mean"]
    assert mean.observed == pytest.approx(np.mean(COLUMNS["y"]))
    assert len(mean.replicated) == 60
    np.testing.assert_allclose([mean.lower, mean.upper], np.quantile(mean.replicated, [0.1, 0.9]))  # type: ignore[arg-type]
    assert found.bars is None
    assert found.density is not None
    assert found.distribution is not None
    assert len(found.density.replicated) == 50
    assert found.distribution.observed[0] == 0
    assert found.distribution.observed[-1] == 1


def test_counts_come_as_bars(client: TestClient, finish: Callable[..., Posterior]) -> None:
    fit = client.post("/v1/fits", json=COUNTS).json()["id"]
    finish(fit)
    found = checks(client, fit, "?include=predictive").predictive
    assert found is not None
    assert found.density is None
    assert found.distribution is None
    assert found.bars is not None
    assert sum(found.bars.observed) == 24
    zeros = next(one for one in found.statistics if one.name == "zeros")
    assert zeros.observed == 0.25


def test_the_same_question_has_the_same_answer(client: TestClient, finished: str) -> None:
    path = f"/v1/fits/{finished}/checks"
    first, second = client.get(path), client.get(path)
    assert first.content == second.content
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"{path}?seed=1").headers["ETag"] != first.headers["ETag"]
    one, other = (checks(client, finished, f"?seed={seed}").predictive for seed in (1, 2))
    assert one.statistics[0].replicated != other.statistics[0].replicated  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("include=waic", "invalid-parameter"),
        ("include=loo&seed=1", "invalid-parameter"),
        ("include=predictive&levels=3&pointwise=false", "invalid-parameter"),
        ("replications=0", "invalid-parameter"),
        ("replications=101", "invalid-parameter"),
        ("prob=1", "invalid-parameter"),
        ("levels=-1", "invalid-parameter"),
        ("rows=3", "invalid-parameter"),
    ],
)
def test_a_bad_question_is_refused(client: TestClient, finished: str, query: str, code: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/checks?{query}")
    assert answer.status_code == 422
    assert Problem.model_validate(answer.json()).type == f"/problems/{code}"


def test_there_are_no_checks_before_the_end(client: TestClient, fit_id: str) -> None:
    answer = client.get(f"/v1/fits/{fit_id}/checks")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/fit-not-finished")
    answer = client.get(f"/v1/fits/fit_{'a' * 26}/checks")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/fit-not-found")


class TestSmallLimits:
    @pytest.fixture
    def settings(self) -> ServiceSettings:
        return ServiceSettings(limits=Limits(loo_rows=10, prediction_draws=500))

    def test_of_many_rows_some_are_left_out_and_the_answer_says_so(
        self, client: TestClient, finished: str
    ) -> None:
        found = checks(client, finished)
        assert found.loo is not None
        assert (found.loo.rows, found.loo.left_out) == (24, 10)
        assert found.loo.elpd_loo.subsampling_se is not None
        assert found.loo.pointwise is not None
        assert len(found.loo.pointwise.row) == 10
        assert "loo_subsample" in {warning.code for warning in found.warnings}

    def test_replications_keep_to_the_limit(self, client: TestClient, finished: str) -> None:
        found = checks(client, finished).predictive
        assert found is not None
        assert found.replications == 500 // 24
        answer = client.get(f"/v1/fits/{finished}/checks?replications=50")
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/limit-exceeded")
        assert "500" in answer.json()["detail"]

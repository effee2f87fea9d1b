"""What is read from a finished fit: its summary, its groups, and predictions for new rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model.results.posterior import Posterior
from service.answers.common import Problem
from service.answers.estimates import GroupPage, Summary
from service.answers.predictions import Predictions
from store.memory import MemoryStore
from tests.service.samples import COLUMNS

NEW = {"columns": {"x": [0.0, 1.0], "g": ["g0", "g1"]}}


def test_the_summary_names_its_fit(client: TestClient, finished: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/summary")
    summary = Summary.model_validate(answer.json())
    assert (summary.fit_id, summary.prob) == (finished, 0.95)
    assert [row.name for row in summary.population] == ["Intercept", "x"]
    assert summary.groups["g"].levels == 6


def test_a_smaller_probability_gives_narrower_intervals(client: TestClient, finished: str) -> None:
    wide, narrow = (
        Summary.model_validate(client.get(f"/v1/fits/{finished}/summary{query}").json()).population[0]
        for query in ("", "?prob=0.5")
    )
    assert wide.mean == narrow.mean
    assert wide.lower < narrow.lower < narrow.upper < wide.upper  # type: ignore[operator]


@pytest.mark.parametrize("prob", ["0", "1", "nan", "inf", "-1", "x", "", "1e999"])
def test_a_probability_is_between_0_and_1(client: TestClient, finished: str, prob: str) -> None:
    for path in ("summary", "groups/g"):
        answer = client.get(f"/v1/fits/{finished}/{path}?prob={prob}")
        assert answer.status_code == 422
        assert Problem.model_validate(answer.json()).type == "/problems/invalid-parameter"


def test_results_can_be_kept_and_each_has_its_own_tag(client: TestClient, finished: str) -> None:
    paths = ["summary", "summary?prob=0.9", "groups/g", "groups/g?limit=3"]
    tags = [client.get(f"/v1/fits/{finished}/{path}").headers["ETag"] for path in paths]
    assert len(set(tags)) == len(paths)
    for path, tag in zip(paths, tags, strict=True):
        again = client.get(f"/v1/fits/{finished}/{path}", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")


def test_pages_of_groups_are_complete(client: TestClient, finished: str) -> None:
    items: list[Any] = []
    query: dict[str, Any] = {"limit": 5}
    while query.get("cursor", "") is not None:
        page = GroupPage.model_validate(client.get(f"/v1/fits/{finished}/groups/g", params=query).json())
        assert page.total == 12
        items += [(item.level, item.coefficient) for item in page.items]
        query["cursor"] = page.next_cursor
    assert items == [(f"g{i}", name) for i in range(6) for name in ("Intercept", "x")]


def test_groups_are_searched(client: TestClient, finished: str) -> None:
    query = {"search": "G3", "coefficient": "x"}
    page = client.get(f"/v1/fits/{finished}/groups/g", params=query).json()
    assert [(item["level"], item["coefficient"]) for item in page["items"]] == [("g3", "x")]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("groups/nobody", "factor-not-found"),
        ("groups/g?coefficient=z", "invalid-parameter"),
        ("groups/g?cursor=!!", "invalid-cursor"),
        ("groups/g?cursor=YWZ0ZXIgLTE", "invalid-cursor"),
        ("groups/g?limit=1001", "invalid-parameter"),
    ],
)
def test_a_bad_question_about_groups_is_refused(
    client: TestClient, finished: str, path: str, code: str
) -> None:
    answer = client.get(f"/v1/fits/{finished}/{path}")
    assert Problem.model_validate(answer.json()).type == f"/problems/{code}"


def test_predictions_come_row_by_row(
    client: TestClient, fit_id: str, finish: Callable[..., Posterior]
) -> None:
    posterior = finish(fit_id)
    answer = client.post(
        f"/v1/fits/{fit_id}/predictions", json={"data": NEW, "group_effects": "none", "prob": 0.9}
    )
    assert answer.status_code == 200, answer.text
    predicted = Predictions.model_validate(answer.json())
    expected = posterior.population[..., 0].mean(), posterior.population.sum(-1).mean()
    assert predicted.prob == 0.9
    assert predicted.mean == pytest.approx(expected, rel=1e-12)
    assert np.all(np.array(predicted.lower) < np.array(predicted.upper))


def test_draws_are_given_when_asked_for(client: TestClient, finished: str) -> None:
    body = {"data": NEW, "kind": "predict", "return": "draws", "seed": 3}
    answers = [client.post(f"/v1/fits/{finished}/predictions", json=body) for _ in range(2)]
    assert answers[0].content == answers[1].content
    draws = Predictions.model_validate(answers[0].json()).draws
    assert draws is not None
    assert [len(row) for row in draws] == [100, 100]


def test_all_that_is_wrong_with_a_prediction_is_said(client: TestClient, finished: str) -> None:
    body = {"data": {"columns": {"x": [1.0, 2.0], "g": ["g0"]}}, "kind": "guess", "prob": True, "colour": 1}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body)
    assert answer.status_code == 422
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/kind", "/prob", "/colour", "/data/columns/g"}


def test_an_unknown_level_is_named(client: TestClient, finished: str) -> None:
    body = {"data": {"columns": {"x": [0.0], "g": ["new"]}}}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["column"] == "g"
    assert (
        client.post(f"/v1/fits/{finished}/predictions", json={**body, "new_levels": "sample"}).status_code
        == 200
    )


@pytest.mark.parametrize("effects", [1, None, ["g", 1], "some", {"g": True}])
def test_group_effects_are_all_none_or_names(client: TestClient, finished: str, effects: object) -> None:
    body = {"data": NEW, "group_effects": effects}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/group_effects"]


def test_there_is_no_result_before_the_end(client: TestClient, fit_id: str) -> None:
    for answer in (
        client.get(f"/v1/fits/{fit_id}/summary"),
        client.get(f"/v1/fits/{fit_id}/groups/g"),
        client.post(f"/v1/fits/{fit_id}/predictions", json={"data": NEW}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/fit-not-finished")
        assert answer.headers["Retry-After"] == "1"


def test_too_many_draws_of_predictions_are_refused(client: TestClient, finished: str) -> None:
    rows = 50_001
    body = {"data": {"columns": {"x": [0] * rows, "g": ["g0"] * rows}}, "return": "draws"}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/limit-exceeded")
    assert "50,000" in answer.json()["errors"][0]["message"]


def test_the_training_rows_can_be_predicted(client: TestClient, finished: str) -> None:
    answer = client.post(f"/v1/fits/{finished}/predictions", json={"data": {"columns": COLUMNS}})
    assert len(answer.json()["mean"]) == 24


def test_the_draws_of_a_cancelled_fit_can_be_read(
    client: TestClient, store: MemoryStore, fit_id: str, finish: Callable[..., Any]
) -> None:
    finish(fit_id, publish=store.cancelled)
    assert client.get(f"/v1/fits/{fit_id}").json()["status"] == "cancelled"
    assert client.get(f"/v1/fits/{fit_id}/summary").status_code == 200


def test_contrasts_have_a_posterior_of_their_own(
    client: TestClient, fit_id: str, finish: Callable[..., Posterior]
) -> None:
    posterior = finish(fit_id)
    contrasts = [
        {"name": "one more x", "weights": {"1": 1, "0": -1}},
        {"name": "the mean of both", "weights": {"0": 0.5, "1": 0.5}},
    ]
    body = {
        "data": {"columns": {"x": [0.0, 1.0], "g": ["g0", "g0"]}},
        "group_effects": "none",
        "contrasts": contrasts,
    }
    answer = client.post(f"/v1/fits/{fit_id}/predictions", json=body)
    difference, mean = Predictions.model_validate(answer.json()).contrasts or []
    slope = posterior.population[:, :, 1]
    assert (difference.name, mean.name) == ("one more x", "the mean of both")
    assert difference.mean == pytest.approx(slope.mean(), rel=1e-9)
    assert difference.sd == pytest.approx(slope.std(ddof=1), rel=1e-9)
    assert difference.probability_positive == np.mean(slope > 0)
    draws = client.post(f"/v1/fits/{fit_id}/predictions", json={**body, "return": "draws"}).json()
    rows = np.array(draws["draws"])
    np.testing.assert_allclose(draws["contrasts"][0]["draws"], rows[1] - rows[0])
    np.testing.assert_allclose(draws["contrasts"][1]["draws"], rows.mean(axis=0))


def test_contrasts_of_rows_that_are_not_there_are_refused_together(client: TestClient, finished: str) -> None:
    contrasts = [
        {"name": "beyond", "weights": {"1": 1, "7": -1}},
        {"name": "nothing", "weights": {"0": 0}},
    ]
    answer = client.post(f"/v1/fits/{finished}/predictions", json={"data": NEW, "contrasts": contrasts})
    assert answer.status_code == 422
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["/contrasts/0/weights/7", "/contrasts/1/weights"]


@pytest.mark.parametrize(
    "contrast",
    [
        {"weights": {"0": 1}},
        {"name": "", "weights": {"0": 1}},
        {"name": "c", "weights": {}},
        {"name": "c", "weights": {"-1": 1}},
        {"name": "c", "weights": {"01": 1}},
        {"name": "c", "weights": [1, -1]},
        {"name": "c", "weights": {"0": True}},
        {"name": "c", "weights": {"0": 1}, "rows": 1},
    ],
)
def test_a_contrast_has_a_name_and_weights_by_row(
    client: TestClient, finished: str, contrast: object
) -> None:
    answer = client.post(f"/v1/fits/{finished}/predictions", json={"data": NEW, "contrasts": [contrast]})
    assert answer.status_code == 422
    assert all(error["pointer"].startswith("/contrasts/0") for error in answer.json()["errors"])


def test_contrasts_come_as_json(client: TestClient, finished: str) -> None:
    body = {"data": NEW, "contrasts": [{"name": "c", "weights": {"0": 1}}]}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body, headers={"Accept": "text/csv"})
    assert answer.json()["type"] == "/problems/conflicting-fields"


def test_terms_of_group_effects_are_said_as_in_a_formula(client: TestClient, finished: str) -> None:
    def mean(effects: object) -> list[float]:
        answer = client.post(f"/v1/fits/{finished}/predictions", json={"data": NEW, "group_effects": effects})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["mean"])

    assert mean(["(1 + x | g)"]) == pytest.approx(mean("all"))
    assert mean(["1 | g"]) != pytest.approx(mean("all"))
    assert mean(["1 | g"])[0] == pytest.approx(mean("all")[0])  # x is 0 there
    body = {"data": NEW, "group_effects": ["g", "1 | h", "z | g"]}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/group_effects/1", "/group_effects/2"]


def test_levels_are_sorted(client: TestClient, finished: str) -> None:
    def shown(sort: str) -> list[Any]:
        query = {"coefficient": "x", "sort": sort}
        return list(client.get(f"/v1/fits/{finished}/groups/g", params=query).json()["items"])

    for figure in ("deviation", "value"):
        means = [item[figure]["mean"] for item in shown(figure)]
        assert means == sorted(means)
        assert [item["level"] for item in shown(f"-{figure}")] == [item["level"] for item in shown(figure)][
            ::-1
        ]
    assert [item["level"] for item in shown("-label")] == [f"g{i}" for i in reversed(range(6))]
    assert client.get(f"/v1/fits/{finished}/groups/g?sort=mean").status_code == 422


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_prediction_beyond_what_a_double_holds_is_null(client: TestClient, finished: str) -> None:
    body = {"data": {"columns": {"x": [1e308, 0.0], "g": ["g0", "g0"]}}, "group_effects": "none"}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body)
    predicted = Predictions.model_validate(answer.json())
    assert predicted.sd is not None
    assert predicted.sd[0] is None
    assert predicted.sd[1] is not None


def test_population_predictions_need_no_grouping_columns(client: TestClient, finished: str) -> None:
    def answered(columns: dict[str, Any], **asked: Any) -> Any:
        body = {"data": {"columns": columns}, **asked}
        return client.post(f"/v1/fits/{finished}/predictions", json=body)

    alone = answered({"x": [0.0, 1.0]}, group_effects="none")
    assert alone.json()["mean"] == answered({"x": [0.0, 1.0], "g": [7, 8]}, group_effects=[]).json()["mean"]
    draws = answered({"x": [0.0, 1.0]}, group_effects="none", **{"return": "draws"})
    assert draws.status_code == 200
    assert answered({"x": [0.0, 1.0]}).json()["errors"][0]["column"] == "g"
    assert answered({"x": [0.0, 1.0]}, group_effects=["1 | g"]).json()["errors"][0]["column"] == "g"

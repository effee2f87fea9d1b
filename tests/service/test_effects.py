"""Conditional effects: their grid is stated, and every word of the question counts."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from service.answers.common import Problem
from service.answers.effects import Effects


def effects(client: TestClient, fit: str, **query: Any) -> Effects:
    answer = client.get(f"/v1/fits/{fit}/effects", params={"variable": "x", **query})
    assert answer.status_code == 200, answer.text
    return Effects.model_validate(answer.json())


def test_a_number_runs_through_its_range(client: TestClient, finished: str) -> None:
    found = effects(client, finished, points=7, prob=0.5)
    assert (found.fit_id, found.prob, found.kind) == (finished, 0.5, "epred")
    assert (len(found.columns["x"]), found.reference, found.levels, found.group_effects) == (7, {}, {}, [])
    assert len(found.mean) == len(found.upper) == 7
    assert np.all(np.array(found.lower) < np.array(found.upper))


def test_effects_are_predictions_of_their_grid(client: TestClient, finished: str) -> None:
    found = effects(client, finished, level="g=g3", points=4)
    assert (found.levels, found.group_effects) == ({"g": "g3"}, ["g"])
    data = {"columns": {"x": found.columns["x"], "g": ["g3"] * 4}}
    predicted = client.post(f"/v1/fits/{finished}/predictions", json={"data": data}).json()
    for figure in ("mean", "sd", "median", "lower", "upper"):
        assert getattr(found, figure) == pytest.approx(predicted[figure], rel=1e-12)


def test_the_only_grouping_column_needs_no_name(client: TestClient, finished: str) -> None:
    assert effects(client, finished, level="g3") == effects(client, finished, level="g=g3")


def test_effects_can_be_kept(client: TestClient, finished: str) -> None:
    path = f"/v1/fits/{finished}/effects?variable=x"
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"{path}&points=9").headers["ETag"] != first.headers["ETag"]


def test_effects_come_as_csv_and_arrow(client: TestClient, finished: str) -> None:
    path = f"/v1/fits/{finished}/effects?variable=x&points=3&level=g%3Dg1"
    lines = client.get(path, headers={"Accept": "text/csv"}).text.splitlines()
    assert lines[0] == '"x","g","mean","sd","median","lower","upper"'
    assert len(lines) == 4
    answer = client.get(path, headers={"Accept": "application/vnd.apache.arrow.stream"})
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table["g"].to_pylist() == ["g1"] * 3
    assert table["mean"].to_pylist() == client.get(path).json()["mean"]


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("variable=z", "unknown-column", "it has: x"),
        ("variable=y", "unknown-column", "it has: x"),
        ("variable=x&by=x", "conflicting-fields", "varies already"),
        ("variable=x&at=x%3D1", "conflicting-fields", "does not stay"),
        ("variable=x&at=z%3D1", "unknown-column", "it has: x"),
        ("variable=x&level=g%3Dnobody", "unknown-level", "no level 'nobody'"),
        ("variable=x&level=h%3Dg1", "unknown-column", "it has: g"),
        ("variable=x&at=g1", "invalid-parameter", "no equals sign"),
        ("variable=x&level=g9", "unknown-level", "no level 'g9'"),
        ("variable=x&level=g1&level=g%3Dg2", "invalid-parameter", "more than once"),
        ("variable=x&level=g%3Dg1&level=g%3Dg2", "invalid-parameter", "more than once"),
        ("variable=x&points=1", "invalid-parameter", "points"),
        ("variable=x&kind=guess", "invalid-parameter", "kind"),
        ("variable=x&color=red", "invalid-parameter", "color"),
        ("by=x", "invalid-parameter", "variable"),
    ],
)
def test_a_bad_question_about_effects_is_refused(
    client: TestClient, finished: str, query: str, code: str, said: str
) -> None:
    answer = client.get(f"/v1/fits/{finished}/effects?{query}")
    problem = Problem.model_validate(answer.json())
    assert (answer.status_code, problem.type) == (422, f"/problems/{code}")
    assert said in problem.detail + " ".join(error.message for error in problem.errors)


def test_everything_wrong_with_a_question_is_said_at_once(client: TestClient, finished: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/effects?variable=a&by=b&at=c%3D1&level=d%3D1")
    assert {error["column"] for error in answer.json()["errors"]} == {"a", "b", "c", "d"}


def test_there_are_no_effects_before_the_end(client: TestClient, fit_id: str) -> None:
    answer = client.get(f"/v1/fits/{fit_id}/effects?variable=x")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/fit-not-finished")

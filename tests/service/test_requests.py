"""What is refused in a request for a fit, and that all of it is said at once, each thing with its place."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Limits, ServiceSettings
from store.memory import MemoryStore
from store.rates import MemoryRates
from tests.service.samples import COLUMNS, REQUEST


def errors(client: TestClient, body: Any) -> dict[str, str]:
    """Submit what must be refused; give the codes by pointer."""
    answer = client.post("/v1/fits", json=body)
    assert answer.status_code == 422, answer.text
    return {error.get("pointer", ""): error["code"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"colour": "red"}, "/colour", "unknown-field"),
        ({"formula": 1}, "/formula", "invalid-value"),
        ({"center": 1}, "/center", "invalid-value"),
        ({"center": "true"}, "/center", "invalid-value"),
        ({"missing": "ignore"}, "/missing", "invalid-value"),
        ({"cache": None}, "/cache", "invalid-value"),
        ({"family": ["gaussian"]}, "/family", "invalid-value"),
        ({"family": {"name": "gaussian", "size": 1}}, "/family/size", "unknown-field"),
        ({"family": {"link": "log"}}, "/family/name", "missing-field"),
        (
            {"family": {"name": "gaussian", "link": "identity"}, "link": "identity"},
            "/link",
            "conflicting-fields",
        ),
        ({"sampler": {"chains": True}}, "/sampler/chains", "invalid-value"),
        ({"sampler": {"chains": 4.5}}, "/sampler/chains", "invalid-value"),
        ({"sampler": {"chains": "4"}}, "/sampler/chains", "invalid-value"),
        ({"sampler": {"chains": 0}}, "/sampler/chains", "invalid-value"),
        ({"sampler": {"seed": -1}}, "/sampler/seed", "invalid-value"),
        ({"sampler": {"seed": 1 << 63}}, "/sampler/seed", "invalid-value"),
        ({"sampler": {"seed": 10**30}}, "/sampler/seed", "invalid-value"),
        ({"sampler": {"target_accept": True}}, "/sampler/target_accept", "invalid-value"),
        ({"sampler": {"method": "magic"}}, "/sampler/method", "invalid-value"),
        ({"sampler": {"thin": 2}}, "/sampler/thin", "unknown-field"),
        ({"sampler": {"chains": 16, "draws": 100_000}}, "/sampler/draws", "limit-exceeded"),
        ({"priors": {"class": "b"}}, "/priors", "invalid-value"),
        ({"priors": [{"class": "b"}]}, "/priors/0/prior", "missing-field"),
        ({"priors": [{"class_": "b", "prior": ""}]}, "/priors/0/class_", "unknown-field"),
        ({"levels": {"g": [1.5]}}, "/levels/g/0", "invalid-value"),
        ({"levels": {"g": "abc"}}, "/levels/g", "invalid-value"),
        ({"metadata": {"a/b": 1}}, "/metadata/a~1b", "invalid-value"),
        ({"metadata": {"a": "x" * 513}}, "/metadata/a", "limit-exceeded"),
        ({"metadata": {str(i): "" for i in range(33)}}, "/metadata", "limit-exceeded"),
        ({"data": {}}, "/data", "invalid-value"),
        ({"data": {"columns": COLUMNS, "records": []}}, "/data", "invalid-value"),
        ({"data": {"columns": []}}, "/data/columns", "invalid-value"),
        ({"data": {"columns": {"y": "1,2"}}}, "/data/columns/y", "invalid-value"),
        ({"data": {"records": [[1, 2]]}}, "/data/records/0", "invalid-value"),
        ({"data": "y,x"}, "/data", "invalid-value"),
        ({"dataset": "ds_1"}, "/dataset", "conflicting-fields"),
    ],
)
def test_one_fault_is_named_at_its_place(
    client: TestClient, change: dict[str, Any], pointer: str, code: str
) -> None:
    assert errors(client, {**REQUEST, **change})[pointer] == code


@pytest.mark.parametrize("field", ["formula", "data"])
def test_what_is_required_must_be_there(client: TestClient, field: str) -> None:
    body = {key: value for key, value in REQUEST.items() if key != field}
    assert errors(client, body) == {f"/{field}": "missing-field"}


def test_shape_data_and_model_are_judged_at_once(client: TestClient) -> None:
    body = {
        "formula": "y ~ x + nobody + (1 | g)",
        "data": {"columns": COLUMNS},
        "colour": "red",
        "sampler": {"chains": "4"},
        "metadata": {"a": 1},
    }
    found = errors(client, body)
    assert {"/colour", "/sampler/chains", "/metadata/a", "/formula"} <= set(found)


def test_formula_and_data_are_judged_apart_when_one_is_bad(client: TestClient) -> None:
    short = {**COLUMNS, "x": COLUMNS["x"][:-1]}
    found = errors(client, {"formula": "y ~ x +", "data": {"columns": short}})
    assert {"/formula", "/data/columns/x"} <= set(found)


def test_data_are_judged_without_a_formula(client: TestClient) -> None:
    short = {**COLUMNS, "x": COLUMNS["x"][:-1]}
    assert set(errors(client, {"data": {"columns": short}})) == {"/formula", "/data/columns/x"}


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_numbers_too_large_for_a_double_are_refused(client: TestClient, number: str) -> None:
    body = '{"formula": "y ~ 1", "data": {"columns": {"y": [1, 2, NUMBER]}}}'.replace("NUMBER", number)
    answer = client.post("/v1/fits", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/data/columns/y"


def test_true_is_no_number(client: TestClient) -> None:
    assert "/data/columns/y" in errors(client, {"formula": "y ~ 1", "data": {"columns": {"y": [1.5, True]}}})


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ("rows", "24 rows"),
        ("columns", "3 columns"),
        ("cells", "72 cells"),
        ("parameters", "parameters"),
        ("result_bytes", "bytes of draws"),
    ],
)
def test_each_limit_is_held_and_said(limit: str, what: str) -> None:
    settings = ServiceSettings(limits=Limits(**{limit: 2}))
    with TestClient(
        create_app(settings, MemoryStore(), lambda fit_id, queue: None, rates=MemoryRates())
    ) as client:
        answer = client.post("/v1/fits", json=REQUEST)
    assert answer.json()["type"] == "/problems/limit-exceeded"
    message = answer.json()["errors"][0]["message"]
    assert what in message
    assert "at most 2 " in message


def test_column_names_keep_their_characters(client: TestClient) -> None:
    columns = {"a b": COLUMNS["y"], "x/~": COLUMNS["x"], "Gruppe ü 🙂": COLUMNS["g"]}
    body = {"formula": "`a b` ~ `x/~` + (1 | `Gruppe ü 🙂`)", "data": {"columns": columns}}
    assert client.post("/v1/fits", json=body).status_code == 202


def test_large_integers_are_kept(client: TestClient) -> None:
    big = 2**62
    columns = {"y": COLUMNS["y"], "g": [big + i % 4 for i in range(24)]}
    body = {"formula": "y ~ 1 + (1 | g)", "data": {"columns": columns}}
    check = client.post("/v1/formulas/check", json=body).json()
    assert check["groups"][0]["levels"] == 4

"""Requests with far too much of something: each is refused by its budget, in words, for little work."""

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from model.errors import InvalidModel
from service.budgets import refuse_dense
from service.settings import Limits, ServiceSettings
from tests.service.samples import REQUEST

MANY = 100_000
JSON = {"Content-Type": "application/json"}
ROWS = {"y": [float(i * i % 7) for i in range(40)], "x": [float(i) for i in range(40)], "g": ["a", "b"] * 20}
MODEL = {"formula": "y ~ x + (1 | g)", "data": {"columns": ROWS}}


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings()


def names(count: int, length: int = 0) -> list[str]:
    return [f"n{i:0{length}}" for i in range(count)]


def fit(**changes: Any) -> dict[str, Any]:
    return {**MODEL, **changes}


def hostile() -> dict[str, tuple[str, Callable[[], Any], str]]:
    """By name: where it is sent to, what, and the code of the answer."""
    prior = {"class": "b", "prior": "normal(0, 1)"}
    unknown = dict.fromkeys(names(MANY), 1)
    member = {**MODEL, **dict.fromkeys(names(100), 1)}
    records = [{name: 1.0} for name in names(12_000)]
    deep = {"sampler": unknown, "priors": [{**prior, **dict.fromkeys(names(50), 1)} for _ in range(1_000)]}
    wide = {"columns": {**ROWS, **dict.fromkeys(names(960, 90), ROWS["x"])}}
    return {
        "unknown fields": ("/v1/fits", lambda: fit(**unknown), "unknown-field"),
        "unknown fields further in": ("/v1/fits", lambda: fit(**deep), "unknown-field"),
        "equal priors": ("/v1/fits", lambda: fit(priors=[prior] * MANY), "limit-exceeded"),
        "priors for nothing": (
            "/v1/fits",
            lambda: fit(priors=[{**prior, "coef": name} for name in names(2_000)]),
            "invalid-request",
        ),
        "metadata": ("/v1/fits", lambda: fit(metadata=dict.fromkeys(names(MANY), "m")), "limit-exceeded"),
        "names in levels": (
            "/v1/fits",
            lambda: fit(levels={key: ["a"] for key in names(MANY)}),
            "limit-exceeded",
        ),
        "names in levels, as many as columns": (
            "/v1/fits",
            lambda: fit(levels={key: ["a"] for key in names(1000)}),
            "invalid-levels",
        ),
        "levels that are none": (
            "/v1/fits",
            lambda: fit(levels={"g": [[]] * MANY}),
            "invalid-value",
        ),
        "members of unknown fields": ("/v1/batches", lambda: {"fits": [member] * 1_000}, ""),
        "keys of records": ("/v1/fits", lambda: fit(data={"records": records}), "limit-exceeded"),
        "keys of records of a data set": (
            "/v1/datasets",
            lambda: {"records": records[:6_000]},
            "limit-exceeded",
        ),
        "columns": ("/v1/datasets", lambda: {"columns": {key: [1] for key in names(MANY)}}, "limit-exceeded"),
        "columns of a formula that are not there": (
            "/v1/formulas/check",
            lambda: fit(formula="y ~ " + "+".join(names(300, 9)), data=wide),
            "unknown-column",
        ),
        "weights of contrasts": (
            "/v1/fits/{fit}/predictions",
            lambda: {
                "data": {"columns": ROWS},
                "contrasts": [{"name": "c", "weights": dict.fromkeys(map(str, range(1_000)), "w")}] * 900,
            },
            "limit-exceeded",
        ),
        "fits to be compared": ("/v1/comparisons", lambda: {"fits": names(MANY)}, "invalid-value"),
    }


@pytest.mark.parametrize("name", hostile())
def test_too_much_of_one_thing_is_refused_for_little_work(
    client: TestClient, finished: str, name: str
) -> None:
    path, make, code = hostile()[name]
    body = orjson.dumps(make())
    before = time.process_time()
    answer = client.post(path.format(fit=finished), content=body, headers=JSON)
    # Most took from 3 seconds to minutes; what they take now is less than reading a body of this size may.
    assert time.process_time() - before < 6
    assert len(answer.content) < 600_000
    if not code:
        assert (answer.status_code, answer.json()["counts"]) == (202, {"rejected": 1_000})
    else:
        assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{code}")
        assert all(len(error["message"]) < 2_000 for error in answer.json()["errors"])


def test_levels_of_a_text_response_are_read_once(client: TestClient) -> None:
    columns = {"y": ["no", "yes"] * 20, "x": [float(i % 7) for i in range(40)]}
    body = {
        "formula": "y ~ x",
        "family": "bernoulli",
        "data": {"columns": columns},
        "levels": {"y": ["no", *names(50_000), "yes"]},
    }
    before = time.process_time()
    answer = client.post("/v1/formulas/check", json=body)
    assert time.process_time() - before < 6
    assert (answer.status_code, answer.json()["response_levels"]) == (200, ["no", "yes"])


def test_the_first_of_many_unknown_fields_are_named(client: TestClient) -> None:
    problem = client.post("/v1/fits", json=fit(**dict.fromkeys(names(1_000), 1))).json()
    assert [error["pointer"] for error in problem["errors"][:2]] == ["/n0", "/n1"]
    assert problem["errors_total"] == 21


def test_records_may_have_the_columns_that_data_may() -> None:
    with TestClient(_app(Limits(columns=3, cells=20))) as client:
        good = [{"y": 1.5, "x": 1}, {"y": 2.5, "z": 2}, {"y": 4.0, "x": 3}]
        assert client.post("/v1/datasets", json={"records": good}).status_code == 201
        for records in ([*good, {"u": 1}], good * 3):
            answer = client.post("/v1/datasets", json={"records": records})
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/limit-exceeded")


def _app(limits: Limits) -> FastAPI:
    from service.app import create_app
    from store.datasets import MemoryDatasets
    from store.memory import MemoryStore
    from store.rates import MemoryRates

    return create_app(
        ServiceSettings(limits=limits),
        MemoryStore(),
        lambda fit_id, queue: None,
        dataset_store=MemoryDatasets(),
        rates=MemoryRates(),
    )


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'{"":0},', b"0,"])
def test_json_of_many_small_things_is_not_made_into_objects(piece: bytes) -> None:
    body = b'{"formula": "y ~ x", "data": [' + piece * (24_000_000 // len(piece)) + b"0]}"
    limits = Limits(rows=100_000, cells=1_000_000)
    with pytest.raises(InvalidModel) as caught:
        refuse_dense(body, limits)
    assert [issue.code for issue in caught.value.issues] == ["limit-exceeded"]


def test_brackets_and_commas_in_texts_are_no_values() -> None:
    text = orjson.dumps({"a": ['[{,\\"' * 10] * 60_000})
    refuse_dense(text, Limits(rows=10, cells=10))


def test_a_good_request_is_within_every_budget(client: TestClient) -> None:
    assert client.post("/v1/fits", json=REQUEST).status_code == 202

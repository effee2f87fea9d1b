"""A request that comes again with its key gets the first answer."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.answers.common import Problem
from store.base import StoreUnavailable
from store.replies import MemoryReplies
from tests.service.samples import REQUEST

KEY = {"Idempotency-Key": "9c1b-42"}


def test_the_first_answer_is_given_again(client: TestClient, queued: list[tuple[str, str]]) -> None:
    body = {**REQUEST, "cache": False}
    first = client.post("/v1/fits", json=body, headers=KEY)
    again = client.post("/v1/fits", json=body, headers=KEY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.headers["X-Request-ID"] != again.headers["X-Request-ID"]
    assert len(queued) == 1


def test_another_key_is_another_request(client: TestClient, queued: list[tuple[str, str]]) -> None:
    for key in ("a", "b"):
        client.post("/v1/fits", json={**REQUEST, "cache": False}, headers={"Idempotency-Key": key})
    assert len(queued) == 2


def test_a_key_stands_for_one_body(client: TestClient) -> None:
    client.post("/v1/fits", json=REQUEST, headers=KEY)
    answer = client.post("/v1/fits", json={**REQUEST, "sampler": {"seed": 2}}, headers=KEY)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-conflict")


def test_a_request_in_flight_is_not_made_twice(client: TestClient, queued: list[tuple[str, str]]) -> None:
    body = {**REQUEST, "cache": False}
    headers = {**KEY, "Prefer": "wait=1"}
    first = threading.Thread(target=lambda: client.post("/v1/fits", json=body, headers=headers))
    first.start()
    while not queued:
        time.sleep(0.01)
    answer = client.post("/v1/fits", json=body, headers=KEY)
    first.join()
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/idempotency-in-flight")
    assert client.post("/v1/fits", json=body, headers=KEY).status_code == 202
    assert len(queued) == 1


def test_a_long_answer_holds_its_key_beyond_a_lease(
    client: TestClient, queued: list[tuple[str, str]]
) -> None:
    body = {**REQUEST, "cache": False}
    first = threading.Thread(
        target=lambda: client.post("/v1/fits", json=body, headers={**KEY, "Prefer": "wait=3"})
    )
    first.start()
    while not queued:
        time.sleep(0.01)
    time.sleep(2.5)
    assert client.post("/v1/fits", json=body, headers=KEY).status_code == 409
    first.join()
    assert client.post("/v1/fits", json=body, headers=KEY).headers["Idempotency-Replayed"] == "true"


def test_a_store_that_goes_away_in_the_middle_leaves_no_second_fit(
    client: TestClient, app: FastAPI, queued: list[tuple[str, str]]
) -> None:
    batches = app.state.services.batches
    create = batches.create

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    body = {"fits": [{**REQUEST, "cache": False}]}
    batches.create = away
    assert client.post("/v1/batches", json=body, headers=KEY).status_code == 503
    batches.create = create
    assert client.post("/v1/batches", json=body, headers=KEY).status_code == 202
    assert len(queued) == 1


def test_a_refusal_is_not_kept(client: TestClient) -> None:
    assert client.post("/v1/fits", json={"formula": 1}, headers=KEY).status_code == 422
    assert client.post("/v1/fits", json=REQUEST, headers=KEY).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
def test_a_key_is_short_and_visible(client: TestClient, key: str) -> None:
    answer = client.post("/v1/fits", json=REQUEST, headers={"Idempotency-Key": key})
    assert Problem.model_validate(answer.json()).type == "/problems/invalid-parameter"


def test_an_answer_that_cannot_be_kept_is_given(client: TestClient, app: FastAPI) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    app.state.services.replies.keep = away
    assert client.post("/v1/fits", json=REQUEST, headers=KEY).status_code == 202


def test_kept_values_expire() -> None:
    now = 0.0
    replies = MemoryReplies(lambda: now)
    assert replies.reserve("a", b"1", 10.0) is None
    assert replies.reserve("a", b"2", 10.0) == b"1"
    replies.keep("a", b"3", 100.0)
    now = 99.0
    assert replies.reserve("a", b"4", 10.0) == b"3"
    now = 101.0
    assert replies.reserve("a", b"5", 10.0) is None
    replies.drop("a")
    assert replies.reserve("a", b"6", 10.0) is None


def test_waiting_is_part_of_the_first_answer(
    client: TestClient, queued: list[tuple[str, str]], finish: Callable[..., Any]
) -> None:
    def work() -> None:
        while not queued:
            time.sleep(0.01)
        finish(queued[0][0])

    threading.Thread(target=work).start()
    headers = {**KEY, "Prefer": "wait=20"}
    answers = [client.post("/v1/fits", json=REQUEST, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1].json()["status"] == "succeeded"

"""Whatever goes wrong is a problem document with the request's id, and never says more than it should."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.answers.common import Problem
from service.app import create_app
from service.problem_types import PROBLEM_TYPES
from service.settings import Limits, ServiceSettings
from store.base import QueueFull, StoreFull, StoreUnavailable
from store.memory import MemoryStore
from store.rates import MemoryRates
from tests.service.samples import REQUEST

JSON = {"Content-Type": "application/json"}
FIT = "/v1/fits/fit_" + "a" * 26


def check(answer: Any, status: int, code: str) -> Problem:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate(answer.json())
    assert problem.type == f"/problems/{code}"
    assert problem.status == status == PROBLEM_TYPES[code].status
    assert problem.request_id == answer.headers["X-Request-ID"]
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/fits/", 404, "not-found"),
        ("PUT", "/v1/fits", 405, "method-not-allowed"),
        ("BREW", "/v1/fits", 405, "method-not-allowed"),
        ("GET", FIT, 404, "fit-not-found"),
        ("GET", "/problems/nothing", 404, "not-found"),
        ("GET", "/livez?x=1", 422, "invalid-parameter"),
    ],
)
def test_every_error_is_a_problem(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    check(client.request(method, path), status, code)


def test_405_says_what_is_allowed(client: TestClient) -> None:
    assert client.put("/v1/fits").headers["Allow"] == "GET, HEAD, POST"
    assert client.post("/livez").headers["Allow"] == "GET, HEAD"
    assert client.put(FIT).headers["Allow"] == "GET, HEAD, DELETE"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/csv"},
        {"Content-Type": "application/json; charset=none-such"},
        {"Content-Type": "application/json", "Content-Encoding": "br"},
    ],
)
def test_another_kind_of_body_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    check(client.post("/v1/fits", content=b"{}", headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*, text/csv"])
def test_what_is_not_had_cannot_be_asked_for(client: TestClient, accept: str) -> None:
    check(client.get("/v1/limits", headers={"Accept": accept}), 406, "not-acceptable")


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*;q=0.5", "text/html, application/json", "Application/JSON"]
)
def test_json_may_be_asked_for_in_many_ways(client: TestClient, accept: str) -> None:
    assert client.get("/v1/limits", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"formula": NaN}',
        b'{"formula": Infinity}',
        b'{"formula": "\\ud800"}',
        b'{"formula": "\xff"}',
        b'{"formula": "y ~ x", "formula": "y ~ 1"}',
        b'{"formula": 1} trailing',
        b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused(client: TestClient, body: bytes) -> None:
    check(client.post("/v1/fits", content=body, headers=JSON), 400, "invalid-json")


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b'"y ~ x"', b"1", b"{}", b"\xef\xbb\xbf{}", "{}".encode("utf-16")]
)
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    for path in ("/v1/fits", "/v1/formulas/check"):
        answer = client.post(path, content=body, headers=JSON)
        assert answer.status_code == 422
        Problem.model_validate(answer.json())


def test_a_body_that_says_it_is_too_large_is_not_read(client: TestClient) -> None:
    headers = {**JSON, "Content-Length": "200000000"}
    problem = check(client.post("/v1/fits", content=b"{}", headers=headers), 413, "body-too-large")
    assert "1,000,000" in problem.detail


def test_a_body_is_cut_off_where_it_becomes_too_large(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(200):
            sent += 100_000
            yield b" " * 100_000

    check(client.post("/v1/fits", content=endless(), headers=JSON), 413, "body-too-large")


def test_a_gzipped_body_is_unpacked(client: TestClient) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = client.post("/v1/fits", content=gzip.compress(json.dumps(REQUEST).encode()), headers=headers)
    assert answer.status_code == 202


def test_a_gzipped_body_is_no_way_around_the_limit(client: TestClient) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 50_000_000)
    check(client.post("/v1/fits", content=bomb, headers=headers), 413, "body-too-large")


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"more"],
    ids=["empty", "plain", "cut", "longer"],
)
def test_a_body_that_is_not_one_gzip_file_is_refused(client: TestClient, body: bytes) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    check(client.post("/v1/fits", content=body, headers=headers), 400, "invalid-gzip")


def test_head_is_get_without_a_body(client: TestClient) -> None:
    for path, status in (("/livez", 200), ("/v1/limits", 200), ("/nowhere", 404)):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert int(answer.headers["Content-Length"]) > 0


def test_all_that_is_wrong_with_a_query_is_said(client: TestClient) -> None:
    problem = check(client.get("/v1/fits?limit=0&colour=red&status=a&status=b"), 422, "invalid-parameter")
    messages = " ".join(error.message for error in problem.errors)
    assert all(name in messages for name in ("limit", "colour", "status"))


def test_unexpected_errors_say_nothing_of_themselves(app: FastAPI, client: TestClient) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret at /some/path")

    app.state.services.store.get = broken
    answer = client.get(FIT)
    check(answer, 500, "internal-error")
    assert "secret" not in answer.text
    assert "path" not in answer.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreUnavailable("gone"), 503, "store-unavailable"),
        (StoreFull("full"), 503, "store-full"),
        (StoreFull("full", scope="tenant"), 507, "tenant-full"),
        (QueueFull("full"), 429, "queue-full"),
        (QueueFull("full", scope="tenant"), 429, "tenant-queue-full"),
    ],
)
def test_a_store_that_cannot_is_a_reason_to_come_back(
    app: FastAPI, client: TestClient, error: Exception, status: int, code: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    app.state.services.store.create = refuse
    answer = client.post("/v1/fits", json=REQUEST)
    check(answer, status, code)
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_kept_result_is_read_while_the_store_is_away(
    app: FastAPI, client: TestClient, store: MemoryStore, finished: str
) -> None:
    path = f"/v1/fits/{finished}/summary"
    before = client.get(path)

    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    store.get = store.artifact = away  # type: ignore[method-assign, assignment]
    assert client.get(path).content == before.content
    check(client.get(FIT), 503, "store-unavailable")


def test_a_request_id_is_kept_if_it_is_sane(client: TestClient) -> None:
    assert client.get("/livez", headers={"X-Request-ID": "my-id.1"}).headers["X-Request-ID"] == "my-id.1"
    for insane in ("a b", "x" * 65, '"><script>', ""):
        given = client.get("/livez", headers={"X-Request-ID": insane}).headers["X-Request-ID"]
        assert given != insane
        assert len(given) == 16


def test_at_most_twenty_errors_are_listed_and_all_are_counted(client: TestClient) -> None:
    answer = client.post("/v1/fits", json={**REQUEST, **{f"field{i}": i for i in range(50)}})
    problem = check(answer, 422, "unknown-field")
    assert (len(problem.errors), problem.errors_total) == (20, 50)


def test_forty_thousand_bad_cells_make_a_small_answer() -> None:
    columns = {f"c{i}": [{"no": "cell"}] * 1000 for i in range(40)}
    app = create_app(
        ServiceSettings(limits=Limits()), MemoryStore(), lambda fit_id, queue: None, rates=MemoryRates()
    )
    with TestClient(app) as client:
        answer = client.post("/v1/fits", json={"formula": "y ~ x", "data": {"columns": columns}})
    assert answer.status_code == 422
    assert len(answer.content) < 10_000


def test_endless_names_make_a_small_answer(client: TestClient) -> None:
    name = "n" * 300_000
    for body in (
        {**REQUEST, name: 1},
        {**REQUEST, "formula": f"y ~ {name}"},
        {"formula": "y ~ 1", "data": {"columns": {"y": [1.0, 2.0], name: [1, "a"]}}},
    ):
        answer = client.post("/v1/fits", json=body)
        assert answer.status_code == 422
        assert len(answer.content) < 100_000


def test_what_was_sent_is_not_echoed(client: TestClient) -> None:
    secret = "4929-1234-5678-9012"
    bodies = [
        {**REQUEST, "data": {"columns": {"y": [1.0, secret], "x": [{"a": secret}, 1], "g": ["a", "b"]}}},
        {**REQUEST, "data": secret, "center": secret, "sampler": {"seed": secret}},
    ]
    for body in bodies:
        answer = client.post("/v1/fits", json=body)
        assert answer.status_code == 422
        assert secret not in json.dumps(answer.json())


@pytest.mark.parametrize("code", PROBLEM_TYPES)
def test_every_type_has_its_page(client: TestClient, code: str) -> None:
    page = client.get(f"/problems/{code}").json()
    assert (page["code"], page["title"]) == (code, PROBLEM_TYPES[code].title)

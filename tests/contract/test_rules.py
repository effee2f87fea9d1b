"""The rules of the contract, tried from outside on a whole deployment: what only real processes can show.

README.md beside this file says which test holds which rule; most are held where the code of the rule is tested.
"""

import gzip
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPResponse
from itertools import chain
from typing import Any

import httpx
import orjson
import psutil
import pytest

from service.openapi import OPENAPI_JSON
from tests.contract.conftest import Deployment
from tests.service.samples import REQUEST
from tests.system.conftest import eventually

DOCUMENT: dict[str, Any] = orjson.loads(OPENAPI_JSON.read_bytes())
OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]
LONG = {"method": "nuts", "chains": 2, "warmup": 20_000, "draws": 20_000}
JSON = {"Content-Type": "application/json"}


def example(path: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return dict(found["example"])


def submit(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/v1/fits", json={**REQUEST, **changes}, headers={"Prefer": "wait=30"})


@pytest.fixture(scope="module")
def ids(deployment: Deployment) -> dict[str, str]:
    """One of everything that has an id, of the first tenant's."""
    with deployment.client() as client:
        fit = client.post("/v1/fits", json=example("/v1/fits"), headers={"Prefer": "wait=30"}).json()
        assert fit["status"] == "succeeded", fit
        dataset = client.post("/v1/datasets", json=example("/v1/datasets")).json()
        batch = client.post("/v1/batches", json=example("/v1/batches")).json()
        link = client.post("/v1/links", json={"paths": [f"/v1/fits/{fit['id']}"]}).json()
    return {
        "fit_id": fit["id"],
        "dataset_id": dataset["id"],
        "batch_id": batch["id"],
        "link_id": link["id"],
    }


def fill(path: str, ids: dict[str, str]) -> str:
    """Write an address: with these ids, and all else that it must have, as it is there for this fit."""
    known = ids | {"factor": "teacher_id", "code": "fit-not-found", "extension": "svg"}
    query = "?variable=student_age_s" if path.endswith("/effects") else ""
    return re.sub(r"{(\w+)}", lambda found: known[found[1]], path) + query


def test_identical_requests_at_once_share_one_run(deployment: Deployment) -> None:
    body = {**REQUEST, "sampler": {"seed": 50}}

    def post(_: int) -> httpx.Response:
        with deployment.client() as client:
            return client.post("/v1/fits", json=body, headers={"Prefer": "wait=30"})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 49}
    (fit_id,) = {answer.json()["id"] for answer in answers}
    assert {answer.json()["status"] for answer in answers} == {"succeeded"}
    assert deployment.stack.output().count(f"{fit_id} begins") == 1


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Read Server-Sent Events, each with its id."""
    event: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "data":
            event["data"] = orjson.loads(value)
        elif name in ("id", "event"):
            event[name] = value
        elif not line and "id" in event:
            yield event
            event = {}


def test_a_stream_that_is_cut_resumes_without_gap_or_repeat(client: httpx.Client) -> None:
    fit_id = client.post("/v1/fits", json={**REQUEST, "sampler": LONG | {"seed": 60}}).json()["id"]
    address, accept = f"/v1/fits/{fit_id}/events", {"Accept": "text/event-stream"}
    seen: list[dict[str, Any]] = []
    # Cut twice in the middle, the second time right after it was taken up again.
    for part in (3, 1):
        resume = {"Last-Event-ID": seen[-1]["id"]} if seen else {}
        with client.stream("GET", address, headers=accept | resume) as stream:
            for event in events(stream.iter_lines()):
                seen.append(event)
                part -= 1
                if not part:
                    break
    client.post(f"/v1/fits/{fit_id}/cancel")
    with client.stream("GET", address, headers=accept | {"Last-Event-ID": seen[-1]["id"]}) as stream:
        seen += events(stream.iter_lines())
    assert seen[-1]["data"]["status"] == "cancelled"
    listed = client.get(address).json()["items"]
    assert [event["id"] for event in seen] == [event["id"] for event in listed]
    assert len(seen) > 4
    assert {event["event"] for event in seen} == {"status", "progress"}


def test_a_running_fit_is_cancelled_within_seconds(client: httpx.Client) -> None:
    fit_id = client.post("/v1/fits", json={**REQUEST, "sampler": LONG | {"seed": 70}}).json()["id"]
    eventually(lambda: (client.get(f"/v1/fits/{fit_id}").json()["progress"] or {}).get("draws"), 120.0)
    asked = time.monotonic()
    assert client.post(f"/v1/fits/{fit_id}/cancel").status_code == 202
    ended = client.get(f"/v1/fits/{fit_id}", headers={"Prefer": "wait=20"}).json()
    assert time.monotonic() - asked < 5.0
    assert ended["status"] == "cancelled"


def test_another_tenant_s_are_not_there_in_the_same_words(
    client: httpx.Client, other: httpx.Client, ids: dict[str, str]
) -> None:
    asked = 0
    for method, path, operation in OPERATIONS:
        own = next((name for name in ids if f"{{{name}}}" in path), None)
        if own is None:
            continue
        absent = ids | {own: ids[own][: ids[own].index("_") + 1] + "a" * 26}
        body = None
        if "requestBody" in operation:
            body = example(path)
        theirs, nobodys = (
            other.request(method, fill(path, known), json=body, headers={"X-Request-ID": "same"})
            for known in (ids, absent)
        )
        if own == "dataset_id" and method == "DELETE":
            assert client.get(f"/v1/datasets/{ids[own]}").status_code == 200
        assert theirs.status_code == 404, (method, path, theirs.text)
        assert theirs.content == nobodys.content
        asked += 1
    assert asked >= 20
    assert client.get(f"/v1/fits/{ids['fit_id']}").json()["status"] == "succeeded"
    for kind in ("fits", "datasets", "batches", "links"):
        listed = {item["id"] for item in other.get(f"/v1/{kind}").json()["items"]}
        assert not listed & set(ids.values())
    assert other.post("/v1/fits", json={"formula": "y ~ x", "dataset": ids["dataset_id"]}).status_code == 422


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in OPERATIONS])
def test_what_nobody_has_is_406_everywhere(
    client: httpx.Client, ids: dict[str, str], method: str, path: str
) -> None:
    operation = DOCUMENT["paths"][path][method.lower()]
    body = example(path) if "requestBody" in operation else None
    answer = client.request(method, fill(path, ids), json=body, headers={"Accept": "text/x-unheard-of"})
    assert (answer.status_code, answer.json()["type"]) == (406, "/problems/not-acceptable"), answer.text


@pytest.mark.parametrize("path", [path for _, path, operation in OPERATIONS if "requestBody" in operation])
def test_a_body_of_another_kind_is_415_everywhere(
    client: httpx.Client, ids: dict[str, str], path: str
) -> None:
    answer = client.post(fill(path, ids), content=b"<xml/>", headers={"Content-Type": "application/xml"})
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")
    assert answer.headers["Accept"].startswith("application/json")


def test_a_gzip_bomb_is_refused_within_limits(deployment: Deployment, client: httpx.Client) -> None:
    services = (one for one in deployment.stack.family() if one.cmdline()[-2:] == ["-m", "service"])
    # Those that it has forked look like it, and are younger.
    service = min(services, key=lambda one: one.create_time())
    before = psutil.Process(service.pid).memory_info().rss
    bomb = gzip.compress(gzip.compress(bytes(500_000_000), 1), 1)
    flat = gzip.compress(bytes(500_000_000), 9)
    for body, status in ((flat, 413), (bomb, 415)):
        answer = client.post("/v1/fits", content=body, headers=JSON | {"Content-Encoding": "gzip"})
        assert answer.status_code == status, answer.text
    limit = client.get("/v1/limits").json()["limits"]["body_bytes"]
    assert psutil.Process(service.pid).memory_info().rss - before < 3 * limit


def test_bytes_that_are_no_http_get_a_problem_too(deployment: Deployment) -> None:
    host = httpx.URL(deployment.url)
    for first in ("GET / HTTP/one", "NONSENSE", "GET /a b HTTP/1.1"):
        with socket.create_connection((host.host, host.port or 80), timeout=10) as connection:
            connection.sendall(f"{first}\r\nHost: test\r\n\r\n".encode())
            answer = HTTPResponse(connection)
            answer.begin()
            problem = orjson.loads(answer.read())
        assert (answer.status, problem["type"]) == (400, "/problems/bad-request")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Request-ID"] == problem["request_id"]


def test_pages_lead_on_by_their_links_and_miss_nothing(client: httpx.Client, ids: dict[str, str]) -> None:
    for seed in (81, 82, 83):
        assert submit(client, sampler={"seed": seed}).status_code == 201
    whole = [item["id"] for item in client.get("/v1/fits?limit=100").json()["items"]]
    address, paged = "/v1/fits?limit=2", []
    while address:
        page = client.get(address)
        paged += [item["id"] for item in page.json()["items"]]
        address = page.links["next"]["url"] if "next" in page.links else ""
        assert bool(address) == (page.json()["next_cursor"] is not None)
    assert paged == whole
    assert len(whole) == len(set(whole)) >= 4


def test_every_cap_is_stated_and_is_the_one_that_refusals_name(client: httpx.Client) -> None:
    limits = client.get("/v1/limits").json()["limits"]

    def refusal(**changes: Any) -> str:
        answer = client.post("/v1/formulas/check", json={**REQUEST, **changes})
        assert answer.status_code == 422
        return str(answer.json()["errors"][0]["message"]).replace(",", "")

    assert str(limits["formula_characters"]) in refusal(formula="y ~ " + "x + " * 2_000 + "x")
    deep = limits["formula_nesting"] + 5
    assert str(limits["formula_nesting"]) in refusal(formula="y ~ " + "(" * deep + "x" + ")" * deep)
    assert str(limits["draws"]) in refusal(sampler={"chains": 4, "draws": limits["chain_draws"]})
    assert str(limits["chains"]) in refusal(sampler={"chains": limits["chains"] + 1})
    long = client.get("/v1/fits?cursor=" + "a" * limits["address_bytes"])
    assert long.status_code == 414


def test_numbers_are_finite_or_null_and_as_exact_as_they_were(
    client: httpx.Client, ids: dict[str, str]
) -> None:
    def no_number(text: str) -> None:
        raise AssertionError(text)

    for path in ("", "/summary", "/model", "/schema", "/draws", "/groups/teacher_id"):
        answer = client.get(f"/v1/fits/{ids['fit_id']}{path}")
        json.loads(answer.content, parse_constant=no_number)
    large = (1 << 63) - 1
    first = submit(client, sampler={"seed": large}).json()
    assert client.get(f"/v1/fits/{first['id']}/model").json()["seed"] == str(large)
    # 1000.0 is the number that 1000 is, wherever it stands.
    whole = submit(client, sampler={"seed": 91.0, "draws": 1000.0}).json()["id"]
    assert submit(client, sampler={"seed": 91, "draws": 1000}).json()["id"] == whole


def test_times_are_utc_and_in_order(client: httpx.Client, ids: dict[str, str]) -> None:
    fit = client.get(f"/v1/fits/{ids['fit_id']}").json()
    written = [fit[name] for name in ("created_at", "started_at", "finished_at", "expires_at")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text) for text in written)
    times = [datetime.fromisoformat(text) for text in written]
    assert times == sorted(times)
    assert abs((datetime.now(UTC) - times[0]).total_seconds()) < 3600
    assert all(seconds >= 0 for seconds in fit["timing"].values())


def test_what_cannot_change_is_304_for_who_has_it(client: httpx.Client, ids: dict[str, str]) -> None:
    conditional = [
        path for method, path, operation in OPERATIONS if method == "GET" and "304" in operation["responses"]
    ]
    assert len(conditional) >= 8
    for path in conditional:
        address = fill(path, ids)
        first = client.get(address)
        assert first.status_code == 200, (path, first.text)
        assert re.fullmatch(r'"[0-9a-f]{32}(-gzip|-zstd)?"', first.headers["ETag"])
        assert "max-age=" in first.headers["Cache-Control"]
        again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]


def test_every_operation_has_an_id_in_camel_case_and_an_example_of_its_body() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z0-9]*)*", name) for name in names)
    bodies = list(
        chain.from_iterable(
            operation["requestBody"]["content"].values()
            for _, _, operation in OPERATIONS
            if "requestBody" in operation
        )
    )
    assert all("example" in body or "binary" in body["schema"].get("format", "") for body in bodies)

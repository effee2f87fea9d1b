"""Callbacks in the contract: what may be asked for, what is registered, and what is told of it."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.answers.callbacks import CallbackList
from store.callbacks import CallbackState, MemoryCallbacks
from store.settings import StoreSettings
from store.signing import new_secret
from tests.service.samples import REQUEST
from tests.service.test_metrics import scrape

URL = "https://example.org/ended?run=17"
PRIVATE = "is not in the public internet"


@pytest.fixture
def budgets() -> StoreSettings:
    return StoreSettings(callback_secrets=f"default {new_secret()}", open_callbacks=2)


@pytest.fixture
def callbacks(app: FastAPI) -> MemoryCallbacks:
    found = app.state.services.callbacks
    assert isinstance(found, MemoryCallbacks)
    return found


def asking(url: str = URL, **rest: Any) -> dict[str, Any]:
    return {**REQUEST, "callback": {"url": url, **rest}}


def listed(client: TestClient, fit_id: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/fits/{fit_id}/callbacks")
    assert answer.status_code == 200, answer.text
    CallbackList.model_validate(answer.json())
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_callback_waits_and_is_due_when_the_fit_has_ended(
    client: TestClient, callbacks: MemoryCallbacks, finish: Callable[..., Any]
) -> None:
    answer = client.post("/v1/fits", json=asking())
    assert answer.status_code == 202
    fit_id = answer.json()["id"]
    assert answer.json()["links"]["callbacks"] == f"/v1/fits/{fit_id}/callbacks"
    (waiting,) = listed(client, fit_id)
    assert (waiting["state"], waiting["event"], waiting["url"]) == ("waiting", None, URL)
    assert waiting["events"] == ["fit.succeeded", "fit.failed", "fit.cancelled"]
    finish(fit_id)
    (due,) = listed(client, fit_id)
    assert (due["id"], due["state"], due["event"]) == (waiting["id"], "pending", "fit.succeeded")
    assert due["next_attempt_at"] is not None


def test_it_is_no_part_of_the_fit_s_identity_and_both_who_ask_are_told(
    client: TestClient, callbacks: MemoryCallbacks, finish: Callable[..., Any]
) -> None:
    first = client.post("/v1/fits", json=asking())
    second = client.post("/v1/fits", json=asking("https://example.net/", events=["fit.succeeded"]))
    third = client.post("/v1/fits", json=asking())
    assert [answer.status_code for answer in (first, second, third)] == [202, 200, 200]
    assert first.json()["id"] == second.json()["id"]
    finish(first.json()["id"])
    states = [(item["url"], item["state"]) for item in listed(client, first.json()["id"])]
    assert states == [(URL, "pending"), ("https://example.net/", "pending")]


def test_a_fit_that_has_ended_is_told_of_at_once(client: TestClient, finished: str) -> None:
    answer = client.post("/v1/fits", json=asking())
    assert (answer.status_code, answer.json()["id"]) == (200, finished)
    assert [item["state"] for item in listed(client, finished)] == ["pending"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/", "plain HTTP"),
        ("ftp://example.org/", "https://"),
        ("example.org/hook", "https://"),
        ("", "characters"),
        ("https://", "The host"),
        ("https:///hook", "The host"),
        ("https://user:pass@example.org/", "no user"),
        ("https://example.org/#here", "fragment"),
        ("https://exa mple.org/", "characters"),
        ("https://example.org\\@127.0.0.1/", "characters"),
        ("https://exämple.org/", "characters"),
        ("https://example.org:70000/", "port"),
        ("https://example.org:0/", "port"),
        ("https://-example.org/", "The host"),
        ("https://[::1/", "RFC 3986"),
        ("https://127.0.0.1/", PRIVATE),
        ("https://127.1/", PRIVATE),
        ("https://2130706433/", PRIVATE),
        ("https://0x7f000001/", PRIVATE),
        ("https://0x7f.1/", PRIVATE),
        ("https://017700000001/", PRIVATE),
        ("https://0/", PRIVATE),
        ("https://0.0.0.0/", PRIVATE),
        ("https://127.0.0.1./", PRIVATE),
        ("https://localhost/", PRIVATE),
        ("https://LOCALHOST./", PRIVATE),
        ("https://a.localhost:8443/", PRIVATE),
        ("https://10.1.2.3/", PRIVATE),
        ("https://172.16.0.1/", PRIVATE),
        ("https://192.168.0.1/", PRIVATE),
        ("https://100.64.0.1/", PRIVATE),
        ("https://169.254.169.254/latest/meta-data", PRIVATE),
        ("https://224.0.0.1/", PRIVATE),
        ("https://255.255.255.255/", PRIVATE),
        ("https://[::1]/", PRIVATE),
        ("https://[::]/", PRIVATE),
        ("https://[::ffff:127.0.0.1]/", PRIVATE),
        ("https://[::ffff:a9fe:a9fe]/", PRIVATE),
        ("https://[64:ff9b::7f00:1]/", PRIVATE),
        ("https://[2002:7f00:1::]/", PRIVATE),
        ("https://[2001:0:7f00:1::]/", PRIVATE),
        ("https://[fe80::1]/", PRIVATE),
        ("https://[fc00::1]/", PRIVATE),
        ("https://[fec0::1]/", PRIVATE),
        ("https://[ff02::1]/", PRIVATE),
    ],
)
def test_where_a_callback_may_not_go_is_said_with_the_place(client: TestClient, url: str, said: str) -> None:
    answer = client.post("/v1/fits", json=asking(url))
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-callback")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/callback/url"
    assert said in error["message"]
    assert client.get("/v1/fits").json()["items"] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org:8443/a/b?c=%20d",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1::1]/hook",
        "https://[::ffff:93.184.216.34]/",
    ],
)
def test_public_addresses_are_taken(client: TestClient, url: str) -> None:
    assert client.post("/v1/fits", json=asking(url)).status_code == 202


def test_all_that_is_wrong_is_said_at_once(client: TestClient) -> None:
    body = {
        **asking("https://10.0.0.1/", events=["fit.exploded"], secret="x"),
        "formula": "y ~ z",
        "metadata": {"a": 1},
    }
    answer = client.post("/v1/fits", json=body)
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/callback/secret", "/callback/events/0", "/metadata/a", "/formula"}
    body["callback"] = {"url": "https://10.0.0.1/"}
    pointers = {error["pointer"] for error in client.post("/v1/fits", json=body).json()["errors"]}
    assert pointers == {"/callback/url", "/metadata/a", "/formula"}


@pytest.mark.parametrize("events", [[], "fit.failed", ["batch.ended"]])
def test_events_are_some_of_those_there_are(client: TestClient, events: Any) -> None:
    answer = client.post("/v1/fits", json=asking(events=events))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/callback/events")


def test_a_fit_has_so_many_callbacks_and_no_more(client: TestClient) -> None:
    for i in range(2):
        assert client.post("/v1/fits", json=asking(f"{URL}&{i}")).status_code in (200, 202)
    answer = client.post("/v1/fits", json=asking(f"{URL}&2"))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-many-callbacks")


@pytest.fixture
def secretless(app: FastAPI) -> TestClient:
    app.state.services.secrets.by_tenant.clear()
    return TestClient(app)


def test_without_a_secret_there_are_no_callbacks(secretless: TestClient) -> None:
    answer = secretless.post("/v1/fits", json=asking())
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/no-callback-secret")
    assert answer.json()["errors"][0]["pointer"] == "/callback"


def test_a_batch_is_told_of_once_and_its_fits_each(
    client: TestClient, callbacks: MemoryCallbacks, finish: Callable[..., Any]
) -> None:
    seeds = [{**REQUEST, "sampler": {"seed": seed}} for seed in range(3)]
    seeds[0] |= {"callback": {"url": f"{URL}&fit", "events": ["fit.succeeded"]}}
    answer = client.post("/v1/batches", json={"fits": seeds, "callback": {"url": URL}})
    assert answer.status_code == 202, answer.text
    address = answer.json()["links"]["callbacks"]
    fit_ids = [fit["id"] for fit in client.get("/v1/fits").json()["items"]]
    for fit_id in fit_ids:
        (callback,) = client.get(address).json()["items"]
        assert callback["state"] == "waiting"
        finish(fit_id)
    (callback,) = client.get(address).json()["items"]
    assert (callback["state"], callback["event"]) == ("pending", "batch.ended")
    taken = [callbacks.take(5.0), callbacks.take(5.0), callbacks.take(5.0)]
    assert [one and one.event for one in taken] == ["fit.succeeded", "batch.ended", None]
    assert client.get("/v1/batches/bat_unknown/callbacks").json()["type"] == "/problems/batch-not-found"


def test_a_batch_s_callback_is_checked_with_the_rest_of_it(client: TestClient) -> None:
    body = {
        "template": {**REQUEST, "callback": {"url": "https://[::1]/"}},
        "split_by": "g",
        "callback": {"url": "https://127.0.0.1/"},
    }
    pointers = [error["pointer"] for error in client.post("/v1/batches", json=body).json()["errors"]]
    assert pointers == ["/callback/url", "/template/callback/url"]
    listed_ = {"fits": [asking("https://127.0.0.1/"), REQUEST]}
    answer = client.post("/v1/batches", json=listed_).json()
    assert answer["rejected"][0]["problem"]["errors"][0]["pointer"] == "/callback/url"
    assert answer["counts"] == {"queued": 1, "rejected": 1}


def test_a_replayed_request_registers_nothing_again(
    client: TestClient, callbacks: MemoryCallbacks, finish: Callable[..., Any]
) -> None:
    headers = {"Idempotency-Key": "one"}
    fit_id = client.post("/v1/fits", json=asking(), headers=headers).json()["id"]
    finish(fit_id)
    taken = callbacks.take(5.0)
    assert taken is not None
    callbacks.settle(taken, CallbackState.DELIVERED)
    assert client.post("/v1/fits", json=asking(), headers=headers).headers["Idempotency-Replayed"] == "true"
    assert [item["state"] for item in listed(client, fit_id)] == ["delivered"]


def test_what_is_due_and_how_attempts_ended_is_measured(
    client: TestClient, callbacks: MemoryCallbacks, finished: str
) -> None:
    client.post("/v1/fits", json=asking())
    assert scrape(client)["ranef_callback_queue_depth",] == 1
    taken = callbacks.take(5.0)
    assert taken is not None
    callbacks.settle(taken, CallbackState.DELIVERED)
    found = scrape(client)
    assert found["ranef_callback_queue_depth",] == 0
    assert found["ranef_callback_attempts_total", "delivered"] == 1


def test_another_tenant_s_callbacks_are_not_there(client: TestClient) -> None:
    assert client.get(f"/v1/fits/fit_{'a' * 26}/callbacks").json()["type"] == "/problems/fit-not-found"

"""Signed links: what they open, for how long, for whom, and what never gives their token away."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.answers.common import Problem
from service.answers.links import Link, LinkList, NewLink
from service.app import create_app
from service.keys import Key, Scope, new_key
from service.settings import Limits, ServiceSettings
from store.links import MemoryLinks
from store.memory import MemoryStore
from store.rates import MemoryRates
from store.settings import StoreSettings
from tests.service.samples import REQUEST

READ, _READ_KEY = new_key("acme", Scope.READ)
WRITE, _WRITE_KEY = new_key("acme", Scope.WRITE)
OTHER, _OTHER_KEY = new_key("globex", Scope.WRITE)
KEYS: tuple[Key, ...] = (_READ_KEY, _WRITE_KEY, _OTHER_KEY)


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(keys=";".join(map(str, KEYS)), rate_quota=0, limits=Limits(link_seconds=100_000))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def anybody(app: FastAPI) -> Iterator[TestClient]:
    """A browser that has no key."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def fit(anybody: TestClient, finish: Callable[..., Any]) -> str:
    """The address of a fit of acme's, which has succeeded."""
    fit_id = anybody.post("/v1/fits", json=REQUEST, headers=bearer(WRITE)).json()["id"]
    finish(fit_id)
    return f"/v1/fits/{fit_id}"


def make(client: TestClient, *paths: str, lifetime: int = 60, key: str = READ) -> NewLink:
    asked = {"paths": list(paths), "lifetime": lifetime}
    answer = client.post("/v1/links", json=asked, headers=bearer(key))
    assert answer.status_code == 201, answer.text
    made = NewLink.model_validate(answer.json())
    assert answer.headers["Location"] == made.links["self"]
    assert answer.headers["Cache-Control"] == "no-store"
    return made


def problem(answer: Any) -> tuple[int, str]:
    found = Problem.model_validate(answer.json())
    assert found.detail.endswith(".")
    return answer.status_code, found.type.rpartition("/")[2]


def test_an_address_opens_without_a_key(anybody: TestClient, fit: str) -> None:
    assert problem(anybody.get(f"{fit}/plots/trace.svg")) == (401, "key-required")
    (address,) = make(anybody, f"{fit}/plots/trace.svg").addresses
    picture = anybody.get(address)
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/svg+xml")
    assert picture.headers["Cache-Control"] == "private, no-cache"
    assert picture.headers["Referrer-Policy"] == "no-referrer"
    assert anybody.head(address).status_code == 200
    # Whoever has the link chooses the query, and the ETag does not depend on the token.
    assert anybody.get(f"{address}&width=400").status_code == 200
    again = make(anybody, f"{fit}/plots/trace.svg").addresses[0]
    tag = {"If-None-Match": picture.headers["ETag"]}
    assert anybody.get(again, headers=tag).status_code == 304
    assert anybody.get(f"{fit}/plots/trace.svg", headers={**bearer(READ), **tag}).status_code == 304


def test_a_stream_opens_and_ends_with_its_fit(anybody: TestClient, fit: str) -> None:
    (address,) = make(anybody, f"{fit}/events").addresses
    accept = {"Accept": "text/event-stream"}
    streamed = anybody.get(address, headers=accept)
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    last = re.findall(r"id: (\S+)", streamed.text)[-1]
    assert anybody.get(address, headers={**accept, "Last-Event-ID": last}).status_code == 204


def test_a_link_opens_nothing_else(anybody: TestClient, fit: str) -> None:
    made = make(anybody, f"{fit}/plots/*", f"{fit}/summary")
    assert made.addresses == [f"{fit}/summary?link={made.token}"]
    token = {"link": made.token}
    for path in (f"{fit}/plots/rank.svg", f"{fit}/plots/trace.png", f"{fit}/summary"):
        assert anybody.get(path, params=token).status_code == 200
    for path in (fit, f"{fit}/plots", f"{fit}/draws", "/v1/fits", "/v1/links", "/v1/datasets"):
        assert problem(anybody.get(path, params=token)) == (403, "link-insufficient")
    assert problem(anybody.delete(fit, params=token)) == (403, "link-insufficient")
    assert problem(anybody.post("/v1/fits", json=REQUEST, params=token)) == (403, "link-insufficient")
    assert problem(anybody.post(f"{fit}/predictions", json={}, params=token)) == (403, "link-insufficient")
    assert problem(anybody.post("/v1/links", json={}, params=token)) == (403, "link-insufficient")
    # What needs no key has no such parameter.
    assert problem(anybody.get("/v1/limits", params=token)) == (422, "invalid-parameter")
    assert problem(anybody.get("/metrics", params=token)) == (422, "invalid-parameter")


def test_it_only_reads_even_where_it_leads(anybody: TestClient, fit: str) -> None:
    made = make(anybody, fit, f"{fit}/*")
    assert problem(anybody.delete(fit, params={"link": made.token})) == (403, "link-insufficient")
    assert problem(anybody.post(f"{fit}/cancel", params={"link": made.token})) == (403, "link-insufficient")
    assert anybody.get(fit, params={"link": made.token}).status_code == 200


def test_one_that_was_revoked_opens_nothing_in_any_process(
    app: FastAPI, settings: ServiceSettings, store: MemoryStore, anybody: TestClient, fit: str
) -> None:
    links = app.state.services.links
    other = create_app(settings, store, lambda fit_id, queue: None, rates=MemoryRates(), link_store=links)
    (address,) = (made := make(anybody, f"{fit}/summary")).addresses
    with TestClient(other) as elsewhere:
        assert elsewhere.get(address).status_code == 200
        assert problem(anybody.delete(made.links["self"], headers=bearer(OTHER))) == (404, "link-not-found")
        assert anybody.delete(made.links["self"], headers=bearer(READ)).status_code == 204
        refused = elsewhere.get(address)
        assert problem(refused) == (401, "link-invalid")
        assert refused.headers["Cache-Control"] == "no-store"
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert problem(anybody.get(made.links["self"], headers=bearer(READ))) == (404, "link-not-found")


def test_one_that_has_expired_opens_nothing(app: FastAPI, anybody: TestClient, fit: str) -> None:
    now = [1_800_000_000.0]
    app.state.services.links = MemoryLinks(StoreSettings(), lambda: now[0])
    (address,) = make(anybody, f"{fit}/summary", lifetime=60).addresses
    now[0] += 59
    assert anybody.get(address).status_code == 200
    now[0] += 2
    assert problem(anybody.get(address)) == (401, "link-invalid")


def test_a_link_does_not_outlive_the_key_that_made_it(
    app: FastAPI, store: MemoryStore, anybody: TestClient, fit: str
) -> None:
    (address,) = make(anybody, f"{fit}/summary", key=READ).addresses
    fewer = ServiceSettings(keys=";".join(map(str, KEYS[1:])), rate_quota=0)
    links = app.state.services.links
    with TestClient(create_app(fewer, store, lambda fit_id, queue: None, link_store=links)) as later:
        assert problem(later.get(address)) == (401, "link-invalid")


@pytest.mark.parametrize("token", ["", "link_wrong", "x" * 5000])
def test_what_is_no_token_is_refused(anybody: TestClient, fit: str, token: str) -> None:
    assert problem(anybody.get(f"{fit}/summary", params={"link": token})) == (401, "link-invalid")


def test_two_ways_in_at_once_are_refused(anybody: TestClient, fit: str) -> None:
    (address,) = (made := make(anybody, f"{fit}/summary")).addresses
    assert problem(anybody.get(address, headers=bearer(READ))) == (400, "bad-request")
    assert problem(anybody.get(f"{address}&link={made.token}")) == (401, "link-invalid")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "missing-field", "/paths"),
        ({"paths": []}, "invalid-value", "/paths"),
        ({"paths": ["/v1/fits"]}, "invalid-value", "/paths/0"),
        ({"paths": ["FIT/summary?prob=0.9"]}, "invalid-value", "/paths/0"),
        (
            {"paths": ["https://elsewhere.example/v1/fits/fit_aaaaaaaaaaaaaaaaaaaaaaaaaa"]},
            "invalid-value",
            "/paths/0",
        ),
        ({"paths": ["FIT", "FIT/sumary"]}, "unknown-address", "/paths/1"),
        ({"paths": ["/v1/fits/fit_aaaaaaaaaaaaaaaaaaaaaaaaaa"]}, "unknown-address", "/paths/0"),
        ({"paths": ["FIT"], "lifetime": 0}, "invalid-value", "/lifetime"),
        ({"paths": ["FIT"], "lifetime": 100_001}, "limit-exceeded", "/lifetime"),
        ({"paths": ["FIT"] * 101}, "limit-exceeded", "/paths"),
    ],
    ids=str,
)
def test_what_no_link_can_be_made_of_is_said_with_its_place(
    anybody: TestClient, fit: str, body: dict[str, Any], code: str, pointer: str
) -> None:
    if "paths" in body:
        body = {**body, "paths": [path.replace("FIT", fit) for path in body["paths"]]}
    answer = anybody.post("/v1/links", json=body, headers=bearer(READ))
    assert answer.status_code == 422
    assert [(error["code"], error.get("pointer")) for error in answer.json()["errors"]] == [(code, pointer)]


def test_another_tenant_makes_no_link_to_what_is_not_its_own(anybody: TestClient, fit: str) -> None:
    answer = anybody.post("/v1/links", json={"paths": [fit]}, headers=bearer(OTHER))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unknown-address")


def test_links_are_listed_without_their_tokens(anybody: TestClient, fit: str) -> None:
    made = [make(anybody, f"{fit}/summary", lifetime=60 + number) for number in range(3)]
    listed = anybody.get("/v1/links", params={"limit": 2}, headers=bearer(READ))
    assert [item.id for item in LinkList.model_validate(listed.json()).items] == [made[2].id, made[1].id]
    rest = anybody.get(re.findall("<(.*)>", listed.headers["Link"])[0], headers=bearer(READ))
    assert [item["id"] for item in rest.json()["items"]] == [made[0].id]
    one = anybody.get(made[0].links["self"], headers=bearer(READ))
    Link.model_validate(one.json())
    assert made[0].token not in one.text + rest.text + listed.text
    assert anybody.get("/v1/links", headers=bearer(OTHER)).json()["items"] == []


def test_a_tenant_has_so_many_links_at_a_time(app: FastAPI, anybody: TestClient, fit: str) -> None:
    app.state.services.links = MemoryLinks(StoreSettings(tenant_links=1))
    make(anybody, fit)
    answer = anybody.post("/v1/links", json={"paths": [fit]}, headers=bearer(READ))
    assert problem(answer) == (409, "too-many-links")


def test_percent_encoded_paths_open_what_they_name(anybody: TestClient, fit: str) -> None:
    (address,) = make(anybody, f"{fit}/groups/%67").addresses
    assert anybody.get(address).status_code == 200
    assert parse_qs(urlsplit(address).query).keys() == {"link"}

"""Quotas of requests: told in every answer, kept by tenant, and no reason to fail while the store is away."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.keys import Scope, new_key
from service.settings import ServiceSettings
from store.base import StoreUnavailable
from store.memory import MemoryStore
from store.rates import Allowance, MemoryRates
from store.replies import MemoryReplies
from store.settings import StoreSettings
from tests.service.samples import REQUEST

ACME, ACME_KEY = new_key("acme", Scope.WRITE)
READER, READER_KEY = new_key("acme", Scope.READ)
GLOBEX, GLOBEX_KEY = new_key("globex", Scope.WRITE)
KEYS = ";".join(map(str, (ACME_KEY, READER_KEY, GLOBEX_KEY)))


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(keys=KEYS, rate_quota=3, rate_window=20)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_answer_says_the_quota_and_what_is_left(client: TestClient) -> None:
    answers = [
        client.get(url, headers=bearer(ACME)) for url in ("/v1/fits", "/v1/fits/fit_x", "/v1/fits?x=1")
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 422]
    # What is refused before the key is looked at costs nothing.
    for answer, left in zip(answers[:2], (2, 1), strict=True):
        assert answer.headers["RateLimit-Policy"] == '"requests";q=3;w=20'
        assert re.fullmatch(rf'"requests";r={left};t=(19|20)', answer.headers["RateLimit"])


def test_beyond_the_quota_it_is_429_for_all_keys_of_the_tenant_and_for_no_other(client: TestClient) -> None:
    for token in (ACME, READER, ACME):
        assert client.get("/v1/fits", headers=bearer(token)).status_code == 200
    for token in (ACME, READER):
        refused = client.get("/v1/fits", headers=bearer(token))
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/rate-limited")
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')
    assert client.get("/v1/fits", headers=bearer(GLOBEX)).status_code == 200
    assert client.post("/v1/fits", json=REQUEST, headers=bearer(ACME)).status_code == 429


def test_who_has_no_key_spends_nobody_s_quota(client: TestClient) -> None:
    for _ in range(5):
        answer = client.get("/v1/fits", headers=bearer("ranef_wrong"))
        assert answer.status_code == 401
        assert "RateLimit" not in answer.headers
    assert client.get("/livez").status_code == 200


class Away(MemoryRates):
    """Counts on a server that does not answer."""

    def take(self, tenant: str, quota: int, window: float) -> Allowance:
        raise StoreUnavailable("away")


@pytest.fixture
def uncounted(settings: ServiceSettings, store: MemoryStore) -> Iterator[TestClient]:
    app = create_app(settings, store, lambda fit_id, queue: None, MemoryReplies(), rates=Away())
    with TestClient(app) as client:
        yield client


def test_while_the_store_is_away_nobody_is_held_to_it(uncounted: TestClient) -> None:
    answers = [uncounted.get("/v1/fits", headers=bearer(ACME)) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert "RateLimit" not in answers[0].headers


def test_a_full_queue_answers_429_too(settings: ServiceSettings) -> None:
    store = MemoryStore(StoreSettings(max_active=1))
    app: FastAPI = create_app(
        settings, store, lambda fit_id, queue: None, MemoryReplies(), rates=MemoryRates()
    )
    with TestClient(app, headers=bearer(ACME)) as client:
        assert client.post("/v1/fits", json=REQUEST).status_code == 202
        refused = client.post("/v1/fits", json={**REQUEST, "sampler": {"seed": 5}})
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/queue-full")
    assert int(refused.headers["Retry-After"]) >= 1

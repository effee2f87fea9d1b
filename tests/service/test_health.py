"""Alive, ready, and the caps."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.answers.health import LimitList, Ready
from store.base import StoreUnavailable
from store.memory import MemoryStore
from store.records import WorkerState


def test_alive_without_a_store(app: FastAPI, client: TestClient, store: MemoryStore) -> None:
    def away() -> None:
        raise StoreUnavailable("away")

    store.ping = away  # type: ignore[method-assign]
    assert client.get("/livez").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")


def test_ready_counts_workers(client: TestClient, store: MemoryStore) -> None:
    assert Ready.model_validate(client.get("/readyz").json()).workers.model_dump() == {"alive": 0, "warm": 0}
    assert client.get("/readyz?workers=1").status_code == 503
    store.beat(WorkerState("cold", warm=False, busy=False), 60.0)
    assert client.get("/readyz?workers=1").json()["type"] == "/problems/not-ready"
    store.beat(WorkerState("warm", warm=True, busy=False), 60.0)
    assert client.get("/readyz?workers=1").json()["workers"] == {"alive": 2, "warm": 1}


def test_a_draining_service_is_not_ready(app: FastAPI, client: TestClient) -> None:
    app.state.services.draining = True
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == 200


def test_every_cap_is_stated(client: TestClient) -> None:
    limits = LimitList.model_validate(client.get("/v1/limits").json()).limits
    assert limits["body_bytes"] == 1_000_000
    assert limits["wait_seconds"] == 30
    assert limits["tenant_active_fits"] == 5000

"""What Prometheus is told: of requests by route, of queues, fits and workers, and who may ask."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.keys import Scope, new_key
from service.settings import ServiceSettings
from store.base import StoreUnavailable
from store.memory import MemoryStore
from store.rates import MemoryRates
from store.records import WorkerState
from tests.service.samples import REQUEST


def scrape(client: TestClient, **headers: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status(client: TestClient, fit_id: str) -> None:
    for _ in range(2):
        client.get(f"/v1/fits/{fit_id}")
    client.head(f"/v1/fits/{fit_id}")
    client.get("/v1/fits/fit_unknown")
    client.get("/nowhere/at/all")
    client.request("BREW", "/v1/fits")
    found = scrape(client)
    assert found["ranef_http_requests_total", "GET", "/v1/fits/{fit_id}", "200"] == 3
    assert found["ranef_http_requests_total", "GET", "/v1/fits/{fit_id}", "404"] == 1
    assert found["ranef_http_requests_total", "POST", "/v1/fits", "202"] == 1
    assert found["ranef_http_requests_total", "GET", "none", "404"] == 1
    assert found["ranef_http_request_seconds_count", "GET", "/v1/fits/{fit_id}"] == 4
    assert not any(fit_id in label for sample in found for label in sample)
    assert not any("BREW" in label for sample in found for label in sample)


def test_an_unexpected_error_is_counted_too(client: TestClient, store: MemoryStore, fit_id: str) -> None:
    def broken(fit_id: str, tenant: str | None = None) -> None:
        raise ZeroDivisionError

    store.get = broken  # type: ignore[assignment, method-assign]
    assert client.get(f"/v1/fits/{fit_id}").status_code == 500
    assert scrape(client)["ranef_http_requests_total", "GET", "/v1/fits/{fit_id}", "500"] == 1


def test_queues_fits_and_workers_are_told(
    client: TestClient, store: MemoryStore, finish: Callable[..., Any]
) -> None:
    ids = [client.post("/v1/fits", json={**REQUEST, "sampler": {"seed": s}}).json()["id"] for s in range(3)]
    finish(ids[0])
    client.post(f"/v1/fits/{ids[1]}/cancel")
    store.beat(WorkerState("host:7", True, False, None, 123, 5, 2, 1.5), 60.0)
    found = scrape(client)
    assert found["ranef_queue_depth", "interactive"] == 1
    assert found["ranef_queue_depth", "batch"] == 0
    assert 0 < found["ranef_queue_age_seconds", "interactive"] < 60
    assert found["ranef_fits_total", "collapsed", "succeeded"] == 1
    assert found["ranef_fits_total", "collapsed", "cancelled"] == 1
    assert found["ranef_worker_peak_memory_bytes", "host:7"] == 123
    assert found["ranef_compile_hits_total", "host:7"] == 5
    assert found["ranef_compile_misses_total", "host:7"] == 2
    assert found["ranef_sampling_seconds_total", "host:7"] == 1.5
    assert found["ranef_store_up",] == 1


def test_cache_hits_are_told(client: TestClient, finished: str) -> None:
    for prob in (0.5, 0.6, 0.7):
        client.get(f"/v1/fits/{finished}/summary?prob={prob}")
    found = scrape(client)
    assert found["ranef_posterior_cache_misses_total",] == 1
    assert found["ranef_posterior_cache_hits_total",] == 2


def test_while_the_store_is_away_the_process_tells_of_itself(client: TestClient, store: MemoryStore) -> None:
    def away() -> None:
        raise StoreUnavailable("away")

    client.get("/livez")
    store.queues = away  # type: ignore[assignment, method-assign]
    found = scrape(client)
    assert found["ranef_store_up",] == 0
    assert found["ranef_http_requests_total", "GET", "/livez", "200"] == 1


def test_openmetrics_is_given_to_who_asks(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(("scope", "status"), [(Scope.READ, 403), (Scope.WRITE, 403), (Scope.ADMIN, 200)])
def test_with_keys_it_takes_the_scope_admin(scope: Scope, status: int) -> None:
    token, key = new_key("acme", scope)
    app: FastAPI = create_app(
        ServiceSettings(keys=str(key)), MemoryStore(), lambda fit_id, queue: None, rates=MemoryRates()
    )
    with TestClient(app) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == status

"""An application over the in-memory store, and fits whose posteriors are made by hand: no worker, no JAX."""

from collections.abc import Callable, Iterator

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from model.results.posterior import Posterior
from model.results.summary import summarize
from model.spec import FitPlan
from service.apart import Apart
from service.app import create_app
from service.settings import Limits, ServiceSettings
from store.batches import MemoryBatches
from store.callbacks import MemoryCallbacks
from store.codec import pack, unpack
from store.datasets import MemoryDatasets
from store.links import MemoryLinks
from store.memory import MemoryStore
from store.rates import MemoryRates
from store.records import Result
from store.replies import MemoryReplies
from store.settings import StoreSettings
from tests.service.samples import REQUEST, make_posterior


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def queued() -> list[tuple[str, str]]:
    """What was put into the queues."""
    return []


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(limits=Limits(body_bytes=1_000_000))


@pytest.fixture
def budgets() -> StoreSettings:
    return StoreSettings()


@pytest.fixture(scope="session")
def apart() -> Iterator[Apart]:
    """Processes for large work, begun when the first test needs them."""
    apart = Apart(ServiceSettings())
    yield apart
    apart.close()


@pytest.fixture
def app(
    settings: ServiceSettings,
    store: MemoryStore,
    queued: list[tuple[str, str]],
    budgets: StoreSettings,
    apart: Apart,
) -> FastAPI:
    return create_app(
        settings,
        store,
        lambda fit_id, queue: queued.append((fit_id, queue)),
        MemoryReplies(),
        dataset_store=MemoryDatasets(),
        batch_store=MemoryBatches(store),
        rates=MemoryRates(),
        budgets=budgets,
        callback_store=MemoryCallbacks(store, budgets),
        apart=apart,
        link_store=MemoryLinks(budgets),
    )


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def finish(store: MemoryStore) -> Callable[..., Posterior]:
    """Do what a worker does with a fit, without sampling."""

    def run(fit_id: str, publish: Callable[..., bool] = store.finish) -> Posterior:
        claim = store.claim(fit_id, "test", 60.0)
        payload = store.payload(fit_id)
        assert claim is not None
        assert payload is not None
        posterior = make_posterior(FitPlan.from_parts(*unpack(payload)))
        artifacts = {
            "posterior": pack(*posterior.to_parts()),
            "summary": orjson.dumps(summarize(posterior), option=orjson.OPT_SERIALIZE_NUMPY),
        }
        result = Result(method="collapsed", method_reason="exact", timing={"sample": 0.01})
        assert publish(claim, result, artifacts)
        return posterior

    return run


@pytest.fixture
def fit_id(client: TestClient) -> str:
    """A fit that waits in the queue."""
    answer = client.post("/v1/fits", json=REQUEST)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def finished(fit_id: str, finish: Callable[..., Posterior]) -> str:
    """A fit that has succeeded."""
    finish(fit_id)
    return fit_id

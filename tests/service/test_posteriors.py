"""Decoded results are shared, bounded, and never another fit's."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.posteriors import Posteriors
from store.memory import MemoryStore
from store.records import FitRecord
from tests.service.samples import REQUEST


@pytest.fixture
def records(client: TestClient, store: MemoryStore, finish: Callable[..., Any]) -> list[FitRecord]:
    """Three finished fits."""
    found = []
    for seed in range(3):
        fit_id = client.post("/v1/fits", json={**REQUEST, "sampler": {"seed": seed}}).json()["id"]
        finish(fit_id)
        record = store.get(fit_id)
        assert record is not None
        found.append(record)
    return found


def size(store: MemoryStore, record: FitRecord) -> int:
    blob = store.artifact(record.id, "posterior")
    assert blob is not None
    return len(blob)


def test_many_requests_decode_once(store: MemoryStore, records: list[FitRecord]) -> None:
    posteriors = Posteriors(store, 1 << 30)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(posteriors.posterior, records[:1] * 64))
    assert len({id(posterior) for posterior in found}) == 1
    assert found[0] is not None


def test_the_least_recently_used_goes_first(store: MemoryStore, records: list[FitRecord]) -> None:
    first, second, third = records
    posteriors = Posteriors(store, 2 * size(store, first) + 1000)
    for record in (first, second, first, third):
        posteriors.posterior(record)
    kept = [posteriors.record(record.id, record.tenant) is not None for record in records]
    assert kept == [True, False, True]


def test_what_is_too_large_is_given_but_not_kept(store: MemoryStore, records: list[FitRecord]) -> None:
    posteriors = Posteriors(store, 10)
    assert posteriors.posterior(records[0]) is not None
    assert posteriors.record(records[0].id, records[0].tenant) is None


def test_a_fit_that_is_forgotten_is_read_again(store: MemoryStore, records: list[FitRecord]) -> None:
    posteriors = Posteriors(store, 1 << 30)
    before = posteriors.posterior(records[0])
    posteriors.forget(records[0].id)
    assert posteriors.record(records[0].id, records[0].tenant) is None
    assert posteriors.posterior(records[0]) is not before


def test_a_fit_that_was_made_anew_is_not_mistaken(store: MemoryStore, records: list[FitRecord]) -> None:
    posteriors = Posteriors(store, 1 << 30)
    old = posteriors.posterior(records[0])
    anew = replace(records[0], finished_at=(records[0].finished_at or 0.0) + 1.0)
    assert posteriors.posterior(anew) is not old


def test_nothing_is_given_where_there_is_nothing(store: MemoryStore, records: list[FitRecord]) -> None:
    store.delete(records[0].id)
    posteriors = Posteriors(store, 1 << 30)
    assert posteriors.posterior(records[0]) is None
    assert posteriors.summary(records[0]) is None

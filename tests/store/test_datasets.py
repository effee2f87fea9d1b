"""What both places for data sets promise: content once, a life since the last upload, a budget."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from store.base import InvalidCursor, StoreFull
from store.datasets import DatasetRecord, Datasets, MemoryDatasets
from store.redis_datasets import RedisDatasets
from store.settings import StoreSettings

BRIEF: dict[str, Any] = {"dataset_ttl": 0.4, "dataset_bytes": 10_000, "segment_bytes": 1000}
Sleep = Callable[[float], None]


@pytest.fixture(params=["memory", "redis"])
def place(request: pytest.FixtureRequest) -> tuple[Datasets, Sleep]:
    if request.param == "redis":
        request.getfixturevalue("raw")
        server = request.getfixturevalue("server")
        return RedisDatasets(StoreSettings(redis_url=server.url, **BRIEF)), time.sleep
    now = [1_800_000_000.0]

    def clock() -> float:
        now[0] += 1e-6
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return MemoryDatasets(StoreSettings(**BRIEF), clock), sleep


def record(number: int, tenant: str = "a") -> DatasetRecord:
    column = {"name": "x", "type": "number", "levels": None}
    return DatasetRecord(f"ds_{number}", tenant, rows=3, bytes=0, columns=(column,))


def test_a_data_set_is_kept_once_and_read_back(place: tuple[Datasets, Sleep]) -> None:
    datasets, _ = place
    payload = bytes(range(256)) * 10
    stored, new = datasets.put(record(1), payload)
    assert new
    assert (stored.rows, stored.bytes, stored.columns[0]["name"]) == (3, len(payload), "x")
    assert stored.expires_at == pytest.approx(stored.uploaded_at + 0.4)
    assert datasets.get("ds_1", "a") == stored
    assert datasets.payload("ds_1") == payload
    again, new = datasets.put(record(1), payload)
    assert not new
    assert again.uploaded_at > stored.uploaded_at


def test_a_data_set_lives_since_its_last_upload(place: tuple[Datasets, Sleep]) -> None:
    datasets, sleep = place
    datasets.put(record(1), b"1")
    sleep(0.25)
    datasets.put(record(1), b"1")
    sleep(0.25)
    assert datasets.payload("ds_1") == b"1"
    sleep(0.25)
    assert datasets.get("ds_1", "a") is None
    assert datasets.payload("ds_1") is None
    assert datasets.list("a").records == ()


def test_the_budget_is_the_tenants_and_expiry_frees_it(place: tuple[Datasets, Sleep]) -> None:
    datasets, sleep = place
    datasets.put(record(1), bytes(9_000))
    with pytest.raises(StoreFull) as refusal:
        datasets.put(record(2), bytes(2_000))
    assert refusal.value.scope == "tenant"
    datasets.put(record(3, "b"), bytes(2_000))
    datasets.delete("ds_1", "a")
    datasets.put(record(2), bytes(9_000))
    sleep(0.5)
    datasets.put(record(1), bytes(9_000))


def test_pages_are_complete_and_begin_with_the_last(place: tuple[Datasets, Sleep]) -> None:
    datasets, _ = place
    for number in range(5):
        datasets.put(record(number), b"x")
    datasets.put(record(9, "b"), b"x")
    seen, cursor = [], None
    while True:
        page = datasets.list("a", limit=2, cursor=cursor)
        seen += [found.id for found in page.records]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ["ds_4", "ds_3", "ds_2", "ds_1", "ds_0"]
    with pytest.raises(InvalidCursor):
        datasets.list("a", cursor="nonsense")


def test_what_is_deleted_is_gone(place: tuple[Datasets, Sleep]) -> None:
    datasets, _ = place
    datasets.put(record(1), bytes(3_000))
    assert datasets.delete("ds_1", "a")
    assert not datasets.delete("ds_1", "a")
    assert datasets.get("ds_1", "a") is None


def test_no_key_of_a_data_set_lives_for_ever(place: tuple[Datasets, Sleep], raw: redis.Redis) -> None:
    datasets, _ = place
    datasets.put(record(1), bytes(3_000))
    keys = list(raw.scan_iter("*"))
    assert all(raw.pttl(key) > 0 for key in keys)
    assert len(keys) == (6 if isinstance(datasets, RedisDatasets) else 0)


def test_a_data_set_is_its_tenant_s_alone(place: tuple[Datasets, Sleep]) -> None:
    datasets, _ = place
    datasets.put(record(1), b"x")
    assert datasets.get("ds_1", "b") is None
    assert not datasets.delete("ds_1", "b")
    assert datasets.get("ds_1", "a") is not None

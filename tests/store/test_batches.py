"""What both places for batches promise: members end once, in an order that stays, and nothing lives for ever."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from store.batches import Batches, BatchRecord, Ended, Member, MemoryBatches, RedisBatches
from store.settings import StoreSettings

BRIEF: dict[str, Any] = {"result_ttl": 0.4}
RECORD = BatchRecord(
    "bat_1", "a", (Member("one", "fit_1", own=True), Member("two", None, problem={"status": 422}))
)


@pytest.fixture(params=["memory", "redis"])
def place(request: pytest.FixtureRequest) -> tuple[Batches, Callable[[float], None]]:
    if request.param == "redis":
        request.getfixturevalue("raw")
        server = request.getfixturevalue("server")
        return RedisBatches(StoreSettings(redis_url=server.url, **BRIEF)), time.sleep
    now = [1_800_000_000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return MemoryBatches(StoreSettings(**BRIEF), lambda: now[0]), sleep


def test_a_batch_is_read_back_until_it_expires(place: tuple[Batches, Callable[[float], None]]) -> None:
    batches, sleep = place
    stored = batches.create(RECORD)
    assert batches.get("bat_1") == stored
    assert stored.members == RECORD.members
    assert stored.expires_at == pytest.approx(stored.created_at + 0.4)
    assert batches.get("bat_2") is None
    sleep(0.5)
    assert batches.get("bat_1") is None


def test_members_end_once_and_in_order(place: tuple[Batches, Callable[[float], None]]) -> None:
    batches, _ = place
    batches.create(RECORD)
    batches.note("bat_1", [Ended(1, "rejected")])
    batches.note("bat_1", [Ended(1, "failed"), Ended(0, "succeeded")])
    batches.note("bat_1", [])
    assert batches.ended("bat_1") == (Ended(1, "rejected"), Ended(0, "succeeded"))
    batches.note("bat_2", [Ended(0, "failed")])
    assert batches.ended("bat_2") == ()


def test_no_key_of_a_batch_lives_for_ever(
    place: tuple[Batches, Callable[[float], None]], raw: redis.Redis
) -> None:
    batches, _ = place
    batches.create(RECORD)
    batches.note("bat_1", [Ended(0, "failed")])
    keys = list(raw.scan_iter("*"))
    assert all(raw.pttl(key) > 0 for key in keys)
    assert len(keys) == (3 if isinstance(batches, RedisBatches) else 0)

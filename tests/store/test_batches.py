"""What both places for batches promise: fits end once, in an order that stays; nothing lives for ever."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from store.base import InvalidCursor, Store, StoreFull
from store.batches import Batches, Ended, Member, MemoryBatches
from store.memory import MemoryStore
from store.records import Failure, FitStatus, Result
from store.redis import RedisStore
from store.redis_batches import RedisBatches
from store.settings import StoreSettings
from tests.store.examples import record

BRIEF: dict[str, Any] = {
    "result_ttl": 0.8,
    "unsuccessful_ttl": 0.8,
    "tombstone_ttl": 0.4,
    "batch_bytes": 5_000,
}
PROBLEM = {"status": 422, "title": "Invalid value"}
REFUSED = Member("bad", None, problem=PROBLEM)


@dataclass(frozen=True)
class Place:
    """Batches, the store of their fits, and how to let time pass."""

    batches: Batches
    store: Store
    sleep: Callable[[float], None]

    def fit(self, fit_id: str) -> Member:
        """Create a fit, and give it as a member."""
        self.store.create(record(fit_id), b"data")
        return Member(f"of {fit_id}", fit_id, own=True)

    def end(self, fit_id: str) -> None:
        """Let a fit succeed."""
        claim = self.store.claim(fit_id, "w", 10.0)
        assert claim is not None
        assert self.store.finish(claim, Result("collapsed", "exact"), {"summary": b"{}"})

    def counts(self, batch_id: str = "bat_1") -> dict[str, int]:
        """Count the members of a batch by status."""
        found = self.batches.get(batch_id, "acme")
        assert found is not None
        return dict(found.counts)


def place_of(request: pytest.FixtureRequest, **settings: Any) -> Place:
    """Batches in memory or on a server, whichever the test's parameter says."""
    if request.param == "redis":
        request.getfixturevalue("raw")
        chosen = StoreSettings(redis_url=request.getfixturevalue("server").url, **settings)
        return Place(RedisBatches(chosen), RedisStore(chosen), time.sleep)
    now = [1_800_000_000.0]

    def clock() -> float:
        now[0] += 1e-6
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    chosen = StoreSettings(**settings)
    store = MemoryStore(chosen, clock)
    return Place(MemoryBatches(store, chosen, clock), store, sleep)


@pytest.fixture(params=["memory", "redis"])
def place(request: pytest.FixtureRequest) -> Place:
    return place_of(request)


@pytest.fixture(params=["memory", "redis"])
def brief(request: pytest.FixtureRequest) -> Place:
    """A place where things live so briefly that their end can be waited for."""
    return place_of(request, **BRIEF)


def test_a_batch_is_read_back_by_its_tenant_until_it_expires(brief: Place) -> None:
    members = (brief.fit("fit_1"), REFUSED)
    stored = brief.batches.create("bat_1", "acme", members)
    assert (stored.size, stored.ended, stored.counts) == (2, 1, {"queued": 1, "rejected": 1})
    assert [(one.index, one.custom_id, one.problem) for one in stored.refused] == [(1, "bad", PROBLEM)]
    assert stored.expires_at == pytest.approx(stored.created_at + 0.8)
    assert brief.batches.get("bat_1", "acme") == stored
    assert brief.batches.members("bat_1") == members
    assert brief.batches.get("bat_1", "other") is None
    assert brief.batches.get("bat_2", "acme") is None
    brief.sleep(1.0)
    assert brief.batches.get("bat_1", "acme") is None
    assert brief.batches.members("bat_1") == ()
    assert brief.batches.ended("bat_1") == ()


def test_a_batch_that_is_kept_again_stays_as_it_is(place: Place) -> None:
    members = [place.fit("fit_a"), place.fit("fit_b"), REFUSED]
    first = place.batches.create("bat_1", "acme", members)
    place.end("fit_a")
    again = place.batches.create("bat_1", "acme", members)
    assert (again.created_at, again.expires_at) == (first.created_at, first.expires_at)
    assert again.counts == place.counts() == {"succeeded": 1, "queued": 1, "rejected": 1}
    assert place.batches.ended("bat_1") == (Ended("fit_a", "succeeded"),)


def test_only_the_first_refusals_are_in_the_record(place: Place) -> None:
    members = [Member(str(number), None, problem=PROBLEM) for number in range(30)]
    stored = place.batches.create("bat_1", "acme", members)
    assert [one.index for one in stored.refused] == list(range(20))
    assert (stored.ended, stored.counts) == (30, {"rejected": 30})


def test_fits_are_told_in_the_order_in_which_they_end(place: Place) -> None:
    place.batches.create("bat_1", "acme", [place.fit(f"fit_{number}") for number in range(4)])
    assert place.counts() == {"queued": 4}
    assert place.batches.ended("bat_1") == ()
    place.end("fit_2")
    claim = place.store.claim("fit_0", "w", 10.0)
    assert claim is not None
    assert place.counts() == {"queued": 2, "running": 1, "succeeded": 1}
    place.store.fail(claim, Failure("internal", "It failed", "It did."))
    place.store.cancel_many(["fit_1", "fit_2"], "acme")
    assert place.batches.ended("bat_1") == (
        Ended("fit_2", FitStatus.SUCCEEDED),
        Ended("fit_0", FitStatus.FAILED),
        Ended("fit_1", FitStatus.CANCELLED),
    )
    assert place.batches.ended("bat_1", 2) == (Ended("fit_1", FitStatus.CANCELLED),)
    assert place.counts() == {"queued": 1, "failed": 1, "cancelled": 1, "succeeded": 1}


def test_a_deleted_fit_is_gone_and_one_that_ended_before_stays_ended(place: Place) -> None:
    place.batches.create("bat_1", "acme", [place.fit("fit_1"), place.fit("fit_2")])
    place.store.delete("fit_1")
    place.end("fit_2")
    place.store.delete("fit_2")
    assert place.batches.ended("bat_1") == (Ended("fit_1", "gone"), Ended("fit_2", FitStatus.SUCCEEDED))
    assert place.counts() == {"gone": 1, "succeeded": 1}


def test_what_had_ended_or_was_deleted_before_counts_at_once(place: Place) -> None:
    members = [place.fit("fit_1"), place.fit("fit_2")]
    place.end("fit_1")
    place.store.delete("fit_2")
    stored = place.batches.create("bat_1", "acme", members)
    assert stored.ended == 2
    assert place.batches.ended("bat_1") == (Ended("fit_1", FitStatus.SUCCEEDED), Ended("fit_2", "gone"))


def test_a_fit_may_be_many_members_and_in_many_batches(place: Place) -> None:
    member = place.fit("fit_1")
    place.batches.create("bat_1", "acme", [member, member, member])
    place.batches.create("bat_2", "acme", [member])
    assert place.counts("bat_1") == {"queued": 3}
    place.end("fit_1")
    assert place.counts("bat_1") == {"succeeded": 3}
    assert place.counts("bat_2") == {"succeeded": 1}
    assert place.batches.ended("bat_1") == (Ended("fit_1", FitStatus.SUCCEEDED),)


def test_a_fit_that_begins_anew_does_not_change_a_batch_of_its_first_life(place: Place) -> None:
    place.batches.create("bat_1", "acme", [place.fit("fit_1")])
    place.store.request_cancel("fit_1")
    place.batches.create("bat_2", "acme", [place.fit("fit_1")])
    place.end("fit_1")
    assert place.counts("bat_1") == {"cancelled": 1}
    assert place.counts("bat_2") == {"succeeded": 1}


def test_a_fit_that_is_sent_again_is_counted_as_it_is(place: Place) -> None:
    place.batches.create("bat_1", "acme", [place.fit("fit_1")])
    assert place.store.claim("fit_1", "w", 0.05) is not None
    place.sleep(0.1)
    assert place.store.recover("fit_1") is not None
    assert place.counts() == {"queued": 1}
    assert place.store.claim("fit_1", "w", 10.0) is not None
    assert place.counts() == {"running": 1}


def test_fits_that_end_while_batches_are_made_hold_nobody_up(place: Place) -> None:
    members = [place.fit(f"fit_{number}") for number in range(8)]

    def end(member: Member) -> None:
        place.end(str(member.fit_id))

    with ThreadPoolExecutor(16) as pool:
        made = [
            pool.submit(place.batches.create, f"bat_{number}", "acme", members[: number + 1])
            for number in range(8)
        ]
        ended = [pool.submit(end, member) for member in members]
        for future in (*made, *ended):
            future.result(timeout=20.0)
    for number in range(8):
        found = place.batches.ended(f"bat_{number}")
        assert sorted(one.fit_id for one in found) == [f"fit_{fit}" for fit in range(number + 1)]


def test_batches_are_listed_newest_first_and_by_pages(place: Place) -> None:
    for number in range(5):
        place.batches.create(f"bat_{number}", "acme", [REFUSED])
    place.batches.create("bat_other", "other", [REFUSED])
    seen: list[str] = []
    cursor = None
    while True:
        page = place.batches.list("acme", limit=2, cursor=cursor)
        seen += [found.id for found in page.records]
        cursor = page.next_cursor
        if cursor is None:
            break
        # What comes later does not shift the pages.
        place.batches.create(f"bat_late_{len(seen)}", "acme", [REFUSED])
    assert seen == [f"bat_{number}" for number in reversed(range(5))]
    with pytest.raises(InvalidCursor):
        place.batches.list("acme", cursor="nonsense")


def test_a_deleted_batch_is_gone_and_its_fits_are_not(place: Place) -> None:
    place.batches.create("bat_1", "acme", [place.fit("fit_1")])
    assert not place.batches.delete("bat_1", "other")
    assert place.batches.delete("bat_1", "acme")
    assert not place.batches.delete("bat_1", "acme")
    assert place.batches.get("bat_1", "acme") is None
    assert place.batches.list("acme").records == ()
    place.end("fit_1")
    assert place.batches.ended("bat_1") == ()


def test_a_tenant_s_batches_have_a_budget_that_deletion_and_time_give_back(brief: Place) -> None:
    large = [Member("x" * 2000, None, problem=PROBLEM)]
    brief.batches.create("bat_1", "acme", large)
    brief.batches.create("bat_2", "acme", large)
    with pytest.raises(StoreFull) as refused:
        brief.batches.create("bat_3", "acme", [*large, brief.fit("fit_1")])
    assert refused.value.scope == "tenant"
    assert brief.batches.get("bat_3", "acme") is None
    assert brief.batches.ended("bat_3") == ()
    assert brief.batches.create("bat_4", "other", large).size == 1
    brief.batches.delete("bat_1", "acme")
    brief.batches.create("bat_5", "acme", large)
    brief.sleep(1.0)
    for number in (6, 7):
        brief.batches.create(f"bat_{number}", "acme", large)


def test_no_key_of_a_batch_lives_for_ever(brief: Place, raw: redis.Redis) -> None:
    brief.batches.create("bat_1", "acme", [brief.fit("fit_1"), brief.fit("fit_2"), REFUSED])
    brief.end("fit_1")
    brief.store.delete("fit_2")
    keys = list(raw.scan_iter("*bat_1*")) + list(raw.scan_iter("*places*"))
    assert all(raw.pttl(key) > 0 for key in keys)
    assert len(keys) == (4 if isinstance(brief.batches, RedisBatches) else 0)
    brief.sleep(1.5)
    left = {key for key in raw.scan_iter("*") if b":outcomes" not in key}
    assert all(raw.pttl(key) != -1 for key in left)


def test_a_batch_of_a_thousand_takes_few_exchanges(server: Any, raw: redis.Redis) -> None:
    settings = StoreSettings(redis_url=server.url)
    store, batches = RedisStore(settings), RedisBatches(settings)

    def exchanges() -> int:
        return int(raw.info("stats")["total_reads_processed"])

    before = exchanges()
    fits = [(record(f"fit_{number}"), b"data") for number in range(1000)]
    made = store.create_many(fits)
    batches.create(
        "bat_1",
        "acme",
        [Member("", creation[0].id, own=True) for creation in made if isinstance(creation, tuple)],
    )
    # A pipeline of many commands arrives in some reads of the server's buffer, not one for each.
    assert exchanges() - before < 1000
    assert batches.get("bat_1", "acme") is not None

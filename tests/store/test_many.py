"""What both stores promise about many fits at once: each as if it were alone; lists of some of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import redis

from store.base import Creation, QueueFull, Store, StoreFull
from store.cursors import read_cursor
from store.records import FitStatus
from store.redis import RedisStore
from store.settings import StoreSettings
from tests.store.conftest import Kit
from tests.store.examples import FAILURE, RESULT, record


def kinds(creations: Sequence[Creation]) -> list[object]:
    return [made[1] if isinstance(made, tuple) else type(made) for made in creations]


def test_many_are_created_each_as_if_alone(store: Store) -> None:
    store.create(record("fit_old"), b"old")
    fits = [(record("fit_a"), b"a"), (record("fit_old"), b"new"), (record("fit_b", queue="batch"), b"b")]
    creations = store.create_many(fits)
    assert kinds(creations) == [True, False, True]
    assert [made[0] for made in creations if isinstance(made, tuple)] == [
        store.get("fit_a"),
        store.get("fit_old"),
        store.get("fit_b"),
    ]
    assert [store.payload(fit_id) for fit_id in ("fit_a", "fit_old", "fit_b")] == [b"a", b"old", b"b"]
    assert store.create_many([]) == ()


def test_one_that_is_there_twice_is_new_once(store: Store) -> None:
    assert kinds(store.create_many([(record("fit_a"), b"a")] * 3)) == [True, False, False]
    assert len(store.list("acme").records) == 1


def test_what_gives_way_begins_anew(store: Store) -> None:
    store.create_many([(record("fit_a"), b"a"), (record("fit_b"), b"b")])
    store.request_cancel("fit_a")
    assert kinds(store.create_many([(record("fit_a"), b"a"), (record("fit_b"), b"b")])) == [True, False]


def test_a_full_queue_refuses_the_rest_alone(store: Store) -> None:
    # Eight have room.
    creations = store.create_many([(record(f"fit_{number}"), b"data") for number in range(10)])
    assert kinds(creations) == [True] * 8 + [QueueFull] * 2
    assert store.get("fit_9") is None


def test_a_spent_budget_refuses_what_does_not_fit_alone(store: Store) -> None:
    sizes = {"fit_a": 50_000, "fit_b": 60_000, "fit_c": 10}
    creations = store.create_many([(record(fit_id), b"x" * size) for fit_id, size in sizes.items()])
    assert kinds(creations) == [True, StoreFull, True]
    refused = creations[1]
    assert isinstance(refused, StoreFull)
    assert refused.scope == "tenant"


def test_refused_payloads_leave_nothing_behind(redis_kit: Kit, raw: redis.Redis) -> None:
    redis_kit.store.create_many([(record("fit_a"), b"x" * 200_000), (record("fit_b"), b"y" * 10)])
    assert list(raw.scan_iter("*fit_a*")) == []
    assert len(list(raw.scan_iter("*fit_b*blob*"))) == 1


def test_a_server_without_room_refuses_and_keeps_no_half_fit(
    raw: redis.Redis, settings: StoreSettings
) -> None:
    store = RedisStore(settings.model_copy(update={"memory_fraction": 1.0, "tenant_bytes": 1 << 30}))
    before = raw.config_get("maxmemory")["maxmemory"]
    room = 3_000_000
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] + room)
    try:
        # All that is sent is known beforehand, but what the server needs to keep it is not.
        creations = store.create_many([(record(f"fit_{i}"), b"x" * 400_000) for i in range(8)])
    finally:
        raw.config_set("maxmemory", before)
    assert set(kinds(creations)) <= {True, StoreFull}
    assert StoreFull in kinds(creations)
    for number, made in enumerate(creations):
        data = store.payload(f"fit_{number}")
        assert data == (b"x" * 400_000 if isinstance(made, tuple) else None)


def test_many_are_read_at_once(store: Store) -> None:
    store.create_many([(record("fit_a"), b"a"), (record("fit_b"), b"b"), (record("fit_c"), b"c")])
    for fit_id, artifacts in (("fit_a", {"summary": b"A" * 2500}), ("fit_b", {"posterior": b"B"})):
        claim = store.claim(fit_id, "w", 5.0)
        assert claim is not None
        assert store.finish(claim, RESULT, artifacts)
    found = store.get_many(["fit_c", "fit_x", "fit_a"])
    assert found == {"fit_c": store.get("fit_c"), "fit_a": store.get("fit_a")}
    assert store.artifacts(["fit_a", "fit_b", "fit_c", "fit_x"], "summary") == {"fit_a": b"A" * 2500}
    assert (store.get_many([]), store.artifacts([], "summary")) == ({}, {})


def test_many_are_cancelled_and_what_has_ended_stays(store: Store) -> None:
    store.create_many([(record(f"fit_{name}"), b"") for name in "abc"])
    store.claim("fit_a", "w", 5.0)
    ended = store.claim("fit_b", "w", 5.0)
    assert ended is not None
    store.fail(ended, FAILURE)
    store.cancel_many(["fit_a", "fit_b", "fit_c", "fit_x"], "acme")
    statuses = {fit_id: fit.status for fit_id, fit in store.get_many(["fit_a", "fit_b", "fit_c"]).items()}
    assert statuses == {
        "fit_a": FitStatus.CANCELLING,
        "fit_b": FitStatus.FAILED,
        "fit_c": FitStatus.CANCELLED,
    }


def test_many_are_deleted_with_all_that_is_theirs(store: Store) -> None:
    store.create_many([(record(f"fit_{name}"), b"data") for name in "abc"])
    store.delete_many(["fit_a", "fit_c", "fit_x"], "acme")
    assert set(store.get_many(["fit_a", "fit_b", "fit_c"])) == {"fit_b"}
    assert [store.gone(fit_id, "acme") for fit_id in ("fit_a", "fit_b", "fit_x")] == [True, False, False]
    assert [fit.id for fit in store.list("acme").records] == ["fit_b"]
    store.delete_many([], "acme")


def create_with(store: Store, fit_id: str, **metadata: str) -> None:
    store.create(replace(record(fit_id), metadata=metadata), b"")


def test_lists_by_metadata_and_status(store: Store) -> None:
    create_with(store, "fit_a", study="1", arm="x")
    create_with(store, "fit_b", study="1")
    create_with(store, "fit_c", study="2", arm="x")
    store.request_cancel("fit_b")

    def listed(status: FitStatus | None = None, **metadata: str) -> list[str]:
        return [fit.id for fit in store.list("acme", status=status, metadata=metadata).records]

    assert listed(study="1") == ["fit_b", "fit_a"]
    assert listed(study="1", arm="x") == ["fit_a"]
    assert listed(FitStatus.QUEUED, study="1") == ["fit_a"]
    assert listed(study="3") == listed(other="1") == []


def test_a_list_looks_at_no_more_than_its_limit_and_goes_on_there(kit: Kit) -> None:
    store: Store = type(kit.store)(kit.settings.model_copy(update={"scan_limit": 3}))
    for number in range(7):
        create_with(store, f"fit_{number}", parity=str(number % 2), half=str(number // 4))

    def pages(limit: int, **metadata: str) -> list[list[str]]:
        found, cursor = [], None
        while True:
            page = store.list("acme", limit=limit, cursor=cursor, metadata=metadata)
            found.append([fit.id for fit in page.records])
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert pages(10, half="0") == [[], ["fit_3", "fit_2", "fit_1"], ["fit_0"]]
    assert [fit_id for page in pages(1, parity="0") for fit_id in page] == [
        "fit_6",
        "fit_4",
        "fit_2",
        "fit_0",
    ]
    assert all(len(page) <= 1 for page in pages(1, parity="0"))


def test_a_cursor_of_a_filtered_list_stays_while_others_come_and_end(store: Store) -> None:
    for number in range(6):
        create_with(store, f"fit_{number}", study="1" if number % 2 else "2")
    page = store.list("acme", limit=1, metadata={"study": "1"})
    assert [fit.id for fit in page.records] == ["fit_5"]
    assert page.next_cursor is not None
    assert read_cursor(page.next_cursor)[1] == "fit_4"
    create_with(store, "fit_new", study="1")
    store.delete("fit_4")
    rest = store.list("acme", limit=2, cursor=page.next_cursor, metadata={"study": "1"})
    assert [fit.id for fit in rest.records] == ["fit_3", "fit_1"]


@pytest.mark.parametrize("limit", [1, 3])
def test_a_page_that_ends_with_the_last_is_the_last(store: Store, limit: int) -> None:
    for number in range(3):
        create_with(store, f"fit_{number}", study="1")
    cursor, seen = None, 0
    for _ in range(3 // limit):
        page = store.list("acme", limit=limit, cursor=cursor, metadata={"study": "1"})
        seen, cursor = seen + len(page.records), page.next_cursor
    assert (seen, cursor) == (3, None)

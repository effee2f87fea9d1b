"""What every store promises, over the one in memory and a real server."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from store.base import InvalidCursor, QueueFull, Store, StoreFull
from store.memory import MemoryStore
from store.records import WORKER_LOST, Claim, FitStatus, Lease, Progress, WorkerState
from store.redis import RedisStore
from tests.store.conftest import Kit
from tests.store.examples import FAILURE, RESULT, record

LEASE = 5.0


def claimed(store: Store, fit_id: str = "fit_a", lease: float = LEASE) -> Claim:
    store.create(record(fit_id), b"data")
    claim = store.claim(fit_id, "worker", lease)
    assert claim is not None
    return claim


def test_a_created_fit_is_queued_and_keeps_what_it_was_given(store: Store) -> None:
    stored, created = store.create(record(), b"data")
    assert created
    assert stored == replace(record(), created_at=stored.created_at)
    assert stored.status is FitStatus.QUEUED
    assert stored.created_at > 1e9
    assert store.get("fit_a") == stored
    assert store.payload("fit_a") == b"data"


def test_a_fit_is_its_tenant_s_alone(store: Store) -> None:
    stored, _ = store.create(record(), b"data")
    assert store.get("fit_a", "acme") == stored
    assert store.get("fit_a", "globex") is None
    assert store.get("fit_x", "acme") is None


def test_creating_twice_finds_the_first(store: Store) -> None:
    first, _ = store.create(record(), b"data")
    second, created = store.create(replace(record(), rows=99), b"other")
    assert not created
    assert second == first
    assert store.payload("fit_a") == b"data"


def test_of_many_that_create_at_once_one_does(kit: Kit) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda i: kit.store.create(record(), b"%d" % i)[1], range(8)))
    assert sum(outcomes) == 1


def test_unknown_fits(store: Store) -> None:
    assert store.get("fit_x") is None
    assert store.payload("fit_x") is None
    assert store.artifact("fit_x", "posterior") is None
    assert store.claim("fit_x", "worker", LEASE) is None
    assert store.request_cancel("fit_x") is None
    assert store.recover("fit_x") is None
    assert store.events("fit_x") == ()
    assert not store.delete("fit_x")
    assert not store.gone("fit_x", "acme")


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5500])
def test_bytes_of_any_size_come_back(store: Store, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    store.create(record(), data)
    claim = store.claim("fit_a", "worker", LEASE)
    assert claim is not None
    assert store.payload("fit_a") == data
    assert store.finish(claim, RESULT, {"posterior": data, "summary": b"{}"})
    assert store.artifact("fit_a", "posterior") == data
    assert store.artifact("fit_a", "summary") == b"{}"
    assert store.artifact("fit_a", "other") is None


def test_a_fit_from_queue_to_success(store: Store) -> None:
    claim = claimed(store)
    running = store.get("fit_a")
    assert running is not None
    assert running.status is FitStatus.RUNNING
    assert running.attempt == claim.attempt == 1
    assert running.started_at is not None
    assert claim.waited == pytest.approx(running.started_at - running.created_at, abs=1e-3)
    assert store.renew(claim, LEASE) == Lease(held=True, cancel=False)
    assert store.progress(claim, Progress("sampling", 0.5, 1.5, 100, 2)) == Lease(held=True, cancel=False)
    assert store.finish(claim, RESULT, {"posterior": b"draws"})
    done = store.get("fit_a")
    assert done is not None
    assert done.status is FitStatus.SUCCEEDED
    assert done.method == "collapsed"
    assert done.method_reason == "conjugate"
    assert done.timing == {"sample": 0.1}
    assert done.warnings == RESULT.warnings
    assert done.progress == Progress("sampling", 0.5, 1.5, 100, 2)
    assert done.finished_at is not None
    assert done.expires_at == pytest.approx(done.finished_at + 0.4, abs=1e-3)


def test_a_failure_is_kept_and_its_data_are_not(store: Store) -> None:
    assert store.fail(claimed(store), FAILURE)
    failed = store.get("fit_a")
    assert failed is not None
    assert failed.status is FitStatus.FAILED
    assert failed.failure == FAILURE
    assert store.payload("fit_a") is None


@pytest.mark.parametrize("end", ["finish", "fail", "cancelled"])
def test_an_ended_fit_changes_no_more(store: Store, end: str) -> None:
    claim = claimed(store)
    arguments = {"finish": (RESULT, {}), "fail": (FAILURE,), "cancelled": ()}
    assert getattr(store, end)(claim, *arguments[end])
    ended, events = store.get("fit_a"), store.events("fit_a")
    assert not store.finish(claim, RESULT, {"posterior": b"late"})
    assert not store.fail(claim, FAILURE)
    assert not store.cancelled(claim)
    assert store.progress(claim, Progress("sampling")) == Lease(held=False, cancel=False)
    assert store.renew(claim, LEASE) == Lease(held=False, cancel=False)
    assert store.claim("fit_a", "other", LEASE) is None
    assert store.request_cancel("fit_a") == ended
    assert store.recover("fit_a") is None
    assert store.get("fit_a") == ended
    assert store.events("fit_a") == events
    assert store.artifact("fit_a", "posterior") is None


def test_a_live_lease_keeps_others_away(kit: Kit) -> None:
    claim = claimed(kit.store, lease=0.3)
    assert kit.store.claim("fit_a", "other", LEASE) is None
    kit.sleep(0.2)
    assert kit.store.renew(claim, 0.3).held
    kit.sleep(0.2)
    assert kit.store.claim("fit_a", "other", LEASE) is None


def test_a_dead_lease_passes_the_fit_on_and_refuses_the_stale_worker(kit: Kit) -> None:
    old = claimed(kit.store, lease=0.05)
    kit.sleep(0.1)
    new = kit.store.claim("fit_a", "other", LEASE)
    assert new is not None
    assert new.attempt == 2
    assert not kit.store.finish(old, RESULT, {"posterior": b"stale"})
    assert not kit.store.renew(old, LEASE).held
    assert not kit.store.progress(old, Progress("sampling")).held
    assert kit.store.finish(new, RESULT, {"posterior": b"fresh"})
    assert kit.store.artifact("fit_a", "posterior") == b"fresh"


def test_a_worker_that_was_only_away_goes_on(kit: Kit) -> None:
    claim = claimed(kit.store, lease=0.05)
    kit.sleep(0.1)
    assert kit.store.renew(claim, LEASE).held
    assert kit.store.claim("fit_a", "other", LEASE) is None


def test_a_worker_that_was_thought_dead_gets_its_fit_back_unless_another_has_it(kit: Kit) -> None:
    claim = claimed(kit.store, lease=0.05)
    kit.sleep(0.1)
    recovered = kit.store.recover("fit_a")
    assert recovered is not None
    assert recovered.status is FitStatus.QUEUED
    assert kit.store.renew(claim, LEASE).held
    again = kit.store.get("fit_a")
    assert again is not None
    assert again.status is FitStatus.RUNNING


def test_what_a_worker_saved_is_there_for_the_next(kit: Kit) -> None:
    old = claimed(kit.store, lease=0.05)
    assert kit.store.checkpoint(old) is None
    for data in (b"first", bytes(2500), b"last"):
        assert kit.store.save_checkpoint(old, data)
        assert kit.store.checkpoint(old) == data
    kit.sleep(0.1)
    new = kit.store.claim("fit_a", "other", LEASE)
    assert new is not None
    assert not kit.store.save_checkpoint(old, b"stale")
    assert kit.store.checkpoint(old) is None
    assert kit.store.checkpoint(new) == b"last"


@pytest.mark.parametrize("end", ["finish", "fail", "cancelled"])
def test_what_was_saved_ends_with_the_fit(store: Store, end: str) -> None:
    claim = claimed(store)
    store.save_checkpoint(claim, b"half")
    arguments = {"finish": (RESULT, {}), "fail": (FAILURE,), "cancelled": ()}[end]
    assert getattr(store, end)(claim, *arguments)
    assert store.checkpoint(claim) is None


def test_what_was_saved_does_not_live_for_ever(kit: Kit) -> None:
    claim = claimed(kit.store)
    kit.store.save_checkpoint(claim, b"half")
    kit.sleep(0.3)
    assert kit.store.checkpoint(claim) is None


def test_three_dead_workers_fail_the_fit(kit: Kit) -> None:
    kit.store.create(record(), b"data")
    for attempt in (1, 2, 3):
        claim = kit.store.claim("fit_a", "worker", 0.05)
        assert claim is not None
        assert claim.attempt == attempt
        kit.sleep(0.1)
    assert kit.store.claim("fit_a", "worker", 0.05) is None
    failed = kit.store.get("fit_a")
    assert failed is not None
    assert failed.status is FitStatus.FAILED
    assert failed.failure == WORKER_LOST


def test_a_worker_that_dies_having_saved_something_new_does_not_count_against_the_fit(kit: Kit) -> None:
    kit.store.create(record(), b"data")
    for attempt in range(1, 6):
        claim = kit.store.claim("fit_a", "worker", 0.05)
        assert claim is not None
        assert (claim.attempt, claim.resumes) == (attempt, attempt > 1)
        assert kit.store.save_checkpoint(claim, b"further")
        kit.sleep(0.1)
        assert kit.store.recover("fit_a") is not None
    for _ in range(3):
        assert kit.store.claim("fit_a", "worker", 0.05) is not None
        kit.sleep(0.1)
    assert kit.store.recover("fit_a") is None
    failed = kit.store.get("fit_a")
    assert failed is not None
    assert failed.failure == WORKER_LOST


def test_a_fit_that_is_handed_back_waits_as_if_it_had_never_been_begun(kit: Kit) -> None:
    kit.store.create(record(), b"data")
    for _ in range(5):
        claim = kit.store.claim("fit_a", "worker", LEASE)
        assert claim is not None
        kit.store.progress(claim, Progress("sampling", 0.5))
        waits = kit.store.hand_back(claim)
        assert waits is not None
        assert (waits.status, waits.attempt, waits.progress) == (FitStatus.QUEUED, 0, None)
        assert waits == kit.store.get("fit_a")
        assert not kit.store.renew(claim, LEASE).held
        assert kit.store.hand_back(claim) is None
    assert kit.store.overdue() == ()
    kit.sleep(0.25)
    assert kit.store.overdue() == ("fit_a",), "a message that was not sent is missed"
    assert [event.status for event in kit.store.events("fit_a") if event.kind == "status"] == [
        *(FitStatus.QUEUED, FitStatus.RUNNING) * 5,
        FitStatus.QUEUED,
    ]


def test_what_was_saved_of_a_fit_that_is_handed_back_outlives_the_wait(kit: Kit) -> None:
    claim = claimed(kit.store)
    kit.store.save_checkpoint(claim, b"half")
    kit.store.hand_back(claim)
    kit.sleep(0.4)
    again = kit.store.claim("fit_a", "another", LEASE)
    assert again is not None
    assert again.resumes
    assert kit.store.checkpoint(again) == b"half"
    kit.store.cancelled(again)
    assert kit.store.checkpoint(again) is None


def test_a_fit_that_is_to_be_cancelled_is_when_it_is_handed_back(store: Store) -> None:
    claim = claimed(store)
    store.request_cancel("fit_a")
    assert store.hand_back(claim) is None
    cancelled = store.get("fit_a")
    assert cancelled is not None
    assert cancelled.status is FitStatus.CANCELLED


def taken(store: Store, queue: str = "interactive", message: str = "fit_of_somebody") -> str | None:
    """The fit that a message gets."""
    claim = store.take(message, queue, "worker", LEASE)
    return None if claim is None else claim.fit_id


def test_tenants_take_turns_and_each_has_its_oldest_fit_taken(kit: Kit) -> None:
    for name, tenant in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b")):
        kit.store.create(replace(record(f"fit_{name}"), tenant=tenant), b"data")
        kit.sleep(0.002)
    kit.store.create(replace(record("fit_other"), tenant="a", queue="batch"), b"data")
    assert [taken(kit.store) for _ in range(4)] == ["fit_a1", "fit_b1", "fit_a2", "fit_b2"]
    # Whoever sends one after the other does not go before all others each time.
    kit.store.create(replace(record("fit_b3"), tenant="b"), b"data")
    assert [taken(kit.store) for _ in range(3)] == ["fit_a3", "fit_b3", None]
    assert taken(kit.store, "batch") == "fit_other"


def test_what_is_cancelled_or_deleted_has_no_turn(store: Store) -> None:
    for name in ("fit_a", "fit_b", "fit_c"):
        store.create(record(name), b"data")
    store.request_cancel("fit_a")
    store.delete("fit_b")
    assert [taken(store), taken(store)] == ["fit_c", None]
    assert store.queues()["interactive"].depth == 0


def test_a_message_gets_its_own_fit_if_that_has_lost_its_worker(kit: Kit) -> None:
    kit.store.create(record("fit_a"), b"data")
    assert kit.store.claim("fit_a", "worker", 0.05) is not None
    kit.store.create(record("fit_b"), b"data")
    kit.sleep(0.1)
    assert taken(kit.store, message="fit_a") == "fit_a"
    assert taken(kit.store, message="fit_a") == "fit_b"
    assert taken(kit.store, message="fit_a") is None


def test_a_slow_fit_waits_behind_all_that_wait_and_before_all_that_come(kit: Kit) -> None:
    kit.store.create(replace(record("fit_before"), tenant="a", queue="batch"), b"data")
    kit.store.create(replace(record("fit_slow"), tenant="b"), b"data")
    claim = kit.store.take("fit_slow", "interactive", "worker", LEASE)
    assert claim is not None
    assert not claim.deferred
    handed_back = kit.store.hand_back(claim, slow=True)
    assert handed_back is not None
    assert (handed_back.queue, handed_back.attempt) == ("batch", 0)
    kit.sleep(0.002)
    kit.store.create(replace(record("fit_after"), tenant="b", queue="batch"), b"data")
    assert taken(kit.store) is None
    assert {name: queue.depth for name, queue in kit.store.queues().items()} == {"interactive": 0, "batch": 3}
    assert taken(kit.store, "batch") in {"fit_before", "fit_after"}
    if kit.store.get("fit_before").status is FitStatus.QUEUED:  # type: ignore[union-attr]
        assert taken(kit.store, "batch") == "fit_before"
    slow = kit.store.take("fit_x", "batch", "worker", LEASE)
    assert slow is not None
    assert (slow.fit_id, slow.deferred, slow.attempt) == ("fit_slow", True, 1)


def test_a_queued_fit_is_cancelled_at_once(store: Store) -> None:
    store.create(record(), b"data")
    cancelled = store.request_cancel("fit_a")
    assert cancelled is not None
    assert cancelled.status is FitStatus.CANCELLED
    assert store.claim("fit_a", "worker", LEASE) is None


def test_a_running_fit_is_asked_to_stop_and_may_keep_its_draws(store: Store) -> None:
    claim = claimed(store)
    asked = store.request_cancel("fit_a")
    assert asked is not None
    assert asked.status is FitStatus.CANCELLING
    assert store.renew(claim, LEASE) == Lease(held=True, cancel=True)
    assert store.progress(claim, Progress("sampling", 0.5)) == Lease(held=True, cancel=True)
    assert store.cancelled(claim, RESULT, {"posterior": b"some"})
    ended = store.get("fit_a")
    assert ended is not None
    assert ended.status is FitStatus.CANCELLED
    assert ended.method == "collapsed"
    assert store.artifact("fit_a", "posterior") == b"some"


def test_a_fit_that_ends_before_it_hears_of_the_cancellation_has_succeeded(store: Store) -> None:
    claim = claimed(store)
    store.request_cancel("fit_a")
    assert store.finish(claim, RESULT, {})
    ended = store.get("fit_a")
    assert ended is not None
    assert ended.status is FitStatus.SUCCEEDED


@pytest.mark.parametrize("who", ["claim", "recover"])
def test_a_cancelled_fit_of_a_dead_worker_is_cancelled(kit: Kit, who: str) -> None:
    claimed(kit.store, lease=0.05)
    kit.store.request_cancel("fit_a")
    kit.sleep(0.1)
    taken = kit.store.claim("fit_a", "other", LEASE) if who == "claim" else kit.store.recover("fit_a")
    assert taken is None
    ended = kit.store.get("fit_a")
    assert ended is not None
    assert ended.status is FitStatus.CANCELLED


def test_overdue_are_the_unclaimed_and_the_dead(kit: Kit) -> None:
    kit.store.create(record("fit_unclaimed"), b"")
    claimed(kit.store, "fit_dead", lease=0.1)
    claimed(kit.store, "fit_live")
    kit.store.fail(claimed(kit.store, "fit_ended", lease=0.1), FAILURE)
    assert kit.store.overdue() == ()
    kit.sleep(0.25)
    assert sorted(kit.store.overdue()) == ["fit_dead", "fit_unclaimed"]
    assert len(kit.store.overdue(limit=1)) == 1
    for fit_id in kit.store.overdue():
        recovered = kit.store.recover(fit_id)
        assert recovered is not None
        assert recovered.status is FitStatus.QUEUED
    assert kit.store.overdue() == ()
    assert kit.store.recover("fit_live") is None
    kit.sleep(0.25)
    assert sorted(kit.store.overdue()) == ["fit_dead", "fit_unclaimed"]


def test_a_deleted_fit_leaves_nothing_but_a_tombstone(kit: Kit) -> None:
    claim = claimed(kit.store)
    assert kit.store.delete("fit_a")
    assert kit.store.get("fit_a") is None
    assert kit.store.payload("fit_a") is None
    assert kit.store.events("fit_a") == ()
    assert kit.store.list("acme").records == ()
    assert kit.store.overdue() == ()
    assert not kit.store.renew(claim, LEASE).held
    assert not kit.store.finish(claim, RESULT, {"posterior": b"late"})
    assert kit.store.gone("fit_a", "acme")
    assert not kit.store.gone("fit_a", "others")
    assert not kit.store.delete("fit_a")
    kit.sleep(0.5)
    assert not kit.store.gone("fit_a", "acme")


def test_a_claim_from_before_a_deletion_is_void_for_the_next_fit_of_that_id(store: Store) -> None:
    old = claimed(store)
    store.delete("fit_a")
    new = claimed(store)
    assert not store.gone("fit_a", "acme")
    assert new.attempt == old.attempt
    assert not store.finish(old, RESULT, {})
    assert store.finish(new, RESULT, {})


def test_results_expire_and_are_known_to_be_gone(kit: Kit) -> None:
    assert kit.store.finish(claimed(kit.store), RESULT, {"posterior": b"draws"})
    assert not kit.store.gone("fit_a", "acme")
    kit.sleep(0.45)
    assert kit.store.get("fit_a") is None
    assert kit.store.artifact("fit_a", "posterior") is None
    assert kit.store.payload("fit_a") is None
    assert kit.store.list("acme").records == ()
    assert kit.store.gone("fit_a", "acme")
    assert kit.store.create(record(), b"data")[1]
    assert not kit.store.gone("fit_a", "acme")


def test_lists_are_newest_first_and_of_one_tenant(store: Store) -> None:
    for name in ("fit_c", "fit_a", "fit_b"):
        store.create(record(name), b"")
    store.create(record("fit_z", tenant="others"), b"")
    page = store.list("acme")
    assert [found.id for found in page.records] == ["fit_b", "fit_a", "fit_c"]
    assert page.next_cursor is None
    assert store.list("nobody").records == ()


def test_pages_join_without_gap_or_repetition(store: Store) -> None:
    names = [f"fit_{i}" for i in range(7)]
    for name in names:
        store.create(record(name), b"")
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = store.list("acme", limit=2, cursor=cursor)
        seen += [found.id for found in page.records]
        cursor = page.next_cursor
        if cursor is None:
            break
        store.delete(seen[-1])  # the fit that the cursor names may go
    assert seen == names[::-1]
    assert cursor is None


def test_lists_by_status(store: Store) -> None:
    for name in ("fit_a", "fit_b", "fit_c", "fit_d"):
        store.create(record(name), b"")
    store.claim("fit_b", "worker", LEASE)
    store.claim("fit_d", "worker", LEASE)
    page = store.list("acme", status=FitStatus.RUNNING, limit=1)
    assert [found.id for found in page.records] == ["fit_d"]
    page = store.list("acme", status=FitStatus.RUNNING, limit=1, cursor=page.next_cursor)
    assert [found.id for found in page.records] == ["fit_b"]
    assert page.next_cursor is None
    assert store.list("acme", status=FitStatus.FAILED).records == ()


@pytest.mark.parametrize("cursor", ["", "x", "ünï", "MTIz", "bmFuIGE", "////", "=" * 10])
def test_a_foreign_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        store.list("acme", cursor=cursor)


def test_events_tell_the_whole_story_in_order(kit: Kit) -> None:
    claim = claimed(kit.store)
    kit.store.progress(claim, Progress("compiling"))
    kit.store.progress(claim, Progress("sampling", 0.1))
    kit.store.progress(claim, Progress("sampling", 0.2))  # too soon
    kit.sleep(0.15)
    kit.store.progress(claim, Progress("sampling", 0.9))
    kit.store.finish(claim, RESULT, {})
    events = kit.store.events("fit_a")
    told = [(event.kind, str(event.status), event.progress and event.progress.fraction) for event in events]
    assert told == [
        ("status", "queued", None),
        ("status", "running", None),
        ("progress", "running", None),
        ("progress", "running", 0.1),
        ("progress", "running", 0.9),
        ("status", "succeeded", None),
    ]
    assert [event.at for event in events] == sorted(event.at for event in events)
    for i, event in enumerate(events):
        assert kit.store.events("fit_a", after=event.id) == events[i + 1 :]


def test_following_many_fits_at_once(store: Store) -> None:
    store.create(record("fit_a"), b"")
    store.create(record("fit_b"), b"")
    news = store.follow({"fit_a": "0", "fit_b": "0"}, 1.0)
    assert {fit_id: len(events) for fit_id, events in news.items()} == {"fit_a": 1, "fit_b": 1}
    last = {fit_id: events[-1].id for fit_id, events in news.items()}
    assert store.follow(last, 0.05) == {}
    timer = threading.Timer(0.05, store.claim, ("fit_b", "worker", LEASE))
    timer.start()
    news = store.follow(last, 2.0)
    timer.join()
    assert [event.status for event in news.pop("fit_b")] == [FitStatus.RUNNING]
    assert news == {}


def test_workers_live_as_long_as_they_beat(kit: Kit) -> None:
    assert kit.store.workers() == ()
    one = WorkerState("one", warm=False, busy=True, fit_id="fit_a", peak_memory_bytes=5)
    two = WorkerState("two", warm=True, busy=False)
    kit.store.beat(two, ttl=5.0)
    kit.store.beat(one, ttl=0.2)
    assert kit.store.workers() == (one, two)
    kit.store.beat(replace(two, busy=True), ttl=5.0)
    kit.sleep(0.3)
    assert kit.store.workers() == (replace(two, busy=True),)


def test_one_leads(kit: Kit) -> None:
    assert kit.store.lead("one", 0.2)
    assert not kit.store.lead("two", 0.2)
    kit.sleep(0.15)
    assert kit.store.lead("one", 0.2)
    kit.sleep(0.15)
    assert not kit.store.lead("two", 0.2)
    kit.sleep(0.1)
    assert kit.store.lead("two", 0.2)


def test_a_tenant_has_a_budget_that_expiry_and_deletion_give_back(kit: Kit) -> None:
    half = bytes(45_000)
    assert kit.store.create(record("fit_a"), half)[1]
    assert kit.store.create(record("fit_b"), half)[1]
    with pytest.raises(StoreFull) as refused:
        kit.store.create(record("fit_c"), half)
    assert refused.value.scope == "tenant"
    assert kit.store.get("fit_c") is None
    assert kit.store.create(record("fit_d", tenant="others"), half)[1]
    kit.store.delete("fit_a")
    assert kit.store.create(record("fit_c"), half)[1]
    # The data of a failed fit are gone at once, those of one that succeeded with its result.
    claim = kit.store.claim("fit_b", "worker", LEASE)
    assert claim is not None
    kit.store.fail(claim, FAILURE)
    assert kit.store.create(record("fit_e"), bytes(40_000))[1]
    claim = kit.store.claim("fit_e", "worker", LEASE)
    assert claim is not None
    kit.store.finish(claim, RESULT, {})
    with pytest.raises(StoreFull):
        kit.store.create(record("fit_f"), half)
    kit.sleep(0.45)
    assert kit.store.create(record("fit_f"), half)[1]


def test_a_full_queue_refuses_until_a_fit_ends(store: Store) -> None:
    for i in range(8):
        store.create(record(f"fit_{i}"), b"")
    with pytest.raises(QueueFull):
        store.create(record("fit_8"), b"")
    assert not store.create(record("fit_7"), b"")[1]
    store.request_cancel("fit_0")
    assert store.create(record("fit_8"), b"")[1]


def test_no_tenant_takes_every_place(kit: Kit) -> None:
    settings = kit.settings.model_copy(update={"tenant_active": 2})
    store: Store = MemoryStore(settings) if isinstance(kit.store, MemoryStore) else RedisStore(settings)
    store.create(record("fit_0"), b"")
    assert store.claim("fit_0", "worker", LEASE) is not None
    store.create(record("fit_1"), b"")
    with pytest.raises(QueueFull) as refused:
        store.create(record("fit_2"), b"")
    assert refused.value.scope == "tenant"
    assert not store.create(record("fit_1"), b"")[1]
    assert store.create(record("fit_3", tenant="others"), b"")[1]
    store.request_cancel("fit_1")
    assert store.create(record("fit_2"), b"")[1]
    with pytest.raises(QueueFull):
        store.create(record("fit_1"), b"")


def test_ping(store: Store) -> None:
    store.ping()


def ended(store: Store, kind: str) -> None:
    """Make `fit_a` end: by a failure of a kind, or cancelled."""
    claim = claimed(store)
    if kind == "cancelled":
        assert store.cancelled(claim, RESULT, {"posterior": bytes(3000)})
    else:
        assert store.fail(claim, replace(FAILURE, kind=kind))


@pytest.mark.parametrize("kind", ["worker_lost", "timeout", "internal", "store_full", "cancelled"])
def test_what_failed_in_passing_gives_way_to_the_same_request(store: Store, kind: str) -> None:
    ended(store, kind)
    again, created = store.create(replace(record(), rows=11), b"again")
    assert created
    assert (again.status, again.attempt, again.rows) == (FitStatus.QUEUED, 0, 11)
    assert (again.failure, again.finished_at, again.expires_at) == (None, None, None)
    assert store.get("fit_a") == again
    assert store.payload("fit_a") == b"again"
    assert store.artifact("fit_a", "posterior") is None
    assert [event.status for event in store.events("fit_a")] == [FitStatus.QUEUED]
    assert [found.id for found in store.list("acme").records] == ["fit_a"]
    claim = store.claim("fit_a", "worker", LEASE)
    assert claim is not None
    assert store.finish(claim, RESULT, {"posterior": b"draws"})
    assert store.artifact("fit_a", "posterior") == b"draws"


def test_a_model_that_cannot_be_fitted_stays_failed(store: Store) -> None:
    ended(store, "invalid_model")
    found, created = store.create(record(), b"again")
    assert not created
    assert found.status is FitStatus.FAILED


def test_what_gives_way_frees_its_bytes(kit: Kit) -> None:
    for _ in range(5):
        claim = claimed(kit.store)
        assert kit.store.cancelled(claim, RESULT, {"posterior": bytes(60_000)})


def test_of_many_that_begin_anew_at_once_one_does(kit: Kit) -> None:
    ended(kit.store, "internal")
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda i: kit.store.create(record(), b"%d" % i)[1], range(8)))
    assert sum(outcomes) == 1


def test_a_result_that_is_read_lives_on(kit: Kit) -> None:
    assert kit.store.finish(claimed(kit.store), RESULT, {"posterior": b"draws"})
    done = kit.store.get("fit_a")
    assert done is not None
    kit.store.extend(done)
    assert kit.store.get("fit_a") == done, "it was done of late"
    kit.sleep(0.25)
    kit.store.extend(done)
    extended = kit.store.get("fit_a")
    assert extended is not None
    assert extended.expires_at is not None
    assert done.expires_at is not None
    assert extended.expires_at - done.expires_at >= 0.2
    kit.sleep(0.25)
    assert kit.store.artifact("fit_a", "posterior") == b"draws"
    assert [found.id for found in kit.store.list("acme").records] == ["fit_a"]
    kit.sleep(0.25)
    assert kit.store.get("fit_a") is None
    assert kit.store.gone("fit_a", "acme")


def test_a_failure_does_not_live_on(kit: Kit) -> None:
    assert kit.store.fail(claimed(kit.store), FAILURE)
    failed = kit.store.get("fit_a")
    assert failed is not None
    kit.sleep(0.2)
    kit.store.extend(failed)
    assert kit.store.get("fit_a") == failed


def test_queues_tell_how_many_wait_and_for_how_long(kit: Kit) -> None:
    for name, queue in (("fit_a", "interactive"), ("fit_b", "interactive"), ("fit_c", "batch")):
        kit.store.create(record(name, queue=queue), b"")
        kit.sleep(0.1)
    queues = kit.store.queues()
    assert {queue: state.depth for queue, state in queues.items()} == {"interactive": 2, "batch": 1}
    assert queues["interactive"].age > queues["batch"].age >= 0.1
    claim = kit.store.claim("fit_a", "worker", 0.05)
    assert claim is not None
    kit.store.delete("fit_b")
    kit.store.request_cancel("fit_c")
    assert [state.depth for state in kit.store.queues().values()] == [0, 0]
    kit.sleep(0.1)
    assert kit.store.recover("fit_a") is not None
    assert kit.store.queues()["interactive"].depth == 1


def test_ends_are_counted_by_status_and_method(store: Store) -> None:
    for name in ("fit_a", "fit_b"):
        assert store.finish(claimed(store, name), RESULT, {})
    assert store.fail(claimed(store, "fit_c"), FAILURE)
    store.create(replace(record("fit_d"), method="nuts"), b"")
    store.request_cancel("fit_d")
    store.delete("fit_a")
    assert store.outcomes() == {
        ("succeeded", RESULT.method): 2,
        ("failed", "none"): 1,
        ("cancelled", "nuts"): 1,
    }

"""What both places for callbacks promise: a fit that ends has its callback due in the same moment, once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis

from store.base import Store
from store.callbacks import FIT_EVENTS, Callback, Callbacks, CallbackState, MemoryCallbacks, TooManyCallbacks
from store.memory import MemoryStore
from store.records import Claim, QueueState
from store.redis import RedisStore
from store.redis_callbacks import RedisCallbacks
from store.settings import StoreSettings
from tests.store.conftest import SHORT
from tests.store.examples import FAILURE, RESULT, record

URL = "https://example.org/ended"
SETTINGS: dict[str, Any] = SHORT | {"callback_ttl": 2.0, "open_callbacks": 3, "kept_callbacks": 4}


@dataclass(frozen=True)
class Place:
    """A store with its callbacks, and how to let time pass."""

    store: Store
    callbacks: Callbacks
    sleep: Callable[[float], None]

    def register(
        self, fit_id: str = "fit_a", url: str = URL, events: tuple[str, ...] = FIT_EVENTS
    ) -> Callback:
        return self.callbacks.register(fit_id, "acme", url, events, [fit_id])

    def claimed(self, fit_id: str = "fit_a", lease: float = 5.0) -> Claim:
        self.store.create(record(fit_id), b"data")
        claim = self.store.claim(fit_id, "worker", lease)
        assert claim is not None
        return claim

    def the_only(self, subject: str = "fit_a") -> Callback:
        (callback,) = self.callbacks.of(subject)
        return callback


@pytest.fixture(params=["memory", "redis"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "redis":
        request.getfixturevalue("raw")
        settings = StoreSettings(redis_url=request.getfixturevalue("server").url, **SETTINGS)
        return Place(RedisStore(settings), RedisCallbacks(settings), time.sleep)
    now = [1_800_000_000.0]

    def clock() -> float:
        now[0] += 1e-6
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    settings = StoreSettings(**SETTINGS)
    store = MemoryStore(settings, clock)
    return Place(store, MemoryCallbacks(store, settings, clock), sleep)


def end(place: Place, how: str) -> None:
    """Let `fit_a`, on which a callback waits, end in one of all the ways there are."""
    store = place.store
    if how in ("finish", "fail", "stopped", "draws so far"):
        claim = store.claim("fit_a", "worker", 5.0)
        assert claim is not None
        publish = {
            "finish": lambda: store.finish(claim, RESULT, {"posterior": b"draws"}),
            "fail": lambda: store.fail(claim, FAILURE),
            "stopped": lambda: store.cancelled(claim),
            "draws so far": lambda: store.cancelled(claim, RESULT, {"posterior": b"some"}),
        }
        assert publish[how]()
    elif how == "cancelled in the queue":
        store.request_cancel("fit_a")
    elif how.startswith("lost"):
        for _ in range(3):
            assert store.claim("fit_a", "worker", 0.02) is not None
            place.sleep(0.05)
        if how == "lost, found by a worker":
            assert store.claim("fit_a", "worker", 0.02) is None
        else:
            assert store.recover("fit_a") is None
    else:
        assert store.claim("fit_a", "worker", 0.02) is not None
        store.request_cancel("fit_a")
        place.sleep(0.05)
        assert store.recover("fit_a") is None


@pytest.mark.parametrize(
    ("how", "event"),
    [
        ("finish", "fit.succeeded"),
        ("fail", "fit.failed"),
        ("stopped", "fit.cancelled"),
        ("draws so far", "fit.cancelled"),
        ("cancelled in the queue", "fit.cancelled"),
        ("cancelled with a dead worker", "fit.cancelled"),
        ("lost, found by a worker", "fit.failed"),
        ("lost, found by the reconciler", "fit.failed"),
    ],
)
def test_however_a_fit_ends_its_callback_is_due(place: Place, how: str, event: str) -> None:
    place.store.create(record(), b"data")
    registered = place.register()
    assert (registered.state, registered.event) == (CallbackState.WAITING, None)
    assert place.callbacks.take(5.0) is None
    end(place, how)
    ended = place.store.get("fit_a")
    assert ended is not None
    due = place.the_only()
    assert (due.id, due.state, due.event) == (registered.id, CallbackState.PENDING, event)
    assert due.happened_at == pytest.approx(ended.finished_at, abs=1e-3)
    taken = place.callbacks.take(5.0)
    assert taken is not None
    assert (taken.id, taken.event, taken.attempts, taken.url) == (registered.id, event, 1, URL)


def test_only_what_was_asked_for_is_told(place: Place) -> None:
    claim = place.claimed()
    place.register(events=("fit.failed",))
    place.register(url=f"{URL}/2", events=("fit.failed", "fit.succeeded"))
    place.store.finish(claim, RESULT, {})
    states = [(callback.state, callback.event) for callback in place.callbacks.of("fit_a")]
    assert states == [(CallbackState.SKIPPED, "fit.succeeded"), (CallbackState.PENDING, "fit.succeeded")]
    assert place.callbacks.backlog().depth == 1


def test_two_who_asked_for_the_same_fit_are_both_told_and_one_who_asked_twice_is_told_once(
    place: Place,
) -> None:
    claim = place.claimed()
    first = place.register()
    assert place.register() == first
    second = place.register(url="https://example.net/")
    place.store.finish(claim, RESULT, {})
    assert {
        callback.id for callback in (place.callbacks.take(5.0), place.callbacks.take(5.0)) if callback
    } == {
        first.id,
        second.id,
    }
    assert place.callbacks.take(5.0) is None


def test_a_fit_that_has_ended_already_is_told_of_at_once(place: Place) -> None:
    place.store.finish(place.claimed(), RESULT, {})
    registered = place.register()
    assert (registered.state, registered.event) == (CallbackState.PENDING, "fit.succeeded")
    assert place.callbacks.take(5.0) is not None
    unwanted = place.register(events=("fit.failed",))
    assert unwanted.state is CallbackState.SKIPPED


def test_a_deleted_fit_calls_nobody_but_its_batch(place: Place) -> None:
    place.claimed()
    place.register()
    place.callbacks.register("bat_1", "acme", URL, ("batch.ended",), ["fit_a"])
    place.store.delete("fit_a")
    assert place.the_only().state is CallbackState.SKIPPED
    assert place.the_only("bat_1").state is CallbackState.PENDING


def test_a_batch_is_told_of_after_its_last_fit(place: Place) -> None:
    names = [f"fit_{i}" for i in range(4)]
    claims = {name: place.claimed(name) for name in names[:3]}
    place.store.create(record("fit_3"), b"")
    place.store.finish(claims["fit_0"], RESULT, {})
    place.callbacks.register("bat_1", "acme", URL, ("batch.ended",), [*names, "fit_x"])
    place.store.fail(claims["fit_1"], FAILURE)
    place.store.delete("fit_2")
    assert place.the_only("bat_1").state is CallbackState.WAITING
    place.store.request_cancel("fit_3")
    due = place.callbacks.take(5.0)
    assert due is not None
    assert (due.subject, due.event) == ("bat_1", "batch.ended")
    # A fit that begins anew was ended for the batch.
    place.store.create(record("fit_3"), b"")
    place.store.request_cancel("fit_3")
    assert place.callbacks.take(5.0) is None


@pytest.mark.parametrize("fits", [[], ["fit_x"]])
def test_a_batch_without_a_fit_that_could_end_is_told_of_at_once(place: Place, fits: list[str]) -> None:
    registered = place.callbacks.register("bat_1", "acme", URL, ("batch.ended",), fits)
    assert (registered.state, registered.event) == (CallbackState.PENDING, "batch.ended")


def test_an_attempt_is_one_s_own_until_its_lease_is_over(place: Place) -> None:
    place.store.finish(place.claimed(), RESULT, {})
    place.register()
    lost = place.callbacks.take(0.1)
    assert lost is not None
    assert place.callbacks.take(0.1) is None
    place.sleep(0.15)
    again = place.callbacks.take(5.0)
    assert again is not None
    assert (again.id, again.attempts) == (lost.id, 2)
    assert not place.callbacks.settle(replace(lost, status=200), CallbackState.DELIVERED)
    assert place.callbacks.settle(replace(again, status=204), CallbackState.DELIVERED)
    assert not place.callbacks.settle(replace(again, error="late"), CallbackState.FAILED)
    told = place.the_only()
    assert (told.state, told.attempts, told.status, told.due_at) == (CallbackState.DELIVERED, 2, 204, None)
    place.sleep(0.1)
    assert place.callbacks.take(5.0) is None


def test_a_tenant_whose_receivers_are_slow_keeps_no_other_waiting(place: Place) -> None:
    place.store.finish(place.claimed(), RESULT, {})
    for tenant, number in (("a", 3), ("b", 3)):
        for i in range(number):
            place.callbacks.register(f"bat_{tenant}", tenant, f"{URL}/{i}", FIT_EVENTS, ["fit_a"])
            place.sleep(0.002)

    def taken() -> Callback:
        callback = place.callbacks.take(5.0)
        assert callback is not None
        return callback

    slow = [taken(), taken()]
    assert [callback.tenant for callback in slow] == ["a", "b"]
    # The one of b is answered each time, that of a never.
    place.callbacks.settle(replace(slow[1], status=200), CallbackState.DELIVERED)
    for i in (1, 2):
        quick = taken()
        assert (quick.tenant, quick.url) == ("b", f"{URL}/{i}")
        place.callbacks.settle(replace(quick, status=200), CallbackState.DELIVERED)
    assert [taken().tenant, taken().tenant, place.callbacks.take(5.0)] == ["a", "a", None]


def test_a_failed_attempt_is_made_again_when_it_is_time(place: Place) -> None:
    place.store.finish(place.claimed(), RESULT, {})
    place.register()
    first = place.callbacks.take(5.0)
    assert first is not None
    assert place.callbacks.settle(replace(first, error="refused"), CallbackState.PENDING, retry_in=0.2)
    told = place.the_only()
    assert (told.state, told.status, told.error, told.attempts) == (CallbackState.PENDING, None, "refused", 1)
    assert place.callbacks.take(5.0) is None
    place.sleep(0.25)
    assert place.callbacks.backlog().age >= 0.04
    second = place.callbacks.take(5.0)
    assert second is not None
    assert (second.id, second.attempts, second.error) == (first.id, 2, None)
    assert place.callbacks.settle(replace(second, status=500), CallbackState.FAILED)
    assert place.the_only().state is CallbackState.FAILED
    assert place.callbacks.backlog() == QueueState(0, 0.0)
    assert place.callbacks.outcomes() == {"retried": 1, "failed": 1}


def test_a_fit_that_begins_anew_has_callbacks_of_its_own(place: Place) -> None:
    place.store.create(record(), b"")
    first = place.register()
    place.store.request_cancel("fit_a")
    place.store.create(record(), b"")
    second = place.register()
    assert (first.id == second.id, second.state) == (False, CallbackState.WAITING)
    states = [callback.state for callback in place.callbacks.of("fit_a")]
    assert states == [CallbackState.PENDING, CallbackState.WAITING]
    place.store.request_cancel("fit_a")
    taken = {callback.id for callback in (place.callbacks.take(5.0), place.callbacks.take(5.0)) if callback}
    assert taken == {first.id, second.id}


def test_one_that_is_asked_for_again_after_it_was_delivered_is_sent_again(place: Place) -> None:
    place.store.finish(place.claimed(), RESULT, {})
    first = place.register()
    assert place.register().id == first.id, "it is due still"
    taken = place.callbacks.take(5.0)
    assert taken is not None
    place.callbacks.settle(replace(taken, status=200), CallbackState.DELIVERED)
    again = place.register()
    assert (again.id == first.id, again.state) == (False, CallbackState.PENDING)


def test_few_may_wait_for_one_fit(place: Place) -> None:
    claim = place.claimed()
    for i in range(3):
        place.register(url=f"{URL}/{i}")
    with pytest.raises(TooManyCallbacks):
        place.register(url=f"{URL}/3")
    assert place.register(url=f"{URL}/1").state is CallbackState.WAITING
    place.store.finish(claim, RESULT, {})
    for _ in range(3):
        taken = place.callbacks.take(5.0)
        assert taken is not None
        place.callbacks.settle(replace(taken, status=200), CallbackState.DELIVERED)
    assert place.register(url=f"{URL}/3").state is CallbackState.PENDING


def test_who_asks_again_and_again_leaves_few_traces(place: Place, raw: redis.Redis) -> None:
    place.store.finish(place.claimed(), RESULT, {})
    for i in range(8):
        place.register(url=f"{URL}/{i}")
        taken = place.callbacks.take(5.0)
        assert taken is not None
        place.callbacks.settle(replace(taken, status=200), CallbackState.DELIVERED)
    assert [callback.url for callback in place.callbacks.of("fit_a")] == [f"{URL}/{i}" for i in range(4, 8)]
    assert len([*raw.scan_iter("ranef:callback:*")]) in (0, 4)


def test_a_callback_outlives_its_fit_and_no_key_lives_for_ever(place: Place, raw: redis.Redis) -> None:
    place.store.finish(place.claimed(), RESULT, {})
    place.register()
    place.callbacks.register("bat_1", "acme", URL, ("batch.ended",), ["fit_a"])
    place.store.create(record("fit_b"), b"")
    place.register("fit_b", events=("fit.failed",))
    place.store.request_cancel("fit_b")
    place.store.delete("fit_a")
    taken = place.callbacks.take(5.0)
    assert taken is not None
    place.callbacks.settle(replace(taken, status=500), CallbackState.PENDING, retry_in=60.0)
    assert [key for key in raw.scan_iter("*") if raw.pttl(key) == -1] == []
    place.sleep(2.1)
    assert place.callbacks.of("fit_a") == ()
    assert place.callbacks.take(5.0) is None
    assert place.callbacks.backlog().depth == 0


def test_a_claim_that_was_lost_calls_nobody(place: Place) -> None:
    old = place.claimed(lease=0.05)
    place.register()
    place.sleep(0.1)
    assert place.store.claim("fit_a", "other", 5.0) is not None
    assert not place.store.finish(old, RESULT, {"posterior": b"stale"})
    assert place.the_only().state is CallbackState.WAITING

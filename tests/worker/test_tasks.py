"""How a fit can end: `run` over the store in memory, with a sampler that only counts."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from model.errors import RanefError
from store.base import StoreFull, StoreUnavailable
from store.codec import unpack
from store.memory import MemoryStore
from store.records import Claim, FitRecord, FitStatus, Lease, Progress, Result
from tests.worker.stand_in import CountingSampler
from worker.forecast import COMPILE_TIMES
from worker.monitor import Cancelled, Monitor
from worker.settings import WorkerSettings
from worker.tasks import run

SETTINGS = WorkerSettings(renew_interval=0.02, lease_seconds=0.5, visibility_timeout=0.2, event_interval=0.0)


def submit(store: MemoryStore, **wish: Any) -> None:
    fit = FitRecord("fit_a", "acme", "y ~ x", {"name": "gaussian", "link": "identity"}, rows=3)
    store.create(fit, json.dumps(wish).encode())


def status(store: MemoryStore) -> FitStatus:
    record = store.get("fit_a")
    assert record is not None
    return record.status


def perform(store: MemoryStore, hold: Callable[[], None] = lambda: None) -> None:
    run(store, "fit_a", "worker", CountingSampler().fit, SETTINGS, hold)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_success_publishes_draws_summary_and_record(store: MemoryStore) -> None:
    submit(store, seconds=0.2)
    perform(store)
    record = store.get("fit_a")
    assert record is not None
    assert record.status is FitStatus.SUCCEEDED
    assert record.method == "counting"
    assert record.method_reason == "it is quick"
    assert set(record.timing) == {"queued", "sample"}
    assert record.warnings[0]["code"] == "counted"
    posterior, summary = store.artifact("fit_a", "posterior"), store.artifact("fit_a", "summary")
    assert posterior is not None
    meta, arrays = unpack(posterior)
    assert meta == {"names": ["b"]}
    assert arrays["b"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert summary is not None
    assert json.loads(summary) == {"prob": 0.95}


def test_progress_is_told_with_the_time_that_remains(store: MemoryStore) -> None:
    submit(store, seconds=0.3)
    perform(store)
    told = [event.progress for event in store.events("fit_a") if event.progress is not None]
    assert told[0].phase == "sampling"
    record = store.get("fit_a")
    assert record is not None
    assert record.progress is not None
    assert record.progress.draws == 5
    assert record.progress.eta_seconds == pytest.approx(0.06, abs=0.05)


def test_while_a_compiler_says_nothing_the_seconds_are_counted_down(store: MemoryStore) -> None:
    def left() -> list[float | None]:
        return [
            e.progress.eta_seconds
            for e in store.events("fit_a")
            if e.progress and e.progress.phase == "compiling"
        ]

    def fit(_: bytes, monitor: Monitor) -> Any:
        monitor.expect("nuts", 1.0)
        monitor.report("compiling")
        give_up = time.monotonic() + 10.0
        while len(left()) < 5 and time.monotonic() < give_up:
            time.sleep(0.01)
        raise RanefError

    submit(store)
    run(store, "fit_a", "worker", fit, SETTINGS)
    told = left()
    assert len(told) >= 5
    assert None not in told
    assert told == sorted(told, reverse=True)  # type: ignore[type-var]
    assert told[0] == pytest.approx(COMPILE_TIMES.expected("nuts") + 1.0, abs=0.5)


def test_the_store_hears_no_more_of_progress_than_becomes_an_event() -> None:
    heard: list[str] = []

    class Listening(MemoryStore):
        def progress(self, claim: Claim, progress: Progress) -> Lease:
            heard.append(progress.phase)
            return super().progress(claim, progress)

    def fit(_: bytes, monitor: Monitor) -> Any:
        for phase in ("preparing", "sampling", "summarizing"):
            for _ in range(1000):
                monitor.report(phase, 0.5)
        raise RanefError

    store = Listening()
    submit(store)
    run(store, "fit_a", "worker", fit, SETTINGS.model_copy(update={"event_interval": 60.0}))
    assert heard == ["preparing", "sampling", "summarizing"]


def test_an_invalid_model_fails_with_its_issues(store: MemoryStore) -> None:
    submit(store, issue="two columns are the same")
    perform(store)
    record = store.get("fit_a")
    assert record is not None
    assert record.failure is not None
    assert record.failure.kind == "invalid_model"
    assert record.failure.issues[0]["message"] == "two columns are the same"
    assert record.failure.issues[0]["pointer"] == "/formula"


def test_a_bug_fails_without_a_word_of_it_to_the_outside(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    submit(store, bug="secret of the inside")
    perform(store)
    record = store.get("fit_a")
    assert record is not None
    assert record.failure is not None
    assert record.failure.kind == "internal"
    assert "secret" not in repr(record)
    assert "secret of the inside" in caplog.text


@pytest.mark.parametrize("keeps", [False, True])
def test_a_cancellation_is_heard_within_a_step(store: MemoryStore, keeps: bool) -> None:
    submit(store, seconds=30, keeps=keeps)
    timer = threading.Timer(0.3, store.request_cancel, ("fit_a",))
    timer.start()
    began = time.monotonic()
    perform(store)
    assert time.monotonic() - began < 1.0
    assert status(store) is FitStatus.CANCELLED
    assert (store.artifact("fit_a", "posterior") is not None) == keeps


def test_a_second_message_for_the_same_fit_does_nothing(store: MemoryStore) -> None:
    submit(store)
    perform(store)
    first = store.get("fit_a")
    perform(store)
    assert store.get("fit_a") == first


def test_a_message_for_a_deleted_fit_does_nothing(store: MemoryStore) -> None:
    submit(store)
    store.delete("fit_a")
    perform(store)
    assert store.get("fit_a") is None


def test_a_fit_that_is_deleted_while_it_runs_stops(store: MemoryStore) -> None:
    submit(store, seconds=30)
    timer = threading.Timer(0.2, store.delete, ("fit_a",))
    timer.start()
    began = time.monotonic()
    perform(store)
    assert time.monotonic() - began < 1.0
    assert store.get("fit_a") is None
    assert store.artifact("fit_a", "posterior") is None


def test_the_lease_and_the_message_are_held_for_as_long_as_the_fit_runs(store: MemoryStore) -> None:
    submit(store, stuck=1.2)  # longer than the lease
    held: list[float] = []
    thread = threading.Thread(target=perform, args=(store, lambda: held.append(time.monotonic())))
    thread.start()
    while thread.is_alive():
        assert store.claim("fit_a", "other", 0.5) is None or not thread.is_alive()
        time.sleep(0.05)
    thread.join()
    assert status(store) is FitStatus.SUCCEEDED
    assert len(held) >= 10
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_a_message_that_cannot_be_held_costs_no_lease(store: MemoryStore) -> None:
    submit(store, stuck=1.0)

    def hold() -> None:
        raise ConnectionError("away")

    thread = threading.Thread(target=perform, args=(store, hold))
    thread.start()
    time.sleep(0.8)  # longer than the lease
    assert store.claim("fit_a", "other", 0.5) is None
    thread.join()
    assert status(store) is FitStatus.SUCCEEDED


class Flaky(MemoryStore):
    """A store that is away for a while, at first after so many calls."""

    def __init__(self, error: RanefError, times: int) -> None:
        super().__init__()
        self.error = error
        self.times = times

    def _maybe(self) -> None:
        if self.times > 0:
            self.times -= 1
            raise self.error


class AwayAtTheEnd(Flaky):
    def finish(self, claim: Claim, result: Result, artifacts: Any) -> bool:
        self._maybe()
        return super().finish(claim, result, artifacts)


class AwayMeanwhile(Flaky):
    def renew(self, claim: Claim, lease_seconds: float) -> Lease:
        self._maybe()
        return super().renew(claim, lease_seconds)

    def progress(self, claim: Claim, progress: Progress) -> Lease:
        self._maybe()
        return super().progress(claim, progress)


def test_a_store_that_is_away_at_the_end_is_waited_for() -> None:
    store = AwayAtTheEnd(StoreUnavailable("away"), 1)
    submit(store)
    perform(store)
    assert status(store) is FitStatus.SUCCEEDED


def test_a_store_that_is_away_meanwhile_disturbs_no_fit() -> None:
    store = AwayMeanwhile(StoreUnavailable("away"), 4)
    submit(store, seconds=0.5)
    perform(store)
    assert status(store) is FitStatus.SUCCEEDED


def test_a_result_without_room_fails_the_fit_and_says_so() -> None:
    store = AwayAtTheEnd(StoreFull("full"), 1)
    submit(store)
    perform(store)
    record = store.get("fit_a")
    assert record is not None
    assert record.failure is not None
    assert record.failure.kind == "store_full"


def test_a_sampler_that_gives_up_by_itself_is_a_cancellation_too(store: MemoryStore) -> None:
    submit(store)

    def give_up(payload: bytes, monitor: Monitor) -> Any:
        raise Cancelled

    run(store, "fit_a", "worker", give_up, SETTINGS)
    assert status(store) is FitStatus.CANCELLED

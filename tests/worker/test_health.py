"""The health check of a host's worker: it is alive, and what waits is taken."""

from dataclasses import replace

from store.memory import MemoryStore
from store.records import WorkerState
from tests.store.examples import record
from worker.health import complaint

PATIENCE = 30.0


def test_a_worker_is_judged_by_what_it_does_about_what_waits() -> None:
    now = [1_800_000_000.0]
    store = MemoryStore(clock=lambda: now[0])
    assert complaint(store, "here", PATIENCE) == "no sampling process of this host is alive"
    idle = WorkerState("here:7", warm=True, busy=False)
    store.beat(idle, 600.0)
    store.beat(WorkerState("there:7", warm=True, busy=True), 600.0)
    assert complaint(store, "here", PATIENCE) is None
    assert complaint(store, "her", PATIENCE) is not None
    store.create(record("fit_a"), b"")
    now[0] += 29.0
    assert complaint(store, "here", PATIENCE) is None
    now[0] += 2.0
    assert "has waited for 31 s" in (complaint(store, "here", PATIENCE) or "")
    store.beat(replace(idle, busy=True), 600.0)
    assert complaint(store, "here", PATIENCE) is None, "it waits for its turn"
    store.beat(idle, 600.0)
    assert store.claim("fit_a", "there:7", 5.0) is not None
    assert complaint(store, "here", PATIENCE) is None

"""A fit by NUTS whose worker dies goes on where it was, and its draws are those of one that was never interrupted."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stack.valkey import Server, running
from store.base import Store
from store.codec import pack
from store.memory import MemoryStore
from store.records import Claim, FitRecord
from store.redis import RedisStore
from store.settings import StoreSettings
from tests.worker.glmms import plan
from tests.worker.silent import Silent
from worker import chains
from worker.fitting import fit
from worker.lease import HeldLease
from worker.monitor import HandedBack, Saved
from worker.settings import WorkerSettings

SETTINGS = WorkerSettings(lease_seconds=0.05)
RECORD = FitRecord("fit_a", "acme", "y ~ x", {"name": "poisson", "link": "log"}, rows=480)


class Died(Exception):
    """What stands here for the end of a process."""


class Mortal(HeldLease):
    """A worker's monitor, which notes what is told; it dies at a fraction of the whole."""

    def __init__(self, store: Store, claim: Claim, dies_at: float) -> None:
        super().__init__(store, claim, SETTINGS, lambda: None)
        self.dies_at = dies_at
        self.fractions: list[float] = []

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        super().report(phase, fraction, draws, divergences)
        if phase in ("warmup", "sampling"):
            assert fraction is not None
            self.fractions.append(fraction)
            if fraction >= self.dies_at:
                raise Died


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        server = Server.of(tmp_path / "valkey", max_memory="100mb")
        with running(server):
            yield RedisStore(StoreSettings(redis_url=server.url))


def attempt(store: Store, dies_at: float = 2.0) -> Mortal:
    claim = None
    while claim is None:  # until the lease of the one before is dead
        claim = store.claim("fit_a", "worker", SETTINGS.lease_seconds)
    return Mortal(store, claim, dies_at)


@pytest.mark.parametrize("number", [4, 6])
def test_draws_are_bit_for_bit_those_of_an_uninterrupted_fit(
    store: Store, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_SAVING", 0.0)
    monkeypatch.setattr(chains, "_SAVING_SHARE", math.inf)
    made = plan("poisson", "log", chains=number)
    whole = fit(made, Silent())
    store.create(RECORD, b"data")
    begins = []
    # In warm-up and while sampling; more often than an attempt without progress is forgiven.
    for dies_at in (0.3, 0.5, 0.6, 0.8):
        monitor = attempt(store, dies_at)
        with pytest.raises(Died):
            fit(made, monitor)
        begins.append(monitor.fractions[0])
    monitor = attempt(store)
    resumed = fit(made, monitor)
    begins.append(monitor.fractions[0])
    assert begins[0] < 0.1
    assert begins == sorted(begins)
    assert begins[1] > 0.2
    assert begins[-1] > 0.6
    np.testing.assert_array_equal(resumed.posterior.population, whole.posterior.population)
    np.testing.assert_array_equal(
        resumed.posterior.deviations("g", range(24)), whole.posterior.deviations("g", range(24))
    )
    assert resumed.posterior.statistics == whole.posterior.statistics


def test_told_to_leave_it_saves_itself_and_the_next_process_goes_on_with_it(store: Store) -> None:
    class Leaver(Mortal):
        def leaving(self) -> bool:
            return bool(self.fractions) and self.fractions[-1] > 0.5

    made = plan("poisson", "log")
    whole = fit(made, Silent())
    store.create(RECORD, b"data")
    claim = store.claim("fit_a", "worker", 60.0)
    assert claim is not None
    leaver = Leaver(store, claim, dies_at=2.0)
    with pytest.raises(HandedBack):
        fit(made, leaver)
    handed_back = store.hand_back(claim)
    assert handed_back is not None
    assert handed_back.attempt == 0
    monitor = attempt(store)
    resumed = fit(made, monitor)
    assert monitor.fractions[0] > 0.5
    np.testing.assert_array_equal(resumed.posterior.population, whole.posterior.population)


def test_what_another_version_saved_is_not_used() -> None:
    class Foreign(Silent):
        def saved(self) -> Saved | None:
            return Saved({"places": [{"warmed": 300}]}, {"0/state/0": np.zeros(3)})

    made = plan("poisson", "log")
    np.testing.assert_array_equal(
        fit(made, Foreign()).posterior.population, fit(made, Silent()).posterior.population
    )


def test_what_is_too_large_is_not_saved() -> None:
    store = MemoryStore()
    store.create(RECORD, b"data")
    claim = store.claim("fit_a", "worker", 5.0)
    assert claim is not None
    lease = HeldLease(store, claim, WorkerSettings(checkpoint_bytes=1000), lambda: None)
    small, large = Saved({"a": 1}, {"x": np.zeros(100)}), Saved({"a": 2}, {"x": np.zeros(200)})
    lease.save(small)
    lease.save(large)
    assert store.checkpoint(claim) == pack(small.meta, small.arrays)

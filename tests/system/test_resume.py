"""A real fit by NUTS in processes that are killed or told to stop: the next one goes on with it.

Its draws are those of a fit that was never interrupted.
"""

import signal

import numpy as np
import pytest
import redis

from model.results.posterior import Posterior
from store.codec import pack, unpack
from store.keys import Keys
from store.records import Event, FitRecord, FitStatus
from store.settings import StoreSettings
from tests.system.conftest import Plant, eventually
from tests.worker.glmms import plan
from tests.worker.silent import Silent
from worker.fitting import fit


def fractions(events: tuple[Event, ...]) -> list[float]:
    """How far it was told to be, from when chains had begun to move."""
    return [
        event.progress.fraction
        for event in events
        if event.progress is not None
        and event.progress.phase in ("warmup", "sampling")
        and event.progress.fraction is not None
    ]


@pytest.mark.timeout(600)
def test_a_fit_goes_on_where_it_had_saved_itself(plant: Plant) -> None:
    made = plan("poisson", "log", draws=20_000)
    worker = plant.start_worker("tests.worker.cold")
    record = FitRecord("fit_a", "acme", "y ~ x + (1 | g)", {"name": "poisson", "link": "log"}, 480)
    plant.store.create(record, pack(*made.to_parts()))
    plant.jobs.enqueue("fit_a", "interactive")
    key = Keys(StoreSettings().key_prefix).record("fit_a")
    with redis.Redis.from_url(plant.server.url) as client:
        eventually(lambda: client.hexists(key, "checkpoint"), 240.0)
    plant.sampler("fit_a").kill()
    before = plant.store.events("fit_a")
    last = before[-1].id
    eventually(lambda: fractions(plant.store.events("fit_a", last)), 240.0)
    worker.send_signal(signal.SIGTERM)
    # It would have gone on for much longer, and compose kills after 60 s.
    assert worker.wait(20.0) == 0
    waiting = plant.store.get("fit_a")
    assert waiting is not None
    assert waiting.status is FitStatus.QUEUED
    middle = plant.store.events("fit_a")
    plant.start_worker("tests.worker.cold")
    plant.await_status("fit_a", FitStatus.SUCCEEDED, 240.0)
    first, second = fractions(before), fractions(plant.store.events("fit_a", last))
    third = fractions(plant.store.events("fit_a", middle[-1].id))
    assert plant.attempts("fit_a") >= 3
    assert third[0] >= fractions(middle)[-1]
    assert first[0] < 0.1
    # A fresh start would be where the first one was again.
    assert second[0] > 2 * first[0]
    assert second == sorted(second)
    blob = plant.store.artifact("fit_a", "posterior")
    assert blob is not None
    published = Posterior.from_parts(*unpack(blob))
    np.testing.assert_array_equal(published.population, fit(made, Silent()).posterior.population)

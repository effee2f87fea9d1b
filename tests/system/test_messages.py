"""Messages that are lost, doubled or malformed: a fit runs once, as its record says."""

import time

import psutil
import redis

from store.records import FitStatus
from tests.system.conftest import Plant, eventually


def test_a_fit_whose_message_was_lost_is_sent_again(plant: Plant) -> None:
    plant.submit("fit_a")
    with redis.Redis.from_url(plant.server.url) as client:
        assert client.delete("interactive") == 1
    plant.start_worker()
    plant.await_status("fit_a", FitStatus.SUCCEEDED)


def test_waiting_fits_are_not_sent_again_and_again(crew: Plant) -> None:
    busy = ("fit_busy_0", "fit_busy_1")
    for fit_id in busy:
        crew.submit(fit_id, seconds=2.5)
    for fit_id in busy:
        crew.await_status(fit_id, FitStatus.RUNNING)
    waiting = [f"fit_waiting_{i}" for i in range(3)]
    for fit_id in waiting:
        crew.submit(fit_id)
    most = 0
    with redis.Redis.from_url(crew.server.url) as client:
        while crew.status(busy[0]) is FitStatus.RUNNING:
            most = max(most, client.llen("interactive"))
            time.sleep(0.05)
    # Longer than the grace after which a queued fit is looked for.
    assert most <= 3
    for fit_id in waiting:
        crew.await_status(fit_id, FitStatus.SUCCEEDED)
        assert crew.attempts(fit_id) == 1


def test_a_message_twice_runs_once(crew: Plant) -> None:
    crew.submit("fit_twice", seconds=1)
    crew.jobs.enqueue("fit_twice", "interactive")
    crew.jobs.enqueue("fit_twice", "batch")
    crew.await_status("fit_twice", FitStatus.SUCCEEDED)
    eventually(lambda: not crew.jobs.waiting())
    assert crew.attempts("fit_twice") == 1


def test_samplers_are_fresh_processes(crew: Plant) -> None:
    """One forked from a process in which JAX has run hangs."""
    for state in crew.store.workers():
        assert "spawn_main" in " ".join(psutil.Process(int(state.id.rpartition(":")[2])).cmdline())


def test_malformed_messages_stop_nobody(crew: Plant) -> None:
    crew.jobs.app.send_task("fit", kwargs={"fit": "fit_x"}, queue="interactive", retry=False)
    crew.jobs.app.send_task("fit", args=[{"not": "an id"}], queue="interactive", retry=False)
    crew.jobs.app.send_task("rm", args=["-rf"], queue="interactive", retry=False)
    crew.submit("fit_after_rubbish")
    crew.await_status("fit_after_rubbish", FitStatus.SUCCEEDED)
    eventually(lambda: not crew.jobs.waiting())


def test_what_is_no_message_at_all_ends_its_worker_and_the_next_goes_on(plant: Plant) -> None:
    """Celery cannot be taught otherwise, which is why the server is to be ours alone."""
    worker = plant.start_worker()
    with redis.Redis.from_url(plant.server.url) as client:
        client.lpush("interactive", b"not json")
    assert worker.wait(10.0) == 1
    plant.submit("fit_after_rubbish")
    plant.start_worker()
    plant.await_status("fit_after_rubbish", FitStatus.SUCCEEDED)

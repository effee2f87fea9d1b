"""Processes that die in mid-fit: no accepted fit is lost, none is run or published twice."""

import signal
import subprocess
import time

import psutil
import redis

from store.records import FitStatus
from tests.system.conftest import Plant, eventually


def test_a_killed_child_is_replaced_and_its_fit_tried_again(plant: Plant) -> None:
    worker = plant.start_worker()
    plant.submit("fit_a", seconds=2)
    plant.await_status("fit_a", FitStatus.RUNNING)
    plant.child(worker).kill()
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    assert plant.attempts("fit_a") == 2
    assert worker.poll() is None


def test_a_killed_worker_takes_its_child_along_and_another_has_its_fit(plant: Plant) -> None:
    first = plant.start_worker()
    child = plant.child(first)
    plant.submit("fit_a", seconds=3)
    plant.await_status("fit_a", FitStatus.RUNNING)
    plant.start_worker()
    first.kill()
    first.wait()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 2.0)
    died = time.monotonic()
    eventually(lambda: plant.attempts("fit_a") == 2, 8.0)
    assert time.monotonic() - died < 8.0
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    record = plant.store.get("fit_a")
    assert record is not None
    assert record.attempt == 2


def test_a_fit_that_kills_whoever_runs_it_is_given_up(plant: Plant) -> None:
    plant.start_worker()
    plant.submit("fit_poison", crash=True)
    plant.await_status("fit_poison", FitStatus.FAILED, 40.0)
    record = plant.store.get("fit_poison")
    assert record is not None
    assert record.failure is not None
    assert record.failure.kind == "worker_lost"
    assert record.attempt == 3
    plant.submit("fit_b")
    plant.await_status("fit_b", FitStatus.SUCCEEDED)


def test_a_fit_longer_than_lease_and_message_runs_once(plant: Plant) -> None:
    plant.start_worker()
    plant.start_worker()
    plant.submit("fit_a", stuck=3.5)
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    assert plant.attempts("fit_a") == 1


def test_a_frozen_worker_that_comes_back_publishes_nothing(plant: Plant) -> None:
    first = plant.start_worker()
    child = plant.child(first)
    plant.submit("fit_a", seconds=1.5)
    plant.await_status("fit_a", FitStatus.RUNNING)
    child.suspend()
    plant.start_worker()
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    published = plant.store.get("fit_a")
    child.resume()
    eventually(lambda: "its claim was lost" in plant.log.read_text())
    assert plant.store.get("fit_a") == published
    assert published is not None
    assert published.attempt == 2


def test_a_killed_server_comes_back_with_every_accepted_fit(plant: Plant, raw: redis.Redis) -> None:
    plant.start_worker()
    plant.submit("fit_running", seconds=5)
    for i in range(3):
        plant.submit(f"fit_{i}", queue="batch")
    plant.await_status("fit_running", FitStatus.RUNNING)
    time.sleep(1.2)  # the log is written out each second
    psutil.Process(raw.info("server")["process_id"]).kill()
    time.sleep(1.0)
    command = ["-m", "stack.child", "--", *plant.server.command]
    again = subprocess.Popen([psutil.Process().exe(), *command])
    try:
        plant.server.wait(again)
        for fit_id in ("fit_running", "fit_0", "fit_1", "fit_2"):
            plant.await_status(fit_id, FitStatus.SUCCEEDED, 40.0)
        assert plant.attempts("fit_running") == 1
    finally:
        again.terminate()
        again.wait()


def test_a_fit_whose_message_was_lost_is_sent_again(plant: Plant, raw: redis.Redis) -> None:
    plant.submit("fit_a")
    assert raw.delete("interactive") == 1
    plant.start_worker()
    plant.await_status("fit_a", FitStatus.SUCCEEDED)


def test_waiting_fits_are_not_sent_again_and_again(plant: Plant, raw: redis.Redis) -> None:
    plant.start_worker()
    plant.submit("fit_long", seconds=2.5)
    plant.await_status("fit_long", FitStatus.RUNNING)
    for i in range(3):
        plant.submit(f"fit_{i}")
    most = 0
    while plant.status("fit_long") is FitStatus.RUNNING:
        most = max(most, raw.llen("interactive"))
        time.sleep(0.05)
    assert most <= 3
    for i in range(3):
        plant.await_status(f"fit_{i}", FitStatus.SUCCEEDED)
        assert plant.attempts(f"fit_{i}") == 1


def test_a_message_twice_runs_once(plant: Plant) -> None:
    plant.start_worker()
    plant.start_worker()
    plant.submit("fit_a", seconds=1)
    plant.jobs.enqueue("fit_a", "interactive")
    plant.jobs.enqueue("fit_a", "batch")
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    eventually(lambda: not plant.jobs.waiting())
    assert plant.attempts("fit_a") == 1


def test_malformed_messages_stop_nobody(plant: Plant) -> None:
    plant.start_worker()
    plant.jobs.app.send_task("fit", kwargs={"fit": "fit_a"}, queue="interactive", retry=False)
    plant.jobs.app.send_task("fit", args=[{"not": "an id"}], queue="interactive", retry=False)
    plant.jobs.app.send_task("rm", args=["-rf"], queue="interactive", retry=False)
    plant.submit("fit_a")
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    eventually(lambda: not plant.jobs.waiting())


def test_a_sampler_that_does_not_look_up_is_killed_once_cancelled(plant: Plant) -> None:
    worker = plant.start_worker()
    plant.submit("fit_stuck", stuck=60)
    plant.await_status("fit_stuck", FitStatus.RUNNING)
    plant.store.request_cancel("fit_stuck")
    plant.await_status("fit_stuck", FitStatus.CANCELLED, 4.0)
    plant.submit("fit_b")
    plant.await_status("fit_b", FitStatus.SUCCEEDED)
    assert worker.poll() is None


def test_a_worker_that_is_told_to_stop_hands_its_fit_on(plant: Plant) -> None:
    first = plant.start_worker()
    plant.submit("fit_a", seconds=3)
    plant.await_status("fit_a", FitStatus.RUNNING)
    first.send_signal(signal.SIGTERM)
    assert first.wait(8.0) == 0
    assert plant.status("fit_a") in {FitStatus.RUNNING, FitStatus.QUEUED}
    plant.start_worker()
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    assert plant.attempts("fit_a") == 2


def test_a_worker_that_is_told_to_stop_lets_a_short_fit_end(plant: Plant) -> None:
    first = plant.start_worker()
    plant.submit("fit_a", seconds=0.6)
    plant.await_status("fit_a", FitStatus.RUNNING)
    first.send_signal(signal.SIGTERM)
    assert first.wait(8.0) == 0
    assert plant.status("fit_a") is FitStatus.SUCCEEDED

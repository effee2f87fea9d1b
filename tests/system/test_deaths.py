"""Processes that die in mid-fit: no accepted fit is lost, none is run or published twice."""

import signal
import subprocess
import time

import psutil
import redis

from store.records import FitStatus
from tests.system.conftest import Plant, eventually


def test_a_killed_child_is_replaced_and_its_fit_tried_again(crew: Plant) -> None:
    crew.submit("fit_bereft", seconds=1)
    crew.sampler("fit_bereft").kill()
    crew.await_status("fit_bereft", FitStatus.SUCCEEDED)
    assert crew.attempts("fit_bereft") == 2
    assert [worker.poll() for worker in crew.workers] == [None, None]


def test_a_killed_worker_takes_its_child_along_and_another_has_its_fit(plant: Plant) -> None:
    workers = {worker.pid: worker for worker in (plant.start_worker(), plant.start_worker())}
    plant.submit("fit_a", seconds=4)
    child = plant.sampler("fit_a")
    first = workers[child.ppid()]
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


def test_a_fit_that_kills_whoever_runs_it_is_given_up(crew: Plant) -> None:
    crew.submit("fit_poison", crash=True)
    crew.await_status("fit_poison", FitStatus.FAILED, 40.0)
    record = crew.store.get("fit_poison")
    assert record is not None
    assert record.failure is not None
    assert record.failure.kind == "worker_lost"
    assert record.attempt == 3
    crew.submit("fit_after_poison")
    crew.await_status("fit_after_poison", FitStatus.SUCCEEDED)


def test_a_fit_longer_than_lease_and_message_runs_once(crew: Plant) -> None:
    crew.submit("fit_long", stuck=3.5)
    crew.await_status("fit_long", FitStatus.SUCCEEDED)
    assert crew.attempts("fit_long") == 1


def test_a_frozen_worker_that_comes_back_publishes_nothing(crew: Plant) -> None:
    crew.submit("fit_frozen", seconds=1.5)
    sampler = crew.sampler("fit_frozen")
    sampler.suspend()
    try:
        crew.await_status("fit_frozen", FitStatus.SUCCEEDED)
        published = crew.store.get("fit_frozen")
    finally:
        sampler.resume()
    eventually(lambda: "fit_frozen ends; its claim was lost" in crew.log.read_text())
    assert crew.store.get("fit_frozen") == published
    assert published is not None
    assert published.attempt == 2


def test_a_killed_server_comes_back_with_every_accepted_fit(plant: Plant) -> None:
    plant.start_worker()
    plant.submit("fit_running", seconds=4)
    for i in range(3):
        plant.submit(f"fit_{i}", queue="batch")
    plant.await_status("fit_running", FitStatus.RUNNING)
    time.sleep(1.2)  # the log is written out each second
    with redis.Redis.from_url(plant.server.url) as client:
        psutil.Process(client.info("server")["process_id"]).kill()
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


def test_a_sampler_that_does_not_look_up_is_killed_once_cancelled(crew: Plant) -> None:
    crew.submit("fit_stuck", stuck=60)
    crew.await_status("fit_stuck", FitStatus.RUNNING)
    crew.store.request_cancel("fit_stuck")
    crew.await_status("fit_stuck", FitStatus.CANCELLED, 4.0)
    assert [worker.poll() for worker in crew.workers] == [None, None]


def test_a_worker_that_is_told_to_stop_hands_its_fit_on(plant: Plant) -> None:
    first = plant.start_worker()
    # As in a long compilation, it does not look up; its worker may stop for one second.
    plant.submit("fit_a", stuck=6)
    plant.await_status("fit_a", FitStatus.RUNNING)
    told = time.monotonic()
    first.send_signal(signal.SIGTERM)
    assert first.wait(8.0) == 0
    assert time.monotonic() - told < 5.0
    record = plant.store.get("fit_a")
    assert record is not None
    assert (record.status, record.attempt) == (FitStatus.QUEUED, 0)
    plant.start_worker()
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    assert plant.attempts("fit_a") == 2
    record = plant.store.get("fit_a")
    assert record is not None
    assert record.attempt == 1


def test_a_worker_that_is_told_to_stop_lets_a_short_fit_end(plant: Plant) -> None:
    first = plant.start_worker()
    plant.submit("fit_a", seconds=0.6)
    plant.await_status("fit_a", FitStatus.RUNNING)
    first.send_signal(signal.SIGTERM)
    assert first.wait(8.0) == 0
    assert plant.status("fit_a") is FitStatus.SUCCEEDED

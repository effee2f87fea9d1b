"""A worker that takes nothing while fits wait ends, and is started anew; one that is busy does not."""

import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from store.records import FitStatus
from tests.system.conftest import QUICK, ROOT, Plant, eventually
from worker.health import complaint
from worker.watchdog import DEAF

DEAF_APP = "tests.worker.deaf"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANEF_DEAF_PATIENCE", "2.5")
    monkeypatch.setenv("RANEF_WATCH_INTERVAL", "0.2")


def health(plant: Plant) -> "subprocess.CompletedProcess[str]":
    """Run the health check as a container's supervisor does."""
    environment = os.environ | QUICK | {"REDIS_URL": plant.server.url}
    command = [sys.executable, "-m", "worker.health"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def deafen(plant: Plant) -> None:
    """Make the workers' consumers take nothing more, though they are alive and connected."""
    for queue in ("interactive", "batch"):
        eventually(lambda queue=queue: plant.jobs.app.control.cancel_consumer(queue, reply=True, timeout=2.0))


def test_a_deaf_worker_says_so_and_ends_once_fits_wait(plant: Plant) -> None:
    worker = plant.start_worker(DEAF_APP)
    (child,) = plant.store.workers()
    assert health(plant).returncode == 0
    deafen(plant)
    time.sleep(3.5)
    assert worker.poll() is None, "while nothing waits, taking nothing is right"
    plant.submit("fit_a")
    eventually(lambda: complaint(plant.store, socket.gethostname(), 1.25))
    assert worker.poll() is None, "it is told of before the end"
    assert worker.wait(10.0) == DEAF
    assert plant.status("fit_a") is FitStatus.QUEUED
    eventually(lambda: not psutil.pid_exists(int(child.id.rpartition(":")[2])), 3.0)


def test_who_supervises_it_starts_it_anew_and_the_fit_is_taken(plant: Plant) -> None:
    supervisor = plant.start_worker(DEAF_APP, sys.executable, "-m", "stack.again", "--")
    deafen(plant)
    plant.submit("fit_a")
    plant.await_status("fit_a", FitStatus.SUCCEEDED, 120.0)
    assert supervisor.poll() is None
    assert plant.log.read_text().count("it ends to be started anew") == 1


def test_a_worker_that_is_busy_is_left_alone_however_many_wait(plant: Plant) -> None:
    worker = plant.start_worker()
    plant.submit("fit_long", seconds=5)
    plant.await_status("fit_long", FitStatus.RUNNING)
    plant.submit("fit_waits")
    plant.await_status("fit_waits", FitStatus.SUCCEEDED)
    assert plant.attempts("fit_long") == 1
    assert worker.poll() is None
    assert complaint(plant.store, socket.gethostname(), 1.25) is None

"""Real processes: a Valkey server, workers with a sampler that only counts, and what they share."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from stack.valkey import Server, running
from store.jobs import Jobs
from store.records import FitRecord, FitStatus
from store.redis import RedisStore
from store.settings import StoreSettings

ROOT = Path(__file__).parent.parent.parent

# What takes seconds in earnest, here in fractions; both sides read it.
QUICK = {
    "RANEF_LEASE_SECONDS": "1.2",
    "RANEF_RENEW_INTERVAL": "0.2",
    "RANEF_QUEUE_GRACE": "1.0",
    "RANEF_RECONCILE_INTERVAL": "0.3",
    "RANEF_CANCEL_PATIENCE": "1.0",
    "RANEF_HEARTBEAT_INTERVAL": "0.2",
    "RANEF_HEARTBEAT_TTL": "2.0",
    "RANEF_VISIBILITY_TIMEOUT": "2.0",
    "RANEF_SOFT_SHUTDOWN": "1.0",
}


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a condition holds; fails the test if it does not in time."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not come about in time"
        time.sleep(0.02)


@dataclass
class Plant:
    """A server, its store and queue, and the workers started so far."""

    server: Server
    store: RedisStore
    jobs: Jobs
    log: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self, app: str = "tests.worker.stand_in", *before_it: str) -> subprocess.Popen[bytes]:
        """Start a worker, perhaps by another command, and wait until its child is warm."""
        before = {state.id for state in self.store.workers()}
        command = [sys.executable, "-m", "stack.child", "--", *before_it, sys.executable, "-m", "celery"]
        options = ["--app", app, "worker", "--loglevel", "INFO"]
        options += ["--hostname", f"w{len(self.workers)}@test", "--without-gossip", "--without-mingle"]
        environment = os.environ | QUICK | {"REDIS_URL": self.server.url, "REMAP_SIGTERM": "SIGQUIT"}
        with self.log.open("ab") as log:
            worker = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.workers.append(worker)
        eventually(lambda: {state.id for state in self.store.workers() if state.warm} - before, 60.0)
        return worker

    def submit(self, fit_id: str, queue: str = "interactive", tenant: str = "acme", **wish: Any) -> None:
        """Create a fit whose payload says how its sampler is to behave, and send it."""
        fit = FitRecord(fit_id, tenant, "y ~ x", {"name": "gaussian", "link": "identity"}, 3, queue=queue)
        self.store.create(fit, orjson.dumps(wish))
        self.jobs.enqueue(fit_id, queue)

    def status(self, fit_id: str) -> FitStatus:
        """Give a fit's status."""
        record = self.store.get(fit_id)
        assert record is not None
        return record.status

    def await_status(self, fit_id: str, status: FitStatus, seconds: float = 20.0) -> None:
        """Wait until a fit has a status."""
        eventually(lambda: self.status(fit_id) is status, seconds)

    def sampler(self, fit_id: str) -> psutil.Process:
        """Give the process that runs a fit."""

        def found() -> list[int]:
            return [
                int(state.id.rpartition(":")[2]) for state in self.store.workers() if state.fit_id == fit_id
            ]

        eventually(found)
        return psutil.Process(found()[0])

    def attempts(self, fit_id: str) -> int:
        """Count how often a fit was begun."""
        return self.log.read_text(errors="replace").count(f"{fit_id} begins")


@contextmanager
def planted(folder: Path) -> Iterator[Plant]:
    """Run a plant without workers, and end those that are started in it."""
    server = Server.of(folder / "valkey", max_memory="100mb")
    with running(server):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in QUICK.items():
                patch.setenv(name, value)
            settings = StoreSettings(redis_url=server.url)
        plant = Plant(server, RedisStore(settings), Jobs(settings), folder / "worker.log")
        yield plant
        for worker in plant.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """A plant to do damage to."""
    with planted(tmp_path) as plant:
        yield plant


@pytest.fixture(scope="session")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A plant with two workers, whose children may be killed but who are not."""
    with planted(tmp_path_factory.mktemp("crew")) as plant:
        plant.start_worker()
        plant.start_worker()
        yield plant

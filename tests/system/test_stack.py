"""The one-command start: up, ready, and down with nothing left behind, however it goes down."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.system.conftest import ROOT, Plant, eventually


@dataclass
class Stack:
    """A running `python -m stack.up`."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    port: int
    log: Path

    def output(self) -> str:
        """Give what it has printed so far."""
        return self.log.read_text(errors="replace")

    def answers(self, path: str) -> int | None:
        """Give the status of a GET, or None without an answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=2.0, trust_env=False).status_code
        except httpx.TransportError:
            return None

    def family(self) -> list[psutil.Process]:
        """Give all processes that it started."""
        return psutil.Process(self.process.pid).children(recursive=True)


def start(folder: Path, root: Path = ROOT, **environment: str) -> Stack:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    variables = kept | {"RANEF_DATA": str(folder), "PORT": str(port)} | environment
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix(".log")
    with log.open("wb") as out:
        command = [sys.executable, "-m", "stack.up"]
        process = subprocess.Popen(
            command, cwd=root, env=variables, stdout=out, stderr=out, start_new_session=True
        )
    return Stack(process, folder, port, log)


def left_of(family: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def await_ready(stack: Stack) -> None:
    """Wait until the service answers and the worker takes fits."""

    def ready() -> bool:
        assert stack.process.poll() is None, stack.output()
        return "ready." in stack.output() and stack.answers("/readyz") == 200

    eventually(ready, 40.0)


def stop(stack: Stack, number: signal.Signals) -> None:
    """End a stack by a signal, and see that nothing of it is left but its data."""
    family = stack.family()
    began = time.monotonic()
    stack.process.send_signal(number)
    assert stack.process.wait(10.0) == 0
    assert time.monotonic() - began < 6.0
    eventually(lambda: not left_of(family), 2.0)
    assert not list(stack.folder.rglob("*.sock"))


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Starts stacks that do not outlive the test."""
    started: list[Stack] = []

    def start_one(name: str = "data", root: Path = ROOT, **environment: str) -> Stack:
        started.append(start(tmp_path / name, root, **environment))
        return started[-1]

    yield start_one
    for stack in started:
        if stack.process.poll() is None:
            stack.process.kill()
        stack.process.wait()


def test_a_stack_keeps_others_off_its_data_and_ends_with_ctrl_c(stacks: Callable[..., Stack]) -> None:
    stack = stacks()
    await_ready(stack)
    assert len(stack.family()) >= 8  # three relays, server and its parent, worker and its child, service
    second = stacks()
    assert second.process.wait(20.0) == 1
    assert "another one runs in" in second.output()
    assert stack.answers("/readyz") == 200
    stop(stack, signal.SIGINT)
    assert (stack.folder / "valkey" / "appendonlydir").is_dir()


ODD = "a b#c?d;e%41f&é'\"$(x)"


def test_odd_names_of_folders_and_proxies_are_in_nobodys_way(
    stacks: Callable[..., Stack], tmp_path: Path
) -> None:
    root = tmp_path / ODD / "checkout"
    for folder in ("model", "store", "service", "worker", "stack"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "Procfile", root)
    nowhere = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), nowhere)
    stack = stacks(f"{ODD}/data", root, RANEF_HEARTBEAT_INTERVAL="0.2", **proxies)
    ready = f"ranef is ready. It answers at http://127.0.0.1:{stack.port} "
    eventually(lambda: ready in stack.output(), 120.0)
    assert stack.output().count(ready) == 1
    # It was so when it was said, and nothing of Celery's stands in the way.
    assert stack.answers("/readyz?workers=1") == 200
    for noise in ("superuser", "[queues]", "transport:"):
        assert noise not in stack.output()
    assert (tmp_path / ODD / "data" / "valkey" / "appendonlydir").is_dir()
    stop(stack, signal.SIGINT)


def test_nothing_outlives_a_killed_supervisor_or_a_server_that_died(stacks: Callable[..., Stack]) -> None:
    stack = stacks()
    await_ready(stack)
    family = stack.family()
    stack.process.kill()
    stack.process.wait()
    eventually(lambda: not left_of(family), 10.0)
    again = stacks()  # on the data that are left
    await_ready(again)
    family = again.family()
    started = re.search(r"valkey started \(pid=(\d+)\)", again.output())
    assert started is not None
    psutil.Process(int(started[1])).kill()
    assert again.process.wait(12.0) == 1
    eventually(lambda: not left_of(family), 2.0)
    assert "valkey stopped (rc=-9)" in again.output()
    assert "a process ended by itself" in again.output()


def test_with_a_server_of_ones_own_nothing_is_embedded(stacks: Callable[..., Stack], plant: Plant) -> None:
    stack = stacks(REDIS_URL=plant.server.url)
    await_ready(stack)
    assert "valkey started" not in stack.output()
    assert not (stack.folder / "valkey").exists()
    stop(stack, signal.SIGTERM)
    plant.store.ping()

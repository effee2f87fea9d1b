"""The service under many idle listeners and steady predictions, as ratios to the same service at rest.

Run it with `python -m benchmarks.service`; it starts a stack of its own and prints a table.
"""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psutil

from stack.valkey import Server, running

ROOT = Path(__file__).parents[1]
LISTENERS = 500
PREDICTIONS_A_SECOND = 50
SECONDS = 6.0
TURNS = 3
WARM_UP, POSTS = 5, 30  # the first meet programs that are not compiled
FORMULA = "y ~ x + (1 + x | g)"
JSON = {"Content-Type": "application/json"}


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Send a request; gives the status and the body of the answer."""
        content = None if body is None else orjson.dumps(body)
        self._connection.request(method, path, content, {**JSON, **headers})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def request(seed: int) -> dict[str, Any]:
    """A fit of sleepstudy's size: 18 subjects on ten days."""
    source = np.random.default_rng(seed)
    subject, day = np.repeat(np.arange(18), 10), np.tile(np.arange(10.0), 18)
    deviation = source.normal(0, [25.0, 6.0], (18, 2))
    y = 251 + 10.5 * day + deviation[subject, 0] + deviation[subject, 1] * day + source.normal(0, 25.6, 180)
    columns = {"y": y.tolist(), "x": day.tolist(), "g": [f"s{i}" for i in subject]}
    return {"formula": FORMULA, "data": {"columns": columns}, "sampler": {"seed": seed}}


@contextlib.contextmanager
def process(module: str, environment: dict[str, str]) -> Iterator[int]:
    """Run a module of ours as long as the context lasts; gives its process id."""
    child = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait()


def await_answer(port: int, path: str, seconds: float) -> None:
    """Wait until a path is answered with 200."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            if Client(port)("GET", path)[0] == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"{path} does not answer")


def livez(port: int, seconds: float) -> np.ndarray[Any, Any]:
    """Ask a hundred times a second whether the service lives; gives milliseconds."""
    client, times = Client(port), []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        client("GET", "/livez")
        times.append(1000 * (time.perf_counter() - started))
        time.sleep(max(0.0, 0.01 - (time.perf_counter() - started)))
    return np.array(times)


@contextlib.contextmanager
def listeners(port: int, fits: list[str]) -> Iterator[None]:
    """Hold open event streams of fits to which nothing happens."""
    with contextlib.ExitStack() as open_streams:
        for i in range(LISTENERS):
            stream = open_streams.enter_context(socket.create_connection(("127.0.0.1", port)))
            path = f"/v1/fits/{fits[i % len(fits)]}/events"
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: b\r\nAccept: text/event-stream\r\n\r\n".encode())
            assert b" 200 " in stream.recv(4096).split(b"\r\n")[0]
        yield


@contextlib.contextmanager
def predictions(port: int, fit: str) -> Iterator[list[float]]:
    """Predict ten new rows at a steady rate; gives how many milliseconds each took."""
    body = {"data": {"columns": {"x": list(range(10)), "g": ["s1"] * 10}}}
    times: list[float] = []
    over = threading.Event()

    def predict() -> None:
        client, due = Client(port), time.perf_counter()
        while not over.is_set():
            started = time.perf_counter()
            status, _ = client("POST", f"/v1/fits/{fit}/predictions", body)
            assert status == 200
            times.append(1000 * (time.perf_counter() - started))
            due += 1 / PREDICTIONS_A_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))

    thread = threading.Thread(target=predict)
    thread.start()
    yield times
    over.set()
    thread.join()


def report(name: str, times: Any, rest: float) -> None:
    """Print a row: the quantiles of some durations, and their p50 and p99 in units of the p50 of /livez at rest."""
    p50, p90, p99 = np.quantile(times, [0.5, 0.9, 0.99])
    cells = f"{len(times)} | {p50:.1f} | {p90:.1f} | {p99:.1f} | {p50 / rest:.1f} | {p99 / rest:.1f}"
    print(f"| {name} | {cells} |", flush=True)


def share(service: psutil.Process, since: tuple[float, float]) -> float:
    """Give the share of a core that a process has taken since (a time, its seconds of CPU then)."""
    return (busy(service)[1] - since[1]) / (time.perf_counter() - since[0])


def busy(service: psutil.Process) -> tuple[float, float]:
    """Give the time, and how many seconds of CPU a process has taken until now."""
    taken = service.cpu_times()
    return time.perf_counter(), taken.user + taken.system


def posts(port: int) -> tuple[list[float], str]:
    """Submit fits of new data and wait for each; gives milliseconds, and the id of the last."""
    client, times = Client(port), []
    for seed in range(WARM_UP + POSTS):
        started = time.perf_counter()
        fit = orjson.loads(client("POST", "/v1/fits", request(seed), Prefer="wait=30")[1])
        while fit["status"] != "succeeded":
            fit = orjson.loads(client("GET", f"/v1/fits/{fit['id']}", Prefer="wait=30")[1])
        times.append(1000 * (time.perf_counter() - started))
    return times[WARM_UP:], fit["id"]


def main() -> None:
    """Measure posts beside a worker, then a service without one under load."""
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; durations in ms\n")
    print("| what | n | p50 | p90 | p99 | p50, times /livez at rest | p99, times /livez at rest |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = Server.of(Path(folder) / "valkey", max_memory="500mb")
        environment = os.environ | {"REDIS_URL": server.url, "PORT": str(port), "RANEF_RATE_QUOTA": "0"}
        with running(server), process("service", environment) as pid:
            with process("worker", environment):
                await_answer(port, "/readyz?workers=1", 300)
                beside = livez(port, SECONDS)
                report("/livez, beside an idle worker", beside, float(np.median(beside)))
                waited, finished = posts(port)
                report(
                    "POST /v1/fits with Prefer: wait, 180 rows, new data", waited, float(np.median(beside))
                )
            measure_load(port, finished, psutil.Process(pid))


def measure_load(port: int, finished: str, service: psutil.Process) -> None:
    """Measure the service alone: at rest, with listeners, and with predictions besides, in turns."""
    queued = [orjson.loads(Client(port)("POST", "/v1/fits", request(1000 + i))[1])["id"] for i in range(20)]
    measured: dict[str, list[Any]] = {"at rest": [], "listeners": [], "both": [], "predictions": []}
    shares: dict[str, list[float]] = {"listeners": [], "both": []}
    for _ in range(TURNS):
        measured["at rest"].append(livez(port, SECONDS))
        with listeners(port, queued):
            since = busy(service)
            measured["listeners"].append(livez(port, SECONDS))
            shares["listeners"].append(share(service, since))
            with predictions(port, finished) as predicted:
                since = busy(service)
                measured["both"].append(livez(port, SECONDS))
                shares["both"].append(share(service, since))
            measured["predictions"].append(predicted)
    times = {name: np.concatenate(parts) for name, parts in measured.items()}
    rest = float(np.median(times["at rest"]))
    report("/livez, at rest", times["at rest"], rest)
    report(f"/livez, {LISTENERS} idle listeners", times["listeners"], rest)
    report(f"/livez, and {PREDICTIONS_A_SECOND} predictions a second", times["both"], rest)
    report("the predictions: 10 rows of 4,000 draws", times["predictions"], rest)
    turns = ", ".join(f"{np.quantile(turn, 0.99):.1f}" for turn in measured["both"])
    print(f"\np99 of /livez under both, turn by turn: {turns} ms; the goal is 50 ms")
    for name, taken in shares.items():
        print(f"of one core the service takes {np.mean(taken):.0%} under {name}, /livez included")


if __name__ == "__main__":
    main()

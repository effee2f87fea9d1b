"""The service under many idle listeners and steady predictions, as ratios to the same service at rest.

Run it with `python -m benchmarks.service`; it starts a stack of its own and prints latencies in milliseconds.
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

from stack.valkey import Server, running

ROOT = Path(__file__).parents[1]
LISTENERS = 500
PREDICTIONS_A_SECOND = 50
SECONDS = 8.0
POSTS = 30
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
def process(module: str, environment: dict[str, str]) -> Iterator[None]:
    """Run a module of ours as long as the context lasts."""
    child = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
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
    """Print the quantiles of some durations, and the last one's ratio to the p99 of /livez at rest."""
    p50, p90, p99 = np.quantile(times, [0.5, 0.9, 0.99])
    print(
        f"{name:48} n {len(times):5}  p50 {p50:7.1f}  p90 {p90:7.1f}  p99 {p99:7.1f}  x rest {p99 / rest:6.1f}"
    )


def main() -> None:
    """Measure posts beside a worker, then a service without one under load."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = Server.of(Path(folder) / "valkey", max_memory="500mb")
        environment = os.environ | {"REDIS_URL": server.url, "PORT": str(port), "RANEF_RATE_QUOTA": "0"}
        with running(server), process("service", environment):
            with process("worker", environment):
                await_answer(port, "/readyz?workers=1", 300)
                rest = livez(port, SECONDS)
                at_rest = float(np.quantile(rest, 0.99))
                report("/livez, at rest, beside a worker", rest, at_rest)
                client, posts = Client(port), []
                for seed in range(POSTS + 1):
                    started = time.perf_counter()
                    status, answer = client("POST", "/v1/fits", request(seed), Prefer="wait=30")
                    posts.append(1000 * (time.perf_counter() - started))
                    assert status == 201, answer
                finished = orjson.loads(answer)["id"]
                report("POST with Prefer: wait, 180 rows", posts[1:], at_rest)
            rest = livez(port, SECONDS)
            at_rest = float(np.quantile(rest, 0.99))
            report("/livez, at rest", rest, at_rest)
            # The service has closed the connection that was idle meanwhile.
            client = Client(port)
            queued = [orjson.loads(client("POST", "/v1/fits", request(1000 + i))[1])["id"] for i in range(20)]
            with listeners(port, queued):
                report(f"/livez, {LISTENERS} idle listeners", livez(port, SECONDS), at_rest)
                with predictions(port, finished) as predicted:
                    loaded = livez(port, SECONDS)
                report(f"/livez, and {PREDICTIONS_A_SECOND} predictions a second", loaded, at_rest)
                report("the predictions", predicted, at_rest)


if __name__ == "__main__":
    main()

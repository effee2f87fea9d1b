"""Predictions of 100 rows from 4,000 draws, a hundred times a second, by one service process.

Run it with `python -m benchmarks.predictions`; it starts a stack of its own, loads it from another process, and prints
milliseconds beside those of the same service's barest route.
"""

import http.client
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
import orjson

from benchmarks.service import Client, await_answer, process, report
from stack.valkey import Server, running

ROWS, RATE, SECONDS, CONNECTIONS = 100, 100, 20.0, 8
LEVELS, PUPILS = 40, 20
FORMULA = "y ~ x + (1 + x | g)"


def request(levels: int = LEVELS, seed: int = 1) -> dict[str, Any]:
    """A fit of the classroom's size: 40 levels of 20 rows."""
    source = np.random.default_rng(seed)
    group, x = np.repeat(np.arange(levels), PUPILS), source.normal(size=levels * PUPILS)
    deviation = source.normal(0, [5.0, 3.0], (levels, 2))
    y = 520 - 5 * x + deviation[group, 0] + deviation[group, 1] * x + source.normal(0, 8, len(x))
    columns = {"y": y.tolist(), "x": x.tolist(), "g": [f"t{i}" for i in group]}
    return {"formula": FORMULA, "data": {"columns": columns}, "sampler": {"seed": seed}}


def rows(seed: int, levels: int = LEVELS) -> dict[str, Any]:
    """A hundred rows at random."""
    source = np.random.default_rng(seed)
    group = source.integers(0, levels, ROWS)
    return {"columns": {"x": source.normal(size=ROWS).tolist(), "g": [f"t{i}" for i in group]}}


def load(port: int, path: str, bodies: list[Any], seconds: float, turn: int, out: Any) -> None:
    """One of the connections of the load: sends at its turns, however long answers take, and gives milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    contents = [orjson.dumps(body) for body in bodies]
    times = []
    due = time.perf_counter() + turn / RATE
    end = due + seconds
    sent = 0
    while due < end:
        time.sleep(max(0.0, due - time.perf_counter()))
        if contents:
            content = contents[sent % len(contents)]
            connection.request("POST", path, content, {"Content-Type": "application/json"})
        else:
            connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        # From when it was due: a request that waits behind another has waited.
        times.append(1000 * (time.perf_counter() - due))
        due += CONNECTIONS / RATE
        sent += 1
    out.put(times)


def under_load(port: int, path: str, bodies: list[Any], seconds: float = SECONDS) -> np.ndarray[Any, Any]:
    """Send a hundred requests a second over some connections of another process; gives milliseconds."""
    out: Any = multiprocessing.SimpleQueue()
    feeder = multiprocessing.Process(target=feed, args=(port, path, bodies, seconds, out))
    feeder.start()
    times = out.get()
    feeder.join()
    return np.array(times)


def feed(port: int, path: str, bodies: list[Any], seconds: float, out: Any) -> None:
    """The process that makes the load, one thread to a connection."""
    found: SimpleQueue[list[float]] = SimpleQueue()
    threads = [
        Thread(target=load, args=(port, path, bodies, seconds, turn, found)) for turn in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    out.put([time for _ in threads for time in found.get()])


def main(seconds: float = SECONDS) -> None:
    """Fit once, stop the worker, then measure first touches and steady loads."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = Server.of(Path(folder) / "valkey", max_memory="500mb")
        environment = os.environ | {"REDIS_URL": server.url, "PORT": str(port), "RANEF_RATE_QUOTA": "0"}
        with running(server):
            with process("service", environment), process("worker", environment):
                await_answer(port, "/readyz?workers=1", 300)
                client = Client(port)
                status, answer = client("POST", "/v1/fits", request(), Prefer="wait=30")
                assert status == 201, answer
                path = f"/v1/fits/{orjson.loads(answer)['id']}/predictions"
            asked = [{"data": rows(seed)} for seed in range(20)]
            first = []
            for _ in range(5):
                with process("service", environment):
                    await_answer(port, "/readyz", 60)
                    client = Client(port)
                    client("GET", path.removesuffix("/predictions"))
                    started = time.perf_counter()
                    assert client("POST", path, asked[0])[0] == 200
                    first.append(1000 * (time.perf_counter() - started))
            with process("service", environment):
                await_answer(port, "/readyz", 60)
                under_load(port, path, asked, 2.0)
                bare = under_load(port, "/livez", [], seconds)
                rest = float(np.median(bare))
                print(
                    f"{ROWS} rows, 4 x 1000 draws, {LEVELS} levels, {RATE} requests a second; milliseconds\n"
                )
                print("| what | n | p50 | p90 | p99 | p50, times /livez | p99, times /livez |")
                print("|---|---|---|---|---|---|---|")
                report("first touch of a posterior, fresh process", np.array(first), rest)
                report("/livez", bare, rest)
                for kind in ("epred", "predict"):
                    bodies = [{**body, "kind": kind} for body in asked]
                    report(f"predictions, {kind}", under_load(port, path, bodies, seconds), rest)
                new = [{"data": rows(seed, 2 * LEVELS), "new_levels": "sample"} for seed in range(20)]
                report("predictions, half of the levels new", under_load(port, path, new, seconds), rest)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)

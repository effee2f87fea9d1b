"""Pages of a grouping factor of 100,000 levels: any page, searched and sorted, by one service process.

Run it with `python -m benchmarks.levels`; it prints milliseconds beside those of a page of 40 levels, and the memory
that the service takes.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psutil

from benchmarks.service import ROOT, Client, await_answer, process
from stack.valkey import Server, running

LEVELS, ROWS_EACH, TIMES = 100_000, 3, 7
FORMULA = "y ~ x + (1 + x | g)"
PAGES = {
    "the first page": "",
    "a page in the middle": "cursor=YWZ0ZXIgMTAwMDAw",
    "searched": "search=l99",
    "searched, without a match": "search=nobody",
    "sorted by label, descending": "sort=-label",
    "sorted by deviation": "sort=deviation&coefficient=x",
    "sorted by value, descending": "sort=-value",
    "searched and sorted by value": "search=7&sort=value&coefficient=Intercept",
}


def request(levels: int, seed: int = 1) -> dict[str, Any]:
    """A fit of correlated intercepts and slopes of many levels, three rows each."""
    source = np.random.default_rng(seed)
    group, x = np.repeat(np.arange(levels), ROWS_EACH), source.normal(size=levels * ROWS_EACH)
    deviation = source.normal(size=(levels, 2)) @ np.linalg.cholesky([[0.8, 0.3], [0.3, 0.5]]).T
    y = 1 + 0.5 * x + deviation[group, 0] + deviation[group, 1] * x + source.normal(size=len(x))
    columns = {"y": y.round(4).tolist(), "x": x.round(4).tolist(), "g": [f"l{i}" for i in group]}
    return {"formula": FORMULA, "data": {"columns": columns}, "sampler": {"seed": seed}}


def fit(client: Client, levels: int) -> str:
    """Fit and wait; gives the path of the fit."""
    status, answer = client("POST", "/v1/fits", request(levels), Prefer="wait=30")
    path = f"/v1/fits/{orjson.loads(answer)['id']}"
    while status in (200, 201, 202) and orjson.loads(answer)["status"] in ("queued", "running"):
        status, answer = client("GET", path, Prefer="wait=30")
    assert orjson.loads(answer)["status"] == "succeeded", answer
    return path


def milliseconds(client: Client, path: str) -> float:
    """How long one answer takes."""
    started = time.perf_counter()
    status, answer = client("GET", path)
    assert status == 200, answer
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Fit a small and a large factor, then ask for pages of both."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = Server.of(Path(folder) / "valkey", max_memory="1gb")
        environment = os.environ | {"REDIS_URL": server.url, "PORT": str(port), "RANEF_RATE_QUOTA": "0"}
        with running(server):
            with process("service", environment), process("worker", environment):
                await_answer(port, "/readyz?workers=1", 300)
                small, large = (fit(Client(port), levels) for levels in (40, LEVELS))
            child = subprocess.Popen(
                [sys.executable, "-m", "service"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                await_answer(port, "/readyz", 60)
                client, memory = Client(port), psutil.Process(child.pid).memory_info
                milliseconds(client, f"{small}/groups/g")
                usual = np.median([milliseconds(client, f"{small}/groups/g") for _ in range(TIMES)])
                before = memory().rss
                print(f"{LEVELS:,} levels, 4 x 1000 draws; a page of a factor of 40 levels: {usual:.1f} ms")
                for name, query in PAGES.items():
                    times = [milliseconds(client, f"{large}/groups/g?{query}") for _ in range(TIMES)]
                    print(
                        f"{name:32} first {times[0]:8.1f}  then median {np.median(times[1:]):7.1f}"
                        f"  x 40 levels {np.median(times[1:]) / usual:5.1f}"
                    )
                grown = (memory().rss - before) / 2**20
                print(f"the service grew by {grown:.0f} MiB; all draws of all levels are 6,104 MiB")
            finally:
                child.terminate()
                child.wait()


if __name__ == "__main__":
    main()

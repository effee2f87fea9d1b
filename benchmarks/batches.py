"""`python -m benchmarks.batches [MEMBERS]`: a batch over HTTP: what submitting, following and reading it cost.

Runs a real server, service and worker on this machine, and counts the calls that the server of the store gets.
"""

import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import redis

from benchmarks.service import await_answer, process
from stack.valkey import Server, running

MEMBERS = 1000
DRAWS = 200  # of each of 4 chains


def member(number: int) -> dict[str, Any]:
    """Some twenty rows of four groups, and a seed of its own."""
    source = np.random.default_rng(number)
    group, x = np.repeat(np.arange(4), 6), source.normal(size=24)
    y = 1.0 + 0.5 * x + source.normal(0, 1.0, 4)[group] + source.normal(0, 0.5, 24)
    columns = {"y": y.tolist(), "x": x.tolist(), "g": [f"g{i}" for i in group]}
    return {
        "custom_id": f"member {number}",
        "formula": "y ~ x + (1 | g)",
        "data": {"columns": columns},
        "sampler": {"seed": number, "draws": DRAWS},
    }


@contextmanager
def counted(name: str, client: redis.Redis, members: int) -> Iterator[None]:
    """Print how long something took, and how many calls the server got meanwhile."""

    def calls() -> tuple[int, int]:
        stats = client.info("stats")
        return stats["total_commands_processed"], stats["total_reads_processed"]

    before, started = calls(), time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    commands, reads = (now - then for now, then in zip(calls(), before, strict=True))
    print(
        f"{name:44}{seconds:8.3f} s {1000 * seconds / members:8.2f} ms each"
        f"{commands:9} commands in {reads:7} reads of the server"
    )


def main() -> None:
    """Submit a batch without and with a worker, follow it to its end, and read it again."""
    members = int(sys.argv[1]) if len(sys.argv) > 1 else MEMBERS
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = Server.of(Path(folder) / "valkey", max_memory="1gb")
        environment = os.environ | {"REDIS_URL": server.url, "PORT": str(port), "RANEF_RATE_QUOTA": "0"}
        with running(server), redis.Redis.from_url(server.url) as store, process("service", environment):
            await_answer(port, "/readyz", 60)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300.0) as client:
                _without_a_worker(client, store, members)
                with process("worker", environment):
                    await_answer(port, "/readyz?workers=1", 300)
                    _with_a_worker(client, store, members)


def _without_a_worker(client: httpx.Client, store: redis.Redis, members: int) -> None:
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {members} members")
    body = orjson.dumps({"fits": [member(number) for number in range(members)]})
    with counted("submitted, no worker", store, members):
        batch = _submit(client, body)
    with counted("the same again: every fit is there", store, members):
        again = _submit(client, body)
    with counted("its state", store, members):
        client.get(batch).raise_for_status()
    with counted("cancelled", store, members):
        client.post(f"{batch}/cancel").raise_for_status()
    with counted("results of what was cancelled", store, members):
        lines = client.get(f"{again}/results").raise_for_status().text.splitlines()
    assert len(lines) == members


def _with_a_worker(client: httpx.Client, store: redis.Redis, members: int) -> None:
    body = orjson.dumps({"fits": [member(10_000 + number) for number in range(members)]})
    with counted("submitted beside a worker", store, members):
        batch = _submit(client, body)
    delays, order = [], []
    followed = f"{batch}/results?follow=1"
    with counted("followed to its end", store, members), client.stream("GET", followed) as answer:
        for text in answer.iter_lines():
            line = orjson.loads(text)
            assert line["status"] == "succeeded", line
            order.append((line["fit_id"], time.time()))
    with counted("read again, NDJSON", store, members):
        lines = client.get(f"{batch}/results").raise_for_status().content
    with counted("read again, CSV", store, members):
        client.get(f"{batch}/results", headers={"Accept": "text/csv"}).raise_for_status()
    ended = []
    for fit_id, seen in order:
        fit = client.get(f"/v1/fits/{fit_id}").raise_for_status().json()
        finished = np.datetime64(fit["finished_at"].removesuffix("Z")).astype("datetime64[ms]").astype(int)
        ended.append(finished)
        delays.append(seen - finished / 1000)
    inversions = sum(a > b for a, b in pairwise(ended))
    print(f"NDJSON has {len(lines):,} bytes; lines out of the order of completion: {inversions}")
    print(
        f"a line comes {statistics.median(delays):.3f} s after its fit has ended (median), "
        f"{max(delays):.3f} s at most; a fit takes {(ended[-1] - ended[0]) / 1000 / members:.3f} s"
    )


def _submit(client: httpx.Client, body: bytes) -> str:
    answer = client.post("/v1/batches", content=body, headers={"Content-Type": "application/json"})
    answer.raise_for_status()
    return str(answer.headers["Location"])


if __name__ == "__main__":
    main()

"""`python -m benchmarks.second_fit`: from submission to `succeeded` over HTTP, for data of a shape that was met before.

Runs the whole stack on this machine: a real server, store, queue and worker. Each fit has other data of the same
shape, so nothing is served from a result that exists.
"""

import json
import os
import statistics
import time
from datetime import datetime
from typing import Any

import httpx
import numpy as np

from stack.demo import FORMULA, PRIORS, classroom, running_stack

FITS = 30


def main() -> None:
    """Print the times of a first fit and of those that follow it, beside a bare request of the same service."""
    with running_stack() as url, httpx.Client(base_url=url, timeout=120.0) as client:
        columns = classroom()
        first = _fit(client, columns, 0)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"first fit: compile {first['compile']:.3f} s, created to finished {first['inside']:.3f} s")
        rows = [_fit(client, columns, number) for number in range(1, FITS + 1)]
        bare = []
        for _ in range(200):
            started = time.perf_counter()
            client.get("/livez").raise_for_status()
            bare.append(time.perf_counter() - started)
    print(f"then {FITS} fits of other data of the same shape (minimum, median, maximum in seconds)")
    for name in ("compile", "sample", "summarize", "inside", "outside"):
        values = [row[name] for row in rows]
        print(f"  {name:<10}{min(values):8.3f}{statistics.median(values):8.3f}{max(values):8.3f}")
    ratio = statistics.median(row["outside"] for row in rows) / statistics.median(bare)
    print(f"  a POST that waits for its fit takes {ratio:.0f} times as long as GET /livez")


def _fit(client: httpx.Client, columns: dict[str, list[Any]], number: int) -> dict[str, float]:
    noise = np.random.default_rng(number).normal(0, 3, len(columns["student_reading_score"]))
    other = {
        **columns,
        "student_reading_score": (np.array(columns["student_reading_score"]) + noise).tolist(),
    }
    body = {"formula": FORMULA, "priors": PRIORS, "center": False, "data": {"columns": other}, "cache": False}
    started = time.perf_counter()
    answer = client.post("/v1/fits", content=json.dumps(body), headers=_HEADERS).raise_for_status()
    outside = time.perf_counter() - started
    fit = answer.json()
    while fit["status"] not in ("succeeded", "failed", "cancelled"):
        time.sleep(0.2)
        fit = client.get(f"/v1/fits/{fit['id']}").raise_for_status().json()
    if fit["status"] != "succeeded":
        raise SystemExit(f"a fit ended as {fit['status']}: {fit['failure']}")
    times = [datetime.fromisoformat(fit[name]).timestamp() for name in ("created_at", "finished_at")]
    return {**fit["timing"], "inside": times[1] - times[0], "outside": outside}


_HEADERS = {"Content-Type": "application/json", "Prefer": "wait=30"}

if __name__ == "__main__":
    main()

"""What the costliest requests cost a service of its own: time, memory, and how long others wait for /livez.

`python -m benchmarks.hostile [part of a name …]` prints a row of a table for each.
"""

import sys
import tempfile
from pathlib import Path

import httpx
import psutil

from tests.service.costly import REQUESTS, held, measuring, posts_that_wait, streams_of, tried
from tests.service.test_server import serving


def main(parts: list[str]) -> None:
    """Send each request to the same service, one after the other."""
    print("| request | bytes | answer | s | s of computing | MiB | /livez p99, ms |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as site:
        url = site.http.base_url
        address, process = (url.host, url.port or 80), psutil.Process(site.process.pid)
        for name, costly in REQUESTS.items():
            if parts and not any(part in name for part in parts):
                continue
            body = costly.body()
            cost = tried(address, process, costly, body)
            answers = ", ".join(map(str, sorted(cost.statuses)))
            spent = f"{cost.seconds:.2f} | {cost.computed:.2f} | {cost.grown >> 20} | {1000 * cost.p99:.0f}"
            print(f"| {name} | {len(body):,} | {answers} | {spent} |", flush=True)
        if not parts or "wait" in parts:
            _wait(address, process)


def _wait(address: tuple[str, int], process: psutil.Process) -> None:
    """Let many wait at once, for fits that no worker makes, and follow them."""
    print("\n| waiting for 8 s | s of computing | MiB | /livez p99, ms |\n|---|---|---|---|")
    for name, requests in (
        ("1,000 POSTs", list(posts_that_wait(1_000, 30))),
        ("2,000 event streams", []),
    ):
        with measuring(address, process) as cost:
            received = held(address, iter(requests or _streams(address)), 8.0)
        came = sum(bool(some) for some in received)
        print(
            f"| {name} ({came} were answered) | {cost.computed:.2f} | {cost.grown >> 20} | {1000 * cost.p99:.0f} |",
            flush=True,
        )


def _streams(address: tuple[str, int]) -> list[bytes]:
    listed = httpx.get(f"http://{address[0]}:{address[1]}/v1/fits?limit=100&status=queued", timeout=30).json()
    return list(streams_of([fit["id"] for fit in listed["items"]], 2_000))


if __name__ == "__main__":
    main(sys.argv[1:])

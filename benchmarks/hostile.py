"""What the costliest requests cost a service of its own: time, memory, and how long others wait for /livez.

`python -m benchmarks.hostile [part of a name …]` prints a row of a table for each.
"""

import sys
import tempfile
from pathlib import Path

import psutil

from tests.service.costly import REQUESTS, tried
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


if __name__ == "__main__":
    main(sys.argv[1:])

"""Requests that cost as much as one request can, and what they cost: time, memory, and how long others wait.

`benchmarks/hostile.py` prints the table of all, `test_costs.py` holds some of them against bounds.
"""

import io
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"


@dataclass(frozen=True)
class Costly:
    """One request: where it goes, what it is, and how often it is sent at once."""

    path: str
    body: Callable[[], bytes]
    media_type: str = JSON
    statuses: frozenset[int] = frozenset({422})
    times: int = 1


@dataclass
class Cost:
    """What came of it."""

    statuses: list[int] = field(default_factory=list)
    seconds: float = 0.0
    grown: int = 0
    """Bytes by which the memory of the service's processes grew together, at most."""
    computed: float = 0.0
    """Seconds of computing of all its processes."""
    waits: list[float] = field(default_factory=list)
    """Seconds that each look at /livez took meanwhile."""

    @property
    def p99(self) -> float:
        """99% of the looks took no longer."""
        return float(np.quantile(self.waits, 0.99)) if self.waits else 0.0


def parquet(table: pa.Table, **options: object) -> bytes:
    """Write a file of Parquet."""
    written = io.BytesIO()
    pq.write_table(table, written, **options)
    return written.getvalue()


def stream(table: pa.Table) -> bytes:
    """Write a stream of Arrow."""
    written = io.BytesIO()
    with pa.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table)
    return written.getvalue()


def cell_of(size: int) -> bytes:
    """A file whose one cell is a text of so many equal characters."""
    table = pa.table({"y": pa.array(["x" * size])})
    return parquet(table, compression="zstd", use_dictionary=False, write_statistics=False)


def lying(file: bytes, size: int) -> bytes:
    """The file, whose footer says that nothing is in it though its page says how much."""
    length = int.from_bytes(file[-8:-4], "little")
    start = len(file) - 8 - length
    group = pq.ParquetFile(io.BytesIO(file)).metadata.row_group(0)
    footer = file[start:-8]
    for said in {group.total_byte_size, group.column(0).total_uncompressed_size}:
        true = _zigzag(said)
        footer = footer.replace(true, b"\x80" * (len(true) - 1) + b"\x00")
    return file[:start] + footer + file[-8:]


def _zigzag(number: int) -> bytes:
    number, written = number << 1, b""
    while number > 127:
        written += bytes([number & 127 | 128])
        number >>= 7
    return written + bytes([number])


def names(count: int) -> list[str]:
    """So many names."""
    return [f"n{number}" for number in range(count)]


def numbers(rows: int, seed: int = 0) -> list[float]:
    """So many numbers of five digits."""
    drawn: list[float] = np.random.default_rng(seed).normal(size=rows).round(4).tolist()
    return drawn


def _columns(rows: int, columns: int) -> dict[str, list[float]]:
    return {name: numbers(rows, seed) for seed, name in enumerate(["y", "x", *names(columns - 2)])}


_MODEL = {"formula": "y ~ x", "data": {"columns": {"y": numbers(40), "x": numbers(40, 1)}}}
_PRIOR = {"class": "b", "prior": "normal(0, 1)"}


def _dump(**changes: object) -> Callable[[], bytes]:
    return lambda: orjson.dumps({**_MODEL, **changes})


def _polynomials(rows: int) -> bytes:
    data = {name: numbers(rows, seed) for seed, name in enumerate("yabc")}
    formula = "y ~ poly(a, 12):poly(b, 12):poly(c, 12)"
    return orjson.dumps({"formula": formula, "data": {"columns": data}})


def _factor(rows: int, levels: int) -> bytes:
    columns = {"y": numbers(rows), "f": [f"l{row % levels}" for row in range(rows)]}
    return orjson.dumps({"formula": "y ~ f", "data": {"columns": columns}})


def _records(count: int) -> bytes:
    return orjson.dumps({"records": [{name: 1.5} for name in names(count)]})


def _large(rows: int, columns: int) -> bytes:
    return orjson.dumps({"formula": "y ~ x", "data": {"columns": _columns(rows, columns)}})


def _csv(rows: int, columns: int) -> bytes:
    cells = np.random.default_rng(0).normal(size=(rows, columns)).round(4)
    lines = (",".join(map(str, row)) for row in cells.tolist())
    return "\n".join([",".join(names(columns)), *lines]).encode()


def _many_members() -> bytes:
    return orjson.dumps({"fits": [{**_MODEL, **dict.fromkeys(names(100), 1)}] * 1_000})


CHECK, FITS, DATASETS, BATCHES = "/v1/formulas/check", "/v1/fits", "/v1/datasets", "/v1/batches"
ACCEPTED = frozenset({200, 201, 202})

REQUESTS: dict[str, Costly] = {
    "Parquet, a cell of 400 MB": Costly(DATASETS, lambda: cell_of(400_000_000), PARQUET),
    "the same, four at once": Costly(DATASETS, lambda: cell_of(400_000_000), PARQUET, times=4),
    "the same, with a footer that lies": Costly(
        DATASETS, lambda: lying(cell_of(400_000_000), 400_000_000), PARQUET, times=4
    ),
    "Arrow, a million nulls": Costly(
        DATASETS, lambda: stream(pa.table({"y": pa.nulls(1_000_000)})), ARROW, ACCEPTED
    ),
    "12,000 records, each with a key of its own": Costly(
        FITS, lambda: orjson.dumps({"formula": "y ~ x", "data": orjson.Fragment(_records(12_000))})
    ),
    "6,000 records, each with a key of its own, as a data set": Costly(DATASETS, lambda: _records(6_000)),
    "three polynomials, 2,000 rows": Costly(
        CHECK, lambda: _polynomials(2_000), statuses=frozenset({200, 422})
    ),
    "a factor of 1,801 levels, 6,000 rows": Costly(CHECK, lambda: _factor(6_000, 1_801), statuses=ACCEPTED),
    "a million unknown fields": Costly(
        FITS, lambda: orjson.dumps({**_MODEL, **dict.fromkeys(names(1_000_000), 1)})
    ),
    "100,000 equal priors": Costly(FITS, _dump(priors=[_PRIOR] * 100_000)),
    "100,000 metadata": Costly(FITS, _dump(metadata=dict.fromkeys(names(100_000), "m"))),
    "100,000 names in levels": Costly(FITS, _dump(levels={name: ["a"] for name in names(100_000)})),
    "1,000 members of 100 unknown fields": Costly(BATCHES, _many_members, statuses=ACCEPTED),
    "JSON of 20 million empty arrays": Costly(FITS, lambda: b'{"x": [' + b"[]," * 20_000_000 + b"[]]}"),
    "JSON, 20 MB, 2.5 million cells": Costly(CHECK, lambda: _large(500_000, 5), statuses=ACCEPTED),
    "JSON, 45 MB, 6 million cells": Costly(CHECK, lambda: _large(1_000_000, 6), statuses=ACCEPTED),
    "JSON, 20 MB, four at once": Costly(CHECK, lambda: _large(500_000, 5), statuses=ACCEPTED, times=4),
    "CSV, 20 MB": Costly(DATASETS, lambda: _csv(500_000, 5), CSV, ACCEPTED),
}


def send(address: tuple[str, int], costly: Costly, body: bytes, timeout: float = 60.0) -> int:
    """Send a request as bytes; give the status of its answer, 0 for none."""
    head = (
        f"POST {costly.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {costly.media_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError), socket.create_connection(address, timeout=timeout) as connection:
        connection.sendall(head.encode())
        with suppress(OSError):
            connection.sendall(body)
        answer = connection.recv(65536)
        while connection.recv(65536):
            pass
        return int(answer.split(b" ", 2)[1])
    return 0


@contextmanager
def measuring(address: tuple[str, int], process: psutil.Process) -> Iterator[Cost]:
    """Measure what a service spends meanwhile, and how long others wait."""
    cost, over = Cost(), threading.Event()
    before, first = _memory(process), _computed(process)
    # The last that is known of each process, as one that ends takes its figure with it.
    last = dict(first)

    def look() -> None:
        while not over.is_set():
            started = time.perf_counter()
            with suppress(OSError), socket.create_connection(address, timeout=60) as connection:
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                while connection.recv(4096):
                    pass
            cost.waits.append(time.perf_counter() - started)
            over.wait(0.01)

    def weigh() -> None:
        while not over.wait(0.02):
            cost.grown = max(cost.grown, _memory(process) - before)
            last.update(_computed(process))

    threads = [threading.Thread(target=look), threading.Thread(target=weigh)]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - started
        last.update(_computed(process))
        cost.computed = sum(spent - first.get(pid, 0.0) for pid, spent in last.items())
        over.set()
        for thread in threads:
            thread.join()


def tried(address: tuple[str, int], process: psutil.Process, costly: Costly, body: bytes) -> Cost:
    """Send a request as often as it says, all at once, and measure."""
    with measuring(address, process) as cost:
        threads = [
            threading.Thread(target=lambda: cost.statuses.append(send(address, costly, body)))
            for _ in range(costly.times)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return cost


def _family(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _memory(process: psutil.Process) -> int:
    """The memory that processes have together; what some share counts once."""
    total = 0
    for one in _family(process):
        with suppress(OSError):
            text = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) << 10
    return total


def _computed(process: psutil.Process) -> dict[int, float]:
    """The seconds that processes have computed, by their ids."""
    found = {}
    for one in _family(process):
        with suppress(psutil.Error):
            times = one.cpu_times()
            found[one.pid] = times.user + times.system
    return found


def mutated(data: bytes, source: random.Random) -> bytes:
    """Bytes like those given, some of which are changed, doubled, moved or gone."""
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 2, 4, 16])):
        if not changed:
            break
        place = source.randrange(len(changed))
        match source.randrange(6):
            case 0:
                changed[place] ^= 1 << source.randrange(8)
            case 1:
                changed[place] = source.choice([0, 1, 127, 128, 255])
            case 2:
                changed[place : place + source.randrange(1, 9)] = source.randbytes(source.randrange(1, 9))
            case 3:
                del changed[place : place + source.randrange(1, 65)]
            case 4:
                other = source.randrange(len(changed))
                changed[place:place] = changed[other : other + source.randrange(1, 65)]
            case 5:
                number = source.choice(
                    [0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, 2**40, source.getrandbits(32)]
                )
                changed[place : place + 8] = (number % 2**64).to_bytes(8, "little")
    return bytes(changed)


def posts_that_wait(count: int, seconds: int) -> Iterator[bytes]:
    """Requests for different fits, each of which waits for its end."""
    for seed in range(count):
        body = orjson.dumps({**_MODEL, "sampler": {"seed": seed}})
        head = (
            f"POST {FITS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nPrefer: wait={seconds}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        yield head.encode() + body


def streams_of(fit_ids: list[str], count: int) -> Iterator[bytes]:
    """Requests that follow fits."""
    for number in range(count):
        path = f"{FITS}/{fit_ids[number % len(fit_ids)]}/events"
        yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()


def held(address: tuple[str, int], requests: Iterator[bytes], seconds: float) -> list[bytes]:
    """Send requests at once on a connection each, keep them for a while, and give what came of each."""
    connections = []
    for request in requests:
        connection = socket.create_connection(address, timeout=60)
        connection.sendall(request)
        connection.setblocking(False)
        connections.append(connection)
    time.sleep(seconds)
    received = []
    for connection in connections:
        came = b""
        with suppress(OSError):
            came = connection.recv(65536)
        received.append(came)
        connection.close()
    return received

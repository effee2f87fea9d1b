"""Large work in processes of its own: what it may ask, what it raises, and what becomes of it when it is too dear."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from model.errors import InvalidModel, Issue
from service.apart import Apart, Ask
from service.problems import Refusal
from service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    apart = Apart(ServiceSettings(check_bytes=200 << 20, check_seconds=3.0))
    yield apart
    apart.close()


def measured(ask: Ask, body: bytes, factor: int) -> tuple[int, int]:
    return os.getpid(), factor * len(body)


def asking(ask: Ask, body: bytes) -> str:
    return str(ask("word", 1) + ask("word", 2))


def refusing(ask: Ask, body: bytes, kind: str) -> None:
    if kind == "invalid":
        raise InvalidModel(
            [Issue("no-rows", "There are none.", "/data"), Issue("invalid-csv", "Nor is this.")]
        )
    if kind == "refused":
        raise Refusal("invalid-parameter", "The detail.")
    raise KeyError("a fault of ours")


def growing(ask: Ask, body: bytes) -> int:
    return len([bytearray(10 << 20) for _ in range(40)])


def growing_in_numpy(ask: Ask, body: bytes) -> float:
    return float(np.ones(60 << 20).sum())


def endless(ask: Ask, body: bytes) -> None:
    while True:
        pass


def crashing(ask: Ask, body: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_work_is_done_by_another_process_which_is_used_again(apart: Apart) -> None:
    first, length = apart.do(measured, b"x" * 3_000_000, 2, asked={})
    assert length == 6_000_000
    assert first != os.getpid()
    assert apart.do(measured, b"", 2, asked={}) == (first, 0)


def test_work_asks_the_process_that_waits_for_it(apart: Apart) -> None:
    assert apart.do(asking, b"", asked={"word": lambda number: "ab" * number}) == "ababab"

    def unknown(number: int) -> str:
        raise InvalidModel(Issue("unknown-dataset", "There is none."))

    with pytest.raises(InvalidModel) as caught:
        apart.do(asking, b"", asked={"word": unknown})
    assert caught.value.issues == (Issue("unknown-dataset", "There is none."),)


def _raising(error: Exception) -> Any:
    def ask(number: int) -> str:
        raise error

    return ask


def test_an_error_of_the_store_is_raised_as_it_is(apart: Apart) -> None:
    from store.base import StoreUnavailable

    with pytest.raises(StoreUnavailable):
        apart.do(asking, b"", asked={"word": _raising(StoreUnavailable("away"))})


def test_what_work_raises_is_raised_here(apart: Apart) -> None:
    with pytest.raises(InvalidModel) as caught:
        apart.do(refusing, b"", "invalid", asked={})
    assert [issue.pointer for issue in caught.value.issues] == ["/data", None]
    with pytest.raises(Refusal) as refused:
        apart.do(refusing, b"", "refused", asked={})
    assert (refused.value.code, refused.value.detail) == ("invalid-parameter", "The detail.")
    with pytest.raises(RuntimeError, match="a fault of ours"):
        apart.do(refusing, b"", "else", asked={})


@pytest.mark.parametrize("work", [growing, growing_in_numpy, endless, crashing])
def test_work_that_is_too_dear_is_refused_and_the_next_goes_on(apart: Apart, work: Any) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidModel) as caught:
        apart.do(work, b"", asked={})
    assert [issue.code for issue in caught.value.issues] == ["limit-exceeded"]
    assert time.monotonic() - started < 60
    assert apart.do(measured, b"ab", 1, asked={})[1] == 2


def test_memory_is_limited_by_the_work(apart: Apart) -> None:
    with pytest.raises(InvalidModel, match="20 MiB"):
        apart.do(growing, b"", asked={}, most_bytes=20 << 20)


def test_no_process_outlives_the_one_that_began_it(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from service.apart import Apart\n"
        "from service.settings import ServiceSettings\n"
        "from tests.service.test_apart import measured\n"
        "apart = Apart(ServiceSettings())\n"
        "apart.fork()\n"
        "print(apart.do(measured, b'', 1, asked={})[0], flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    family = psutil.Process(process.pid).children(recursive=True)
    assert pid in {other.pid for other in family}
    process.kill()
    process.wait()
    assert psutil.wait_procs(family, timeout=20)[1] == []

"""The requests of README.md work as printed, and the printed answers are parts of what comes, to within rounding.

Each `sh` block with a curl is sent to the real application, whose fits a real worker task runs at once.
"""

import json
import math
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import ServiceSettings
from store.memory import MemoryStore
from store.rates import MemoryRates
from store.replies import MemoryReplies
from worker.process import JaxSampler
from worker.settings import WorkerSettings
from worker.tasks import run

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOST = "http://127.0.0.1:8000"
# What differs from run to run, and how far each chain came, which a change of the sampler may alter.
VOLATILE = ("id", "timing", "ess_bulk_min", "ess_tail_min", "pareto_k", "acceptance")
TOLERANCE = 0.1


class Request(NamedTuple):
    """A curl of the README, and the answer that is printed below it."""

    url: str
    headers: dict[str, str]
    body: str | None
    answer: dict[str, Any]


def requests() -> list[Request]:
    """The curls of the README with their answers, in order."""
    found = []
    blocks = BLOCK.findall(README)
    for (language, text), (following, answer) in pairwise(blocks):
        if language == "sh" and "curl" in text:
            assert following == "json", f"no answer follows:\n{text}"
            found.append(read_curl(text[text.index("curl") :], json.loads(answer)))
    return found


def read_curl(command: str, answer: dict[str, Any]) -> Request:
    """The request that a curl command makes; any option that is not known here fails."""
    program, *words = shlex.split(command)
    assert program == "curl"
    url, headers, body = "", {}, None
    while words:
        match words.pop(0):
            case "-s":
                pass
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case "-d":
                body = words.pop(0)
            case word:
                assert word.startswith(HOST), word
                url = word.removeprefix(HOST)
    return Request(url, headers, body, answer)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A client of an application that fits while it enqueues."""
    store = MemoryStore()

    def fit_at_once(fit_id: str, queue: str) -> None:
        run(store, fit_id, "readme", JaxSampler().fit, WorkerSettings())

    with TestClient(
        create_app(ServiceSettings(), store, fit_at_once, MemoryReplies(), rates=MemoryRates())
    ) as client:
        yield client


def differences(printed: Any, real: Any, at: str = "") -> list[str]:
    """Where a printed answer is no part of the real one; numbers may differ by rounding and a little more."""
    match printed:
        case dict():
            missing = [f"{at}/{name} is not in the answer" for name in printed.keys() - real.keys()]
            shared = [(name, value) for name, value in printed.items() if name in real]
            return missing + [
                line
                for name, value in shared
                for line in ([] if name in VOLATILE else differences(value, real[name], f"{at}/{name}"))
            ]
        case list():
            if len(printed) != len(real):
                return [f"{at}: {len(printed)} entries are printed, {len(real)} came"]
            pairs = enumerate(zip(printed, real, strict=True))
            return [line for i, (a, b) in pairs for line in differences(a, b, f"{at}/{i}")]
        case float():
            close = math.isclose(printed, real, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            return [] if close else [f"{at}: {printed} is printed, {real} came"]
        case _:
            return [] if printed == real else [f"{at}: {printed!r} is printed, {real!r} came"]


def test_each_request_gets_the_answer_that_is_printed(client: TestClient) -> None:
    fit_id = ""
    for request in requests():
        url = request.url.replace("$FIT", fit_id)
        method = "GET" if request.body is None else "POST"
        answer = client.request(method, url, headers=request.headers, content=request.body)
        real = answer.json()
        refusal = request.answer["status"] if "type" in request.answer else None
        assert (answer.status_code if answer.is_error else None) == refusal, answer.text
        fit_id = fit_id or real["id"]
        assert differences(request.answer, real) == [], url


def test_the_readme_shows_each_kind_of_request() -> None:
    assert [request.url.rpartition("/")[2] for request in requests()] == [
        "fits",
        "summary",
        "predictions",
        "check",
    ]


def test_a_wrong_answer_would_be_noticed() -> None:
    real = {"mean": 2.0, "name": "x", "items": [1.0]}
    assert differences({"mean": 2.01, "items": [1.0]}, real) == []
    assert len(differences({"mean": 3.0, "name": "y", "items": [1.0, 2.0], "sd": 1.0}, real)) == 4

"""Batches with a real service, server and worker: results arrive in the order of completion while others still run."""

import csv
import io
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from store.batches import Ended, Member
from store.records import FitRecord, FitStatus
from store.redis_batches import RedisBatches
from store.settings import StoreSettings
from tests.system.conftest import Plant, eventually
from tests.system.test_stack import start, stop

NDJSON = {"Content-Type": "application/x-ndjson"}
SLOPE = 0.5


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a whole stack whose worker is warm."""
    stack = start(tmp_path_factory.mktemp("batches") / "data", RANEF_RATE_QUOTA="0")
    eventually(lambda: stack.answers("/readyz?workers=1") == 200, 120.0)
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=120.0) as client:
        yield client
    stop(stack, signal.SIGTERM)


def member(seed: int) -> dict[str, Any]:
    """A small gaussian model; equal seeds are equal fits."""
    source, rows = np.random.default_rng(seed), 24
    group, x = np.arange(rows) % 4, source.normal(size=rows)
    y = 1.0 + SLOPE * x + source.normal(0, 1.0, 4)[group] + source.normal(0, 0.3, rows)
    columns = {"y": y.tolist(), "x": x.tolist(), "g": [f"g{i}" for i in group]}
    return {"formula": "y ~ x + (1 | g)", "data": {"columns": columns}, "sampler": {"draws": 200}}


def submit(client: httpx.Client, members: list[Any], **headers: str) -> dict[str, Any]:
    content = b"\n".join(orjson.dumps(one) for one in members)
    answer = client.post("/v1/batches", content=content, headers=NDJSON | headers)
    assert answer.status_code == 202, answer.text
    batch: dict[str, Any] = answer.json()
    return batch


def follow(client: httpx.Client, batch: dict[str, Any], after: int = 0) -> Iterator[dict[str, Any]]:
    path = f"{batch['links']['results']}?follow=1&after={after}"
    with client.stream("GET", path) as answer:
        for line in answer.iter_lines():
            yield orjson.loads(line)


def stream_in_order(client: httpx.Client, size: int, first_seed: int) -> None:
    """Submit a batch with all sorts of members, follow it with a break, and hold the lines against the fits."""
    members: list[Any] = [member(first_seed + number) for number in range(size)]
    members[3] = {**members[3], "formula": "y ~ nothing"}
    members[4] = "no member"
    members[5] = members[0]
    batch = submit(client, members)
    assert (batch["members"], batch["counts"]["rejected"]) == (size, 2)

    lines: list[dict[str, Any]] = []
    others: set[str] = set()
    for line in follow(client, batch):
        lines.append(line)
        if line["summary"] is not None and not others:
            others = set(client.get(batch["links"]["self"]).json()["counts"])
        if len(lines) == size // 3:
            break
    assert "queued" in others, "results came together, not while they arose"
    # A reader that was cut off goes on with the last cursor it has.
    lines += follow(client, batch, after=lines[-1]["cursor"])

    assert [line["cursor"] for line in lines] == list(range(1, size + 1))
    assert sorted(line["index"] for line in lines) == list(range(size))
    assert [line["index"] for line in lines[:2]] == [3, 4]
    assert {line["status"] for line in lines[:2]} == {"rejected"}
    fitted = lines[2:]
    assert {line["status"] for line in fitted} == {"succeeded"}
    ended = [client.get(f"/v1/fits/{line['fit_id']}").json()["finished_at"] for line in fitted]
    assert ended == sorted(ended)
    assert Counter(line["fit_id"] for line in fitted).most_common(1) == [(fitted_of(lines, 5), 2)]
    slopes = [line["summary"]["population"][1]["mean"] for line in fitted]
    assert np.mean(slopes) == pytest.approx(SLOPE, abs=4 * 0.1 / np.sqrt(len(slopes)) + 0.02)

    state = client.get(batch["links"]["self"]).json()
    assert (state["status"], state["fraction"]) == ("ended", 1.0)
    assert state["counts"] == {"rejected": 2, "succeeded": size - 2}
    again = client.get(batch["links"]["results"]).text.splitlines()
    assert [orjson.loads(line)["index"] for line in again] == [line["index"] for line in lines]
    table = client.get(batch["links"]["results"], headers={"Accept": "text/csv"}).text
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["parameter"] == "b[x]"]
    assert [float(row["mean"]) for row in rows] == slopes


def fitted_of(lines: list[dict[str, Any]], index: int) -> str:
    return str(next(line["fit_id"] for line in lines if line["index"] == index))


def test_a_batch_streams_its_results_in_the_order_of_completion(client: httpx.Client) -> None:
    stream_in_order(client, 100, 1000)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_batch_of_a_thousand_streams_its_results_in_the_order_of_completion(client: httpx.Client) -> None:
    stream_in_order(client, 1000, 10_000)


def test_equal_members_make_one_run_and_an_equal_batch_none(client: httpx.Client) -> None:
    def runs() -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("ranef_fits_total{"))

    before = runs()
    members = [member(2000)] * 40 + [member(2001)] * 40
    batch = submit(client, members)
    lines = list(follow(client, batch))
    assert len(lines) == 80
    assert Counter(line["fit_id"] for line in lines).most_common() == [
        (lines[0]["fit_id"], 40),
        (lines[-1]["fit_id"], 40),
    ]
    assert runs() - before == 2
    again = submit(client, members)
    assert again["id"] != batch["id"]
    assert (again["status"], again["counts"]) == ("ended", {"succeeded": 80})
    assert runs() - before == 2


def test_an_idempotency_key_gives_the_first_batch(client: httpx.Client) -> None:
    members = [{**member(3000 + number), "cache": False} for number in range(3)]
    first, second = (submit(client, members, **{"Idempotency-Key": "a-batch"}) for _ in range(2))
    assert first == second
    other = client.post(
        "/v1/batches",
        content=orjson.dumps(member(1)),
        headers=NDJSON | {"Idempotency-Key": "a-batch"},
    )
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-conflict")
    assert len(list(follow(client, first))) == 3


def test_a_running_batch_is_cancelled(client: httpx.Client) -> None:
    batch = submit(client, [member(4000 + number) for number in range(200)])
    refused = client.delete(batch["links"]["self"])
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/batch-not-ended")
    asked = time.monotonic()
    answer = client.post(batch["links"]["cancel"])
    assert answer.json()["counts"].get("queued", 0) == 0
    lines = list(follow(client, batch))
    assert time.monotonic() - asked < 15.0
    counts = Counter(line["status"] for line in lines)
    assert set(counts) <= {"cancelled", "succeeded"}
    assert counts["cancelled"] > 0
    assert counts.total() == 200
    assert client.get(batch["links"]["self"]).json()["counts"] == dict(counts)
    assert client.post(batch["links"]["cancel"]).status_code == 200
    assert client.delete(f"{batch['links']['self']}?fits=1").status_code == 204
    assert client.get(f"/v1/fits/{lines[-1]['fit_id']}").status_code == 410


def test_the_service_answers_others_while_it_takes_a_large_batch(client: httpx.Client) -> None:
    members = [member(5000 + number) for number in range(300)]
    taken: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: taken.append(submit(client, members)))
    thread.start()
    slowest, looks = 0.0, 0
    while thread.is_alive():
        asked = time.monotonic()
        assert client.get("/readyz").status_code == 200
        slowest, looks = max(slowest, time.monotonic() - asked), looks + 1
    thread.join()
    assert looks >= 3
    assert slowest < 3.0
    client.post(taken[0]["links"]["cancel"])


def test_a_member_that_kills_its_worker_stops_no_other(crew: Plant) -> None:
    batches = RedisBatches(StoreSettings(redis_url=crew.server.url))
    wishes = {f"fit_member_{number}": {"crash": True} if number == 2 else {} for number in range(6)}
    made = crew.store.create_many(
        [
            (FitRecord(fit_id, "acme", "y ~ x", {}, 3, queue="batch"), orjson.dumps(wish))
            for fit_id, wish in wishes.items()
        ]
    )
    batches.create("bat_poisoned", "acme", [Member(fit_id, fit_id, own=True) for fit_id in wishes])
    for creation in made:
        assert isinstance(creation, tuple)
        crew.jobs.enqueue(creation[0].id, "batch")

    def ended() -> bool:
        record = batches.get("bat_poisoned", "acme")
        return record is not None and record.ended == record.size

    eventually(ended, 60.0)
    order = batches.ended("bat_poisoned")
    assert sorted(one.fit_id for one in order) == sorted(wishes)
    assert Ended("fit_member_2", FitStatus.FAILED) in order
    assert Counter(one.status for one in order) == {FitStatus.SUCCEEDED: 5, FitStatus.FAILED: 1}
    record = crew.store.get("fit_member_2")
    assert record is not None
    assert record.failure is not None
    assert record.failure.kind == "worker_lost"

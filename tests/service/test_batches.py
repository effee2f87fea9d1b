"""Batches: lists, lines and one model for each value; what ends is told in order, once, and can be resumed."""

import io
import threading
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from model.frame.table import Table
from model.limits import DESIGN_CELLS
from service.answers.batches import Batch, BatchList
from service.answers.common import Problem
from service.media_types import CSV, JSON, PARQUET, TABLES
from service.members import UNEXPECTED, read_members
from service.settings import Limits
from store.base import StoreUnavailable
from store.batches import Member, MemoryBatches
from store.memory import MemoryStore
from store.records import Failure
from store.settings import StoreSettings
from tests.service.samples import COLUMNS, REQUEST

NDJSON = {"Content-Type": "application/x-ndjson"}
SITES = {**COLUMNS, "site": ["north"] * 12 + ["south"] * 12}
SPLIT = {"template": {"formula": "y ~ x", "data": {"columns": SITES}}, "split_by": "site"}


def seeded(seed: int, **more: Any) -> dict[str, Any]:
    return {**REQUEST, "sampler": {"seed": seed}, **more}


def submit(client: TestClient, body: Any) -> Batch:
    answer = client.post("/v1/batches", json=body)
    assert answer.status_code == 202, answer.text
    batch = Batch.model_validate(answer.json())
    assert answer.headers["Location"] == f"/v1/batches/{batch.id}"
    return batch


def results(client: TestClient, batch: Batch, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/batches/{batch.id}/results{query}")
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    return [orjson.loads(line) for line in answer.content.splitlines()]


def test_a_list_of_fits_is_queued_behind_small_ones(
    client: TestClient, queued: list[tuple[str, str]]
) -> None:
    batch = submit(client, {"fits": [seeded(1, custom_id="one"), seeded(2)]})
    assert (batch.status, batch.members, batch.counts, batch.fraction) == ("running", 2, {"queued": 2}, 0.0)
    assert [queue for _, queue in queued] == ["batch", "batch"]
    assert results(client, batch) == []


def test_results_come_in_the_order_in_which_they_end(
    client: TestClient, queued: list[tuple[str, str]], finish: Callable[..., Any]
) -> None:
    batch = submit(client, {"fits": [seeded(seed, custom_id=f"seed {seed}") for seed in range(3)]})
    ids = [fit_id for fit_id, _ in queued]
    for index in (2, 0):
        finish(ids[index])
    lines = results(client, batch)
    assert [(line["index"], line["custom_id"], line["cursor"]) for line in lines] == [
        (2, "seed 2", 1),
        (0, "seed 0", 2),
    ]
    assert lines[0]["summary"]["population"][0]["name"] == "Intercept"
    finish(ids[1])
    assert [line["index"] for line in results(client, batch, "?after=2")] == [1]
    assert [line["index"] for line in results(client, batch, "?follow=1")] == [2, 0, 1]
    ended = Batch.model_validate(client.get(f"/v1/batches/{batch.id}").json())
    assert (ended.status, ended.counts, ended.fraction) == ("ended", {"succeeded": 3}, 1.0)


def test_a_follower_gets_what_ends_while_it_waits(
    client: TestClient, queued: list[tuple[str, str]], finish: Callable[..., Any]
) -> None:
    batch = submit(client, {"fits": [seeded(1), seeded(2)]})
    finish(queued[0][0])
    later = threading.Timer(0.3, finish, [queued[1][0]])
    later.start()
    assert [line["index"] for line in results(client, batch, "?follow=1")] == [0, 1]


def test_a_bad_member_is_told_and_stops_no_other(client: TestClient, queued: list[tuple[str, str]]) -> None:
    fits = [
        seeded(1),
        {**REQUEST, "formula": "y ~ nobody", "colour": 1},
        "nonsense",
        seeded(2, custom_id="0"),
    ]
    batch = submit(client, {"fits": fits})
    assert batch.counts == {"queued": 1, "rejected": 3}
    assert len(queued) == 1
    assert [member.index for member in batch.rejected] == [1, 2, 3]
    codes = {error.code for error in batch.rejected[0].problem.errors}
    assert codes == {"unknown-field", "unknown-column"}
    assert batch.rejected[2].problem.errors[0].pointer == "/custom_id"
    lines = results(client, batch)
    assert [(line["index"], line["status"], line["fit_id"]) for line in lines] == [
        (1, "rejected", None),
        (2, "rejected", None),
        (3, "rejected", None),
    ]
    Problem.model_validate(lines[0]["problem"])


def test_a_basis_in_the_wrong_place_stops_no_other_member(
    client: TestClient, queued: list[tuple[str, str]]
) -> None:
    wrong = {**REQUEST, "formula": "y ~ x + offset(poly(x, 2))", "custom_id": "bad"}
    sound = {**REQUEST, "formula": "y ~ scale(poly(x, 2)) + (1 | g)", "custom_id": "good"}
    batch = submit(client, {"fits": [wrong, sound, seeded(1)]})
    assert (len(queued), batch.counts) == (2, {"rejected": 1, "queued": 2})
    (refused,) = batch.rejected
    assert refused.custom_id == "bad"
    assert refused.problem.errors[0].position == 15


def test_a_fault_of_ours_is_the_problem_of_its_member_alone() -> None:
    def open_dataset(name: str) -> Table:
        raise ValueError(name)

    members = [seeded(1), {"formula": "y ~ x", "dataset": "ds_" + "a" * 26}, seeded(2)]
    body = orjson.dumps({"fits": members})
    read = list(read_members(JSON, body, Limits(), open_dataset, lambda url: [], DESIGN_CELLS).candidates)
    assert [candidate.issues for candidate in read] == [(), (UNEXPECTED,), ()]
    assert [candidate.checked is not None for candidate in read] == [True, False, True]


def test_a_store_that_does_not_answer_is_no_members_fault() -> None:
    def open_dataset(name: str) -> Table:
        raise StoreUnavailable("away")

    body = orjson.dumps({"fits": [{"formula": "y ~ x", "dataset": "ds_" + "a" * 26}]})
    with pytest.raises(StoreUnavailable):
        list(read_members(JSON, body, Limits(), open_dataset, lambda url: [], DESIGN_CELLS).candidates)


def test_equal_members_share_a_run(client: TestClient, queued: list[tuple[str, str]], finished: str) -> None:
    batch = submit(client, {"fits": [REQUEST, seeded(1), seeded(1)]})
    # The first was fitted before.
    assert batch.counts == {"succeeded": 1, "queued": 2}
    assert len(queued) == 2
    assert results(client, batch)[0]["fit_id"] == finished


def test_lines_are_members(client: TestClient, queued: list[tuple[str, str]]) -> None:
    content = orjson.dumps(seeded(1)) + b"\n\n{broken\n" + orjson.dumps(seeded(2, custom_id="b")) + b"\n"
    answer = client.post("/v1/batches", content=content, headers=NDJSON)
    batch = Batch.model_validate(answer.json())
    assert batch.counts == {"queued": 2, "rejected": 1}
    assert (batch.rejected[0].index, batch.rejected[0].problem.type) == (1, "/problems/invalid-json")


def test_one_model_for_each_value(
    client: TestClient, finish: Callable[..., Any], queued: list[tuple[str, str]]
) -> None:
    batch = submit(client, SPLIT)
    assert batch.counts == {"queued": 2}
    alone = {name: values[12:] for name, values in COLUMNS.items()}
    same = client.post("/v1/fits", json={"formula": "y ~ x", "data": {"columns": alone}})
    assert (same.status_code, same.json()["rows"]) == (200, 12)
    for fit_id, _ in queued:
        finish(fit_id)
    assert {line["custom_id"]: line["fit_id"] for line in results(client, batch)} == {
        "north": queued[0][0],
        "south": queued[1][0],
    }


def test_a_value_whose_rows_cannot_be_fitted_stops_no_other(client: TestClient) -> None:
    columns = {**SITES, "x": [1.0] * 12 + COLUMNS["x"][12:]}
    batch = submit(
        client, {"template": {"formula": "y ~ x", "data": {"columns": columns}}, "split_by": "site"}
    )
    assert batch.counts == {"queued": 1, "rejected": 1}
    assert batch.rejected[0].custom_id == "north"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, None),
        ({"fits": [REQUEST], "split_by": "g"}, None),
        ({"fits": []}, "/fits"),
        ({"fits": [REQUEST], "colour": 1}, "/colour"),
        ({**SPLIT, "split_by": "nowhere"}, "/split_by"),
        ({**SPLIT, "split_by": 1}, "/split_by"),
        ({**SPLIT, "template": {**SPLIT["template"], "colour": 1}}, "/template/colour"),  # type: ignore[dict-item]
        ({**SPLIT, "template": {"formula": "y ~ x"}}, "/template/data"),
        ({**SPLIT, "template": {**SPLIT["template"], "formula": "y ~ ~"}}, "/template/formula"),  # type: ignore[dict-item]
        ({"fits": [1] * 1001}, "/fits"),
    ],
)
def test_what_is_wrong_with_the_whole_is_refused(client: TestClient, body: Any, pointer: str | None) -> None:
    answer = client.post("/v1/batches", json=body)
    assert answer.status_code == 422, answer.text
    assert pointer in {error.get("pointer") or None for error in answer.json()["errors"]}


def test_a_column_with_missing_values_does_not_split(client: TestClient) -> None:
    columns = {**SITES, "site": [None, *SITES["site"][1:]]}
    body = {"template": {"formula": "y ~ x", "data": {"columns": columns}}, "split_by": "site"}
    answer = client.post("/v1/batches", json=body)
    assert answer.json()["type"] == "/problems/missing-values"


def test_cancelling_leaves_alone_what_others_submitted(client: TestClient, fit_id: str) -> None:
    batch = submit(client, {"fits": [REQUEST, seeded(1), seeded(2)]})
    answer = client.post(f"/v1/batches/{batch.id}/cancel")
    assert answer.status_code == 202
    assert Batch.model_validate(answer.json()).counts == {"queued": 1, "cancelled": 2}
    assert client.get(f"/v1/fits/{fit_id}").json()["status"] == "queued"
    client.post(f"/v1/fits/{fit_id}/cancel")
    assert client.post(f"/v1/batches/{batch.id}/cancel").status_code == 200


def test_a_failed_and_a_deleted_member_say_so(
    client: TestClient, store: MemoryStore, queued: list[tuple[str, str]]
) -> None:
    batch = submit(client, {"fits": [seeded(1), seeded(2)]})
    claim = store.claim(queued[0][0], "test", 60.0)
    assert claim is not None
    store.fail(claim, Failure("timeout", "The fit took too long", "It did."))
    client.delete(f"/v1/fits/{queued[1][0]}")
    lines = {line["index"]: line for line in results(client, batch)}
    assert lines[0]["problem"]["type"] == "/problems/timeout"
    assert (lines[1]["status"], lines[1]["summary"]) == ("gone", None)


def read_rows(answer: Any) -> pa.Table:
    assert answer.status_code == 200, answer.text
    content = io.BytesIO(answer.content)
    kind = answer.headers["Content-Type"].partition(";")[0]
    if kind == CSV:
        return pyarrow.csv.read_csv(content)
    return pq.read_table(content) if kind == PARQUET else pa.ipc.open_stream(content).read_all()


@pytest.mark.parametrize("media_type", TABLES)
def test_estimates_come_as_rows(
    client: TestClient, queued: list[tuple[str, str]], finish: Callable[..., Any], media_type: str
) -> None:
    batch = submit(client, {"fits": [seeded(1, custom_id="good"), "bad"]})
    address, accept = f"/v1/batches/{batch.id}/results", {"Accept": media_type}
    assert read_rows(client.get(address, headers=accept))["status"].to_pylist() == ["rejected"]
    later = threading.Timer(0.3, finish, [queued[0][0]])
    later.start()
    followed = read_rows(client.get(f"{address}?follow=1", headers=accept))
    table = read_rows(client.get(address, headers=accept))
    assert followed.equals(table)
    rows = table.to_pylist()
    line = next(line for line in results(client, batch) if line["index"] == 0)
    slope = next(row for row in rows if row["parameter"] == "b[x]")
    assert (slope["custom_id"], slope["mean"]) == ("good", line["summary"]["population"][1]["mean"])
    assert (slope["cursor"], slope["index"]) == (line["cursor"], 0) == (2, 0)
    assert [row["status"] for row in rows if not row["parameter"]] == ["rejected"]
    rest = read_rows(client.get(f"{address}?after=1", headers=accept))
    assert rest.num_rows == table.num_rows - 1
    assert client.get(address, headers={"Accept": "image/png"}).status_code == 406


def test_an_idempotency_key_gives_the_first_batch(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/batches", json={"fits": [REQUEST]}, headers=headers) for _ in range(2))
    assert first.content == second.content
    assert second.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("batch", ["bat_" + "a" * 26, "bat_x", "fit_x"])
def test_an_unknown_batch_is_not_found(client: TestClient, batch: str) -> None:
    for answer in (
        client.get(f"/v1/batches/{batch}"),
        client.get(f"/v1/batches/{batch}/results"),
        client.post(f"/v1/batches/{batch}/cancel"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/batch-not-found")


def test_another_tenants_batch_is_not_found(client: TestClient, app: Any) -> None:
    submit(client, {"fits": [REQUEST]})
    other = app.state.services.batches.create("bat_" + "b" * 26, "someone", [Member("", None, problem={})])
    for answer in (
        client.get(f"/v1/batches/{other.id}"),
        client.get(f"/v1/batches/{other.id}/results"),
        client.post(f"/v1/batches/{other.id}/cancel"),
        client.delete(f"/v1/batches/{other.id}"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/batch-not-found")
    assert other.id not in client.get("/v1/batches").text


def test_batches_are_listed_newest_first_by_pages(client: TestClient) -> None:
    ids = [submit(client, {"fits": [seeded(seed)]}).id for seed in range(5)]
    seen, address = [], "/v1/batches?limit=2"
    while address:
        answer = client.get(address)
        seen += [batch.id for batch in BatchList.model_validate(answer.json()).items]
        address = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == ids[::-1]
    refused = client.get("/v1/batches?cursor=nonsense")
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-cursor")


def test_a_batch_is_deleted_once_it_has_ended(client: TestClient, queued: list[tuple[str, str]]) -> None:
    batch = submit(client, {"fits": [seeded(1), seeded(2)]})
    refused = client.delete(f"/v1/batches/{batch.id}")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/batch-not-ended")
    client.post(f"/v1/batches/{batch.id}/cancel")
    assert client.delete(f"/v1/batches/{batch.id}").status_code == 204
    assert client.get(f"/v1/batches/{batch.id}").status_code == 404
    assert client.get("/v1/batches").json()["items"] == []
    assert [client.get(f"/v1/fits/{fit_id}").status_code for fit_id, _ in queued] == [200, 200]


def test_a_batch_takes_the_fits_that_it_made_along_if_asked_to(
    client: TestClient, finished: str, queued: list[tuple[str, str]], finish: Callable[..., Any]
) -> None:
    batch = submit(client, {"fits": [REQUEST, seeded(1), "bad"]})
    made = queued[-1][0]
    finish(made)
    assert client.delete(f"/v1/batches/{batch.id}?fits=1").status_code == 204
    assert client.get(f"/v1/fits/{made}").status_code == 410
    assert client.get(f"/v1/fits/{finished}").status_code == 200, "it was there before the batch"


def test_a_result_that_was_deleted_says_so(
    client: TestClient, queued: list[tuple[str, str]], finish: Callable[..., Any]
) -> None:
    batch = submit(client, {"fits": [seeded(1)]})
    finish(queued[0][0])
    client.delete(f"/v1/fits/{queued[0][0]}")
    (line,) = results(client, batch)
    assert (line["status"], line["summary"]) == ("succeeded", None)
    assert line["problem"]["type"] == "/problems/fit-gone"


def test_a_cursor_is_the_same_place_for_every_reader(
    client: TestClient, queued: list[tuple[str, str]], finish: Callable[..., Any]
) -> None:
    batch = submit(client, {"fits": ["bad", seeded(1), seeded(2), seeded(1), "worse"]})
    for fit_id, _ in reversed(queued):
        finish(fit_id)
    whole = results(client, batch)
    # The refused first, then as they ended, and equal members one after the other.
    assert [line["index"] for line in whole] == [0, 4, 2, 1, 3]
    assert [line["cursor"] for line in whole] == [1, 2, 3, 4, 5]
    for after in range(6):
        rest = results(client, batch, f"?after={after}")
        assert [line | {"problem": None} for line in rest] == [
            line | {"problem": None} for line in whole[after:]
        ]


def test_a_member_whose_errors_are_long_keeps_the_first_of_them(client: TestClient) -> None:
    names = ["x" * 3000 + str(number) for number in range(15)]
    batch = submit(client, {"fits": [{**REQUEST, **dict.fromkeys(names, 1)}]})
    problem = batch.rejected[0].problem
    assert 1 <= len(problem.errors) < 15
    assert problem.errors_total == 15
    assert len(batch.rejected[0].model_dump_json()) < 20_000


def test_more_members_than_are_stored_together_are_stored(
    client: TestClient, queued: list[tuple[str, str]]
) -> None:
    fits = [seeded(seed) if seed % 3 else "bad" for seed in range(250)]
    batch = submit(client, {"fits": fits})
    assert batch.counts == {"queued": 166, "rejected": 84}
    assert len(queued) == 166
    assert [member.index for member in batch.rejected] == list(range(0, 60, 3))


def test_a_batch_that_has_no_room_leaves_no_fits_running(
    client: TestClient, app: Any, store: MemoryStore, queued: list[tuple[str, str]], fit_id: str
) -> None:
    app.state.services.batches = MemoryBatches(store, StoreSettings(batch_bytes=10))
    answer = client.post("/v1/batches", json={"fits": [REQUEST, seeded(1)]})
    assert (answer.status_code, answer.json()["type"]) == (507, "/problems/tenant-full")
    assert [client.get(f"/v1/fits/{name}").json()["status"] for name, _ in queued] == ["queued", "cancelled"]
    assert queued[0][0] == fit_id

"""Data sets in every format: what is kept of them, what is refused, and that fits and predictions can name them."""

import gzip
import io
import time
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from service.answers.common import Problem
from service.answers.datasets import Dataset, DatasetList
from service.app import create_app
from service.settings import Limits, ServiceSettings
from store.datasets import MemoryDatasets
from store.memory import MemoryStore
from tests.service.samples import COLUMNS, REQUEST

CSV = {"Content-Type": "text/csv"}
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
PARQUET = {"Content-Type": "application/vnd.apache.parquet"}
BIG = 2**63 - 1


def stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def as_csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()


def upload(
    client: TestClient, content: bytes | str, headers: dict[str, str] = CSV, query: str = ""
) -> Dataset:
    answer = client.post(f"/v1/datasets{query}", content=content, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    dataset = Dataset.model_validate(answer.json())
    assert answer.headers["Location"] == f"/v1/datasets/{dataset.id}"
    return dataset


def refused(
    client: TestClient, content: bytes | str, headers: dict[str, str] = CSV, query: str = ""
) -> Problem:
    answer = client.post(f"/v1/datasets{query}", content=content, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    return Problem.model_validate(answer.json())


def test_one_table_has_one_id_in_every_format(client: TestClient) -> None:
    table = pa.table(
        {**COLUMNS, "id": [BIG - row for row in range(24)], "seen": [row % 3 == 0 for row in range(24)]}
    )
    json = orjson.dumps({"columns": {name: table[name].to_pylist() for name in table.column_names}})
    bodies = [(as_csv(table), CSV), (stream(table), ARROW), (parquet(table), PARQUET)]
    bodies.append((json, {"Content-Type": "application/json"}))
    uploaded = [upload(client, content, headers) for content, headers in bodies]
    assert len({dataset.id for dataset in uploaded}) == 1
    assert {column.name: column.type for column in uploaded[0].columns} == {
        "y": "number",
        "x": "number",
        "g": "text",
        "id": "integer",
        "seen": "boolean",
    }
    by_name = {column.name: column for column in uploaded[0].columns}
    assert by_name["id"].levels == [BIG - row for row in range(23, 13, -1)]
    assert (by_name["g"].levels, by_name["g"].levels_total) == ([f"g{i}" for i in range(6)], 6)
    assert by_name["y"].levels is None


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", "0"], "integer"),
        (["1", "2.5", "1e3"], "number"),
        ([".5", "+1", "-3."], "number"),
        (["true", "false"], "boolean"),
        (["TRUE", "FALSE"], "boolean"),
        (["1", "true"], "text"),
        (["007", "12"], "text"),
        (["0x10", "1"], "text"),
        (["1 ", "2"], "integer"),
        (["inf", "1"], "text"),
        (["1,5", "2,5"], "text"),
        (["", ""], "number"),
        (["", "3"], "integer"),
    ],
)
def test_a_column_of_csv_is_what_all_its_cells_are(client: TestClient, cells: list[str], kind: str) -> None:
    content = "row,v\n" + "".join(f'{row},"{cell}"\n' for row, cell in enumerate(cells))
    column = upload(client, content).columns[1]
    assert column.type == kind
    assert column.missing == cells.count("")


def test_types_and_missing_texts_can_be_said(client: TestClient) -> None:
    content = "year,zip:4,v\n2001,1234,NA\n2002,,1\n"
    dataset = upload(client, content, query="?types=year:text&types=zip:4:text&missing=NA")
    assert [(column.type, column.missing) for column in dataset.columns] == [
        ("text", 0),
        ("text", 1),
        ("integer", 1),
    ]
    assert dataset.columns[0].levels == ["2001", "2002"]


@pytest.mark.parametrize(
    "query",
    ["types=v", "types=v:colour", "types=v:text&types=v:number", "colour=1"],
)
def test_what_types_say_is_checked(client: TestClient, query: str) -> None:
    assert refused(client, "v\n1\n", query=f"?{query}").type == "/problems/invalid-parameter"


def test_a_cell_that_is_not_of_the_type_is_named_by_its_row(client: TestClient) -> None:
    problem = refused(client, "v,w\n1,1\nx,2\n", query="?types=v:number&types=w:boolean")
    assert [(error.column, error.code) for error in problem.errors] == [
        ("v", "column-type"),
        ("w", "column-type"),
    ]
    assert "row 1" in problem.errors[0].message
    assert refused(client, "v\n1\n", query="?types=w:text").type == "/problems/unknown-column"


def test_types_are_for_csv_alone(client: TestClient) -> None:
    content = stream(pa.table({"v": [1, 2]}))
    assert refused(client, content, ARROW, "?types=v:text").type == "/problems/invalid-parameter"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1\n",
        b"a,b\n1,2\n3,4,5\n",
        b"a,a\n1,2\n",
        b"a,\n1,2\n",
        b'a,b\n1,"2\n3,4\n',
        b"a,b\n\xff,2\n",
        "a,b\n1,2\n".encode("utf-16-le"),
    ],
)
def test_what_is_no_csv_is_refused(client: TestClient, content: bytes) -> None:
    assert refused(client, content).type == "/problems/invalid-csv"


def test_csv_without_rows_has_no_rows(client: TestClient) -> None:
    assert refused(client, "a,b\n").type == "/problems/no-rows"


def test_csv_is_read_as_it_is_written(client: TestClient) -> None:
    content = '\ufeffname,"a ""b"""\r\n"x, y","line\r\nbreak"\r\nü,\r\n'
    columns = upload(client, content).columns
    assert [column.name for column in columns] == ["name", 'a "b"']
    assert columns[0].levels == ["x, y", "ü"]
    assert columns[1].levels == ["line\r\nbreak"]


@pytest.mark.parametrize("cell", [str(2**63), "9" * 400])
def test_no_integer_is_rounded(client: TestClient, cell: str) -> None:
    assert refused(client, f"v\n{cell}\n").type == "/problems/integer-out-of-range"
    assert upload(client, f"v\n{cell}\n", query="?types=v:text").columns[0].levels == [cell]
    assert refused(client, f"v\n{2**53 + 1}\n0.5\n").type == "/problems/mixed-types"


DOSES = ["high", "placebo", "low", "high", "placebo", "low"] * 4
REGIMES = ["placebo", "low", "never given", "high"]


def dosed(order: list[str], *, ordered: bool) -> pa.Table:
    codes = pa.array([order.index(dose) for dose in DOSES], pa.int8())
    return pa.table({**COLUMNS, "dose": pa.DictionaryArray.from_arrays(codes, order, ordered=ordered)})


def coefficients(client: TestClient, dataset: str, **more: Any) -> list[str]:
    answer = client.post("/v1/formulas/check", json={"formula": "y ~ dose", "dataset": dataset, **more})
    assert answer.status_code == 200, answer.text
    return [str(name) for name in answer.json()["population"]]


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
@pytest.mark.parametrize(
    ("write", "headers"), [(stream, ARROW), (parquet, PARQUET)], ids=["arrow", "parquet"]
)
def test_a_dictionary_keeps_the_order_of_its_levels(
    client: TestClient, write: Callable[[pa.Table], bytes], headers: dict[str, str], ordered: bool
) -> None:
    dataset = upload(client, write(dosed(REGIMES, ordered=ordered)), headers)
    (described,) = (column for column in dataset.columns if column.name == "dose")
    assert described.levels == ["placebo", "low", "high"]
    assert coefficients(client, dataset.id) == ["Intercept", "doselow", "dosehigh"]
    wanted = {"levels": {"dose": ["low", "high", "placebo"]}}
    assert coefficients(client, dataset.id, **wanted) == ["Intercept", "dosehigh", "doseplacebo"]


def test_another_order_of_levels_is_another_data_set_and_another_fit(client: TestClient) -> None:
    orders = (REGIMES, ["high", "low", "placebo", "never given"], ["high", "low", "placebo"])
    ids = [upload(client, stream(dosed(order, ordered=False)), ARROW).id for order in orders]
    assert len(set(ids)) == 2
    assert ids[1] == ids[2] == upload(client, stream(pa.table({**COLUMNS, "dose": DOSES})), ARROW).id
    bodies = [{"formula": "y ~ dose", "dataset": name} for name in ids]
    fits = [client.post("/v1/fits", json=body).json()["id"] for body in bodies]
    assert len(set(fits)) == 2


def test_plain_text_of_parquet_is_ordered_by_code_point(client: TestClient) -> None:
    sink = io.BytesIO()
    pq.write_table(dosed(REGIMES, ordered=True), sink, use_dictionary=False)
    for content in (sink.getvalue(), parquet(pa.table({**COLUMNS, "dose": DOSES}))):
        name = upload(client, content, PARQUET).id
        assert coefficients(client, name) == ["Intercept", "doselow", "doseplacebo"]


def test_numbers_beyond_all_bounds_are_refused(client: TestClient) -> None:
    assert refused(client, "v\n1e999\n0.5\n").type == "/problems/not-finite"
    assert refused(client, stream(pa.table({"v": [1.0, float("nan")]})), ARROW).type == "/problems/not-finite"


def test_arrows_types_become_the_four_kinds(client: TestClient) -> None:
    table = pa.table(
        {
            "small": pa.array([1, None], pa.int8()),
            "unsigned": pa.array([2**63 - 1, 1], pa.uint64()),
            "single": pa.array([0.5, 1.5], pa.float32()),
            "large": pa.array(["a", None], pa.large_string()),
            "coded": pa.DictionaryArray.from_arrays([1, 0], ["b", "a"]),
            "numbered": pa.DictionaryArray.from_arrays([1, 0], [5, 7]),
            "day": pa.array([0, 1], pa.date32()),
            "price": pa.array([1, 2], pa.decimal128(5, 2)),
            "nothing": pa.nulls(2),
        }
    )
    for content, headers in ((stream(table), ARROW), (parquet(table), PARQUET)):
        columns = {column.name: column for column in upload(client, content, headers).columns}
        assert {name: column.type for name, column in columns.items()} == {
            "small": "integer",
            "unsigned": "integer",
            "single": "number",
            "large": "text",
            "coded": "text",
            "numbered": "integer",
            "day": "text",
            "price": "number",
            "nothing": "number",
        }
        assert columns["day"].levels == ["1970-01-01", "1970-01-02"]
        assert columns["coded"].levels == ["b", "a"]


def test_columns_of_other_types_are_refused_together(client: TestClient) -> None:
    table = pa.table({"list": [[1], [2]], "struct": [{"a": 1}, {"a": 2}], "bytes": [b"a", b"b"], "v": [1, 2]})
    problem = refused(client, stream(table), ARROW)
    assert [error.column for error in problem.errors] == ["list", "struct", "bytes"]
    large = pa.table({"v": pa.array([2**63, 1], pa.uint64())})
    assert refused(client, stream(large), ARROW).type == "/problems/integer-out-of-range"


@pytest.mark.parametrize("cut", [0, 1, 100, -9])
def test_damaged_files_are_refused(client: TestClient, cut: int) -> None:
    table = pa.table(COLUMNS)
    assert refused(client, parquet(table)[:cut], PARQUET).type == "/problems/invalid-parquet"
    assert refused(client, b"\x01" + stream(table)[1:cut], ARROW).type == "/problems/invalid-arrow"


def test_json_is_checked_where_it_stands(client: TestClient) -> None:
    json = {"Content-Type": "application/json"}
    assert upload(client, orjson.dumps({"records": [{"a": 1}, {"a": 2}]}), json).rows == 2
    body = {"columns": {"a": [1, "x"], "b": [1]}}
    pointers = {error.pointer for error in refused(client, orjson.dumps(body), json).errors}
    assert pointers == {"/columns/a", "/columns/b"}


def test_packed_bodies_are_unpacked_within_limits(client: TestClient) -> None:
    content = as_csv(pa.table(COLUMNS))
    packed = {"gzip": gzip.compress(content), "zstd": pa.compress(content, codec="zstd", asbytes=True)}
    ids = {upload(client, body, {**CSV, "Content-Encoding": name}).id for name, body in packed.items()}
    assert ids == {upload(client, content).id}
    for name, body in packed.items():
        problem = refused(client, body[:-5], {**CSV, "Content-Encoding": name})
        assert problem.type == f"/problems/invalid-{name}"
    assert refused(client, content, {**CSV, "Content-Encoding": "br"}).status == 415


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_at_once(encoding: str) -> None:
    settings = ServiceSettings(limits=Limits(body_bytes=32 << 20))
    app = create_app(settings, MemoryStore(), lambda fit_id, queue: None, dataset_store=MemoryDatasets())
    zeros = bytes(300 << 20)
    body = gzip.compress(zeros, 9) if encoding == "gzip" else pa.compress(zeros, codec="zstd", asbytes=True)
    with TestClient(app) as client:
        started = time.perf_counter()
        problem = refused(client, body, {**CSV, "Content-Encoding": encoding})
        assert time.perf_counter() - started < 2
    assert problem.type == "/problems/body-too-large"


def test_a_small_file_of_many_cells_is_refused(client: TestClient) -> None:
    rows = pa.table({"v": pa.array([0] * 1_000_001)})
    text = pa.table({"v": pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_001, pa.int8()), ["x" * 1000])})
    for table in (rows, text):
        assert refused(client, parquet(table), PARQUET).type == "/problems/limit-exceeded"


def test_a_long_text_that_repeats_stays_one_text(client: TestClient) -> None:
    table = pa.table({"v": pa.DictionaryArray.from_arrays(pa.array([0] * 2_000), ["x" * 100_000])})
    assert upload(client, parquet(table), PARQUET).bytes < 1_000_000


def test_data_sets_are_listed_and_deleted(client: TestClient) -> None:
    ids = [upload(client, f"v\n{number}\n").id for number in range(3)]
    seen, address = [], "/v1/datasets?limit=2"
    while address:
        answer = client.get(address)
        seen += [dataset.id for dataset in DatasetList.model_validate(answer.json()).items]
        address = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == ids[::-1]
    assert client.get(f"/v1/datasets/{ids[0]}").json()["id"] == ids[0]
    assert client.delete(f"/v1/datasets/{ids[0]}").status_code == 204
    for answer in (client.get(f"/v1/datasets/{ids[0]}"), client.delete(f"/v1/datasets/{ids[0]}")):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/dataset-not-found")


def test_another_tenants_data_set_is_not_there(client: TestClient, app: Any) -> None:
    dataset = upload(client, "v\n1\n")
    record = app.state.services.datasets.get(dataset.id, "default")
    other = "ds_" + "b" * 26
    app.state.services.datasets.put(type(record)(other, "someone", 1, 1, record.columns), b"")
    assert client.get(f"/v1/datasets/{other}").status_code == 404
    answer = client.post("/v1/fits", json={"formula": REQUEST["formula"], "dataset": other})
    assert answer.json()["errors"][0]["code"] == "unknown-dataset"


def test_a_full_share_is_said(settings: ServiceSettings) -> None:
    from store.settings import StoreSettings

    small = MemoryDatasets(StoreSettings(dataset_bytes=100))
    with TestClient(
        create_app(settings, MemoryStore(), lambda fit_id, queue: None, dataset_store=small)
    ) as client:
        assert client.post("/v1/datasets", content="v\n1\n", headers=CSV).status_code == 507


def test_a_fit_of_a_data_set_is_the_fit_of_its_rows(client: TestClient, finish: Callable[..., Any]) -> None:
    dataset = upload(client, as_csv(pa.table(COLUMNS))).id
    inline = client.post("/v1/fits", json=REQUEST)
    named = client.post("/v1/fits", json={"formula": REQUEST["formula"], "dataset": dataset})
    assert (inline.status_code, named.status_code) == (202, 200)
    fit = named.json()["id"]
    assert fit == inline.json()["id"]
    finish(fit)
    client.delete(f"/v1/datasets/{dataset}")
    rows = upload(client, "x,g\n0.5,g0\n1.5,g1\n").id
    answer = client.post(f"/v1/fits/{fit}/predictions", json={"dataset": rows})
    assert len(answer.json()["mean"]) == 2
    checked = client.post("/v1/formulas/check", json={"formula": "x ~ 1 + (1 | g)", "dataset": dataset})
    assert checked.json()["errors"][0] == {
        "code": "unknown-dataset",
        "message": "There is no data set with this id.",
        "pointer": "/dataset",
    }


def test_errors_about_a_data_set_point_to_it(client: TestClient, finished: str) -> None:
    dataset = upload(client, "x,g\n0.5,g0\n1.5,new\n").id
    answer = client.post(f"/v1/fits/{finished}/predictions", json={"dataset": dataset})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/dataset")


@pytest.mark.parametrize(
    ("sources", "code", "pointer"),
    [
        ({"data": {"columns": COLUMNS}, "dataset": "ds_x"}, "conflicting-fields", "/dataset"),
        ({}, "missing-field", "/data"),
        ({"dataset": "ds_x", "priors": 1}, "unknown-dataset", "/dataset"),
    ],
)
def test_rows_are_in_one_place(
    client: TestClient, finished: str, sources: dict[str, Any], code: str, pointer: str
) -> None:
    prediction = {name: value for name, value in sources.items() if name != "priors"}
    for answer in (
        client.post("/v1/fits", json={"formula": REQUEST["formula"], **sources}),
        client.post(f"/v1/fits/{finished}/predictions", json=prediction),
    ):
        assert answer.status_code == 422
        assert (code, pointer) in {(error["code"], error["pointer"]) for error in answer.json()["errors"]}


def test_a_time_zone_that_is_no_text_is_refused(client: TestClient) -> None:
    times = pa.table({"t": pa.array([1, 2], pa.timestamp("s", "UTC")), "y": [1.0, 2.0]})
    for content, headers in ((parquet(times), PARQUET), (stream(times), ARROW)):
        broken = content.replace(b"UTC", b"U\xc3C")
        answer = client.post("/v1/datasets", content=broken, headers=headers)
        assert answer.status_code in (201, 422), answer.text

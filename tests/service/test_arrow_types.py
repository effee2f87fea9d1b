"""Every type of Arrow: read exactly or refused with the name of its column, and never an error of ours."""

import io
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from tests.service.test_datasets import ARROW, PARQUET, parquet, refused, stream, upload

FILE = {"Content-Type": "application/vnd.apache.arrow.file"}
BIG = 2**53


def _types() -> Iterator[pa.DataType]:
    yield from (pa.null(), pa.bool_(), pa.string(), pa.large_string(), pa.string_view())
    yield from (
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
    )
    yield from (pa.float16(), pa.float32(), pa.float64())
    yield from (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4))
    for make in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256):
        yield from (make(9, 0), make(9, 2), make(9, -2))
    yield from (pa.date32(), pa.date64(), pa.month_day_nano_interval())
    yield from (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))
    for unit in ("s", "ms", "us", "ns"):
        yield pa.duration(unit)
        for zone in (None, "UTC", "utc", "Z", "GMT", "+05", "+05:00", "-0330", "Europe/Berlin", "Mars/Base"):
            yield pa.timestamp(unit, zone)
    item = pa.int32()
    yield from (pa.list_(item), pa.large_list(item), pa.list_view(item), pa.large_list_view(item))
    yield from (pa.list_(item, 2), pa.map_(pa.string(), item), pa.struct([("a", item)]))
    yield from (pa.dense_union([pa.field("a", item)]), pa.sparse_union([pa.field("a", item)]))
    yield from (pa.run_end_encoded(pa.int32(), item), pa.run_end_encoded(pa.int32(), pa.string()))
    yield from (
        pa.uuid(),
        pa.json_(),
        pa.bool8(),
        pa.opaque(item, "thing", "vendor"),
        pa.fixed_shape_tensor(item, [2]),
    )


TYPES = list(_types())


def _cells(kind: pa.DataType) -> pa.Array:
    """Two cells of a type, made from bytes where Python values cannot be."""
    values: list[Any] = [
        date(2020, 2, 29),
        b"1234",
        "1",
        1,
        1.5,
        True,
        Decimal(100),
        [1, 2],
        {"a": 1},
        [("a", 1)],
        [1, 1, 1],
        None,
    ]
    for value in values:
        try:
            return pa.array([value, None], kind)
        except (pa.ArrowException, TypeError, ValueError, AttributeError):
            continue
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, _cells(kind.storage_type))
    if pa.types.is_union(kind):
        places = pa.array([0, 0], pa.int8())
        if kind.mode == "dense":
            return pa.UnionArray.from_dense(
                places, pa.array([0, 1], pa.int32()), [pa.array([1, 2], pa.int32())]
            )
        return pa.UnionArray.from_sparse(places, [pa.array([1, 2], pa.int32())])
    return pa.nulls(2, kind)


def _coded(cells: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0, 0, None], pa.int8()), cells)


def _check(client: TestClient, content: bytes, headers: dict[str, str]) -> None:
    answer = client.post("/v1/datasets", content=content, headers=headers)
    if answer.status_code not in (200, 201):
        assert answer.status_code == 422, answer.text
        assert [error.get("column") for error in answer.json()["errors"]] == ["v"], answer.text


@pytest.mark.parametrize("dress", [lambda cells: cells, _coded], ids=["plain", "coded"])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_every_type_is_read_or_refused_by_its_column(
    client: TestClient, kind: pa.DataType, dress: Callable[[pa.Array], pa.Array]
) -> None:
    try:
        table = pa.table({"v": dress(_cells(kind))})
        content = stream(table)
    except (pa.ArrowException, TypeError):
        pytest.fail(f"no column of {kind} could be made")
    try:
        pa.ipc.open_stream(content).read_all()
    except (pa.ArrowException, TypeError):
        # Arrow does not read what it writes of dictionaries of extension types, so it knows no name either.
        assert refused(client, content, ARROW).type == "/problems/invalid-arrow"
    else:
        _check(client, content, ARROW)
    try:
        written = parquet(table)
    except (pa.ArrowException, OSError, TypeError):
        return  # Parquet has no such type
    _check(client, written, PARQUET)


@pytest.mark.parametrize("zone", ["Z", "utc", "+05", "Mars/Base"])
def test_zones_that_are_not_known_are_named(client: TestClient, zone: str) -> None:
    table = pa.table({"at": pa.array([0, 1], pa.timestamp("us", zone))})
    (error,) = refused(client, stream(table), ARROW).errors
    assert (error.code, error.column) == ("column-type", "at")
    assert repr(zone) in error.message


def test_times_of_known_zones_keep_their_offsets(client: TestClient) -> None:
    for zone, text in (("UTC", "1970-01-01 00:00:00Z"), ("+05:00", "1970-01-01 05:00:00+0500")):
        table = pa.table({"at": pa.array([0, 1], pa.timestamp("s", zone))})
        levels = upload(client, stream(table), ARROW).columns[0].levels
        assert levels is not None
        assert levels[0] == text


@pytest.mark.parametrize(
    "kind", [pa.decimal128(38, 0), pa.decimal256(50, 0), pa.decimal64(18, 0), pa.decimal128(38, 4)]
)
def test_decimals_that_are_ids_stay_apart(client: TestClient, kind: pa.DataType) -> None:
    scale = 10**kind.scale
    ids = (
        [(BIG + row) for row in range(4)]
        if kind.precision - kind.scale > 16
        else [10**13 + row for row in range(4)]
    )
    assert ids[-1] * scale < 10**kind.precision
    table = pa.table({"g": pa.array([Decimal(number) for number in ids], kind)})
    column = upload(client, stream(table), ARROW).columns[0]
    assert (column.type, column.levels) == ("integer", ids)


def test_decimals_that_nothing_holds_are_refused(client: TestClient) -> None:
    for number, kind in (
        (Decimal(2**63), pa.decimal128(38, 0)),
        (Decimal(f"{BIG + 1}.5"), pa.decimal128(38, 1)),
    ):
        table = pa.table({"g": pa.array([number, number], kind)})
        (error,) = refused(client, stream(table), ARROW).errors
        assert (error.code, error.column) == ("integer-out-of-range", "g")
    price = pa.table({"v": pa.array([Decimal("1.25"), None], pa.decimal128(38, 2))})
    assert upload(client, stream(price), ARROW).columns[0].type == "number"


def test_floating_point_that_merges_ids_is_no_grouping_column(client: TestClient) -> None:
    ids = np.repeat(np.arange(4) * 2.0, 3)
    data = {"y": np.arange(12.0) ** 1.5, "x": np.tile([1.0, 2.0, 4.0], 4)}
    for shift, code in ((0.0, None), (float(BIG), "column-type")):
        dataset = upload(client, stream(pa.table({**data, "g": ids + shift})), ARROW).id
        answer = client.post("/v1/formulas/check", json={"formula": "y ~ x + (1 | g)", "dataset": dataset})
        assert [error["code"] for error in answer.json().get("errors", [])] == ([code] if code else [])


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([2**31 - 1, 0], pa.date32()),
        pa.array([-(2**31), 0], pa.date32()),
        pa.array([-800_000, 0], pa.date32()),
        pa.array([86_400_000 * 10**10, 0], pa.date64()),
        *(pa.array([2**62, 0], pa.timestamp(unit)) for unit in ("s", "ms", "us")),
        *(pa.array([-(2**62), 0], pa.timestamp(unit)) for unit in ("s", "ms", "us")),
    ],
)
def test_dates_out_of_range_are_refused(client: TestClient, cells: pa.Array) -> None:
    (error,) = refused(client, stream(pa.table({"day": cells})), ARROW).errors
    assert (error.code, error.column) == ("column-type", "day")


def test_a_column_that_breaks_the_rules_of_its_type_is_named(client: TestClient) -> None:
    day = pa.array([86_400_000 + 1, 0], pa.int64()).view(pa.date64())
    (error,) = refused(client, stream(pa.table({"v": [1, 2], "day": day})), ARROW).errors
    assert (error.code, error.column) == ("invalid-arrow", "day")


def test_a_second_stream_is_not_left_unread(client: TestClient) -> None:
    table = pa.table({"v": [1.5, 2.5]})
    content = stream(table)
    for rest in (content, b"rest"):
        problem = refused(client, content + rest, ARROW)
        assert problem.type == "/problems/invalid-arrow"
        assert "more follows" in problem.errors[0].message
    assert upload(client, content + bytes(8), ARROW).rows == 2


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather_files_are_read_as_they_are_written(client: TestClient, compression: str) -> None:
    table = pa.table(
        {"v": [float(row) for row in range(2_000)], "g": ["a", "b"] * 1_000, "n": pa.nulls(2_000)}
    )
    expected = upload(client, stream(table), ARROW).id
    sink = io.BytesIO()
    pyarrow.feather.write_feather(table, sink, compression=compression, chunksize=300)
    for headers in (FILE, ARROW):
        assert upload(client, sink.getvalue(), headers).id == expected
    assert refused(client, sink.getvalue()[:-7], FILE).type == "/problems/invalid-arrow"


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_buffers_are_unpacked_within_the_limits(client: TestClient, codec: str) -> None:
    options = pa.ipc.IpcWriteOptions(compression=codec)
    coded = pa.DictionaryArray.from_arrays(pa.array([0] * 1000), ["x" * 1000])
    for table in (pa.table({"v": [0.0] * 1000}), pa.table({"v": coded})):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        assert upload(client, sink.getvalue(), ARROW).id == upload(client, stream(table), ARROW).id
    bomb = pa.table({"v": pa.DictionaryArray.from_arrays(pa.array([0, 0]), ["x" * 100_000_000])})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, bomb.schema, options=options) as writer:
        writer.write_table(bomb)
    if sink.tell() < 1_000_000:  # the limit of a body in these tests
        assert refused(client, sink.getvalue(), ARROW).type == "/problems/limit-exceeded"


def test_times_of_old_parquet_files_are_read(client: TestClient) -> None:
    sink = io.BytesIO()
    table = pa.table({"at": pa.array([0, 1], pa.timestamp("ns"))})
    pq.write_table(table, sink, use_deprecated_int96_timestamps=True)
    assert upload(client, sink.getvalue(), PARQUET).columns[0].levels_total == 2


def test_a_second_file_is_not_left_unread(client: TestClient) -> None:
    table = pa.table({"y": [1.5, 2.5, 3.5], "g": ["a", "b", "a"]})
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    for one, headers in ((sink.getvalue(), ARROW), (parquet(table), PARQUET)):
        assert upload(client, one, headers).rows == 3
        message = refused(client, one + one, headers).errors[0].message
        assert "send one" in message

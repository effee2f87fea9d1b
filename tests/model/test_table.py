"""Typed columns: what is accepted, what is refused and where, and what makes two columns equal."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import InvalidModel
from model.frame.table import Table, escape_pointer


def refusal(columns: dict[str, Any]) -> list[tuple[str, str | None]]:
    with pytest.raises(InvalidModel) as caught:
        Table.from_columns(columns)
    return [(issue.code, issue.pointer) for issue in caught.value.issues]


def test_kinds_are_found_from_the_values() -> None:
    table = Table.from_columns(
        {"number": [1, 2.5], "integer": [1, -(2**63)], "boolean": [True, False], "text": ["b", "a"]}
    )
    assert [table[name].kind for name in table.names] == list(table.names)
    assert table["integer"].values.tolist() == [1, -(2**63)]
    assert table["text"].dictionary == ("a", "b")
    assert table["text"].values.tolist() == [1, 0]
    assert table.rows == 2


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([None, 2, 3], [None, 2, 3]),
        ([1.5, None, None], [1.5, None, None]),
        ([None, "a"], [None, "a"]),
        ([True, None], [True, None]),
        ([None, None], [None, None]),
        (np.ma.masked_array([1, 2, 3], mask=[False, True, False]), [1, None, 3]),
        (np.ma.masked_array([1.0, math.nan], mask=[False, True]), [1.0, None]),
        (np.ma.masked_array(["a", "zz"], mask=[False, True]), ["a", None]),
        (np.array([np.float64(1.0), None], dtype=object), [1.0, None]),
        ([np.int64(3), np.int32(4)], [3, 4]),
        (np.array([1, 2], dtype=np.uint8), [1, 2]),
        (np.array(["x", "y"]), ["x", "y"]),
        (np.array([0.5], dtype=np.float32), [0.5]),
        (np.array([True]), [True]),
    ],
)
def test_none_and_masked_cells_are_missing(values: Any, cells: list[Any]) -> None:
    column = Table.from_columns({"c": values})["c"]
    assert column.to_list() == cells
    assert column.missing_count == cells.count(None)
    assert column.empty == (set(cells) == {None})


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([1.0, math.nan], "not-finite"),
        ([1.0, math.inf], "not-finite"),
        ([1, -math.inf], "not-finite"),
        (np.array([1.0, np.nan]), "not-finite"),
        ([1, "a"], "mixed-types"),
        ([True, 1], "mixed-types"),
        ([True, "a"], "mixed-types"),
        ([[1], [2]], "mixed-types"),
        ([1, {"a": 1}], "mixed-types"),
        (np.zeros((2, 2)), "mixed-types"),
        ([0.5, 2**53 + 1], "mixed-types"),
        ([1, 2**63], "integer-out-of-range"),
        (np.array([2**63], dtype=np.uint64), "integer-out-of-range"),
        (["a", "\ud800"], "invalid-text"),
    ],
)
def test_what_is_no_column_is_refused(values: Any, code: str) -> None:
    assert refusal({"a/b~c": values}) == [(code, "/data/columns/a~1b~0c")]


def test_all_issues_come_at_once() -> None:
    found = refusal({"a": [1, 2], "b": [1], "c": [1, "x"], "d": [math.inf, 0.0]})
    assert found == [
        ("unequal-lengths", "/data/columns/b"),
        ("mixed-types", "/data/columns/c"),
        ("not-finite", "/data/columns/d"),
    ]


def test_no_rows_are_refused() -> None:
    assert refusal({}) == [("no-rows", "/data/columns")]
    assert refusal({"a": []}) == [("no-rows", "/data/columns")]
    for records in ([], [{}]):
        with pytest.raises(InvalidModel, match="no"):
            Table.from_records(records)


def test_records_may_lack_keys() -> None:
    table = Table.from_records([{"a": 1, "b": "x"}, {"b": "y", "c": 2.5}])
    assert {name: table[name].to_list() for name in table.names} == {
        "a": [1, None],
        "b": ["x", "y"],
        "c": [None, 2.5],
    }
    assert table.pointer("a") == "/data/records"


def test_records_point_at_the_first_bad_cell() -> None:
    with pytest.raises(InvalidModel) as caught:
        Table.from_records([{"a": 1, "b": 1.0}, {"a": 2, "b": 2.0}, {"a": "x", "b": math.nan}])
    assert [issue.pointer for issue in caught.value.issues] == ["/data/records/2/a", "/data/records/2/b"]


def test_select_and_take() -> None:
    table = Table.from_columns({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [True, False, True]})
    assert table.select(["c", "a"]).names == ("c", "a")
    kept = table.take(np.array([True, False, True]))
    assert (kept.rows, kept["b"].to_list(), kept["b"].missing) == (2, ["x", "z"], None)
    assert table.take(np.array([2, 0, 0]))["a"].to_list() == [3, 1, 1]
    assert "b" in table
    assert "d" not in table


def test_equal_values_have_equal_digests() -> None:
    def digest(values: Any) -> str:
        return Table.from_columns({"c": values}).digest()["c"]

    assert digest([1, 2]) == digest([1.0, 2.0]) == digest(np.array([1, 2], dtype=np.uint8))
    assert digest([0.0, 1.5]) == digest([-0.0, 1.5])
    assert digest([1, None]) == digest([1.0, None])
    assert digest([2**60]) == digest([float(2**60)])
    whole = Table.from_columns({"c": ["b", "a", "zz"]})
    assert whole.take(np.array([0, 1])).digest() == Table.from_columns({"c": ["b", "a"]}).digest()
    different = [
        [1, 2],
        [2, 1],
        [1, 2, 0],
        [1, None],
        [True, False],
        ["1", "2"],
        ["12", ""],
        ["a\0b"],
        ["a", "b"],
    ]
    assert len({digest(values) for values in different}) == len(different)


cells = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1, max_size=8),
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1, max_size=8),
    st.lists(st.text(max_size=3).filter(lambda s: s.isprintable()) | st.none(), min_size=1, max_size=8),
    st.lists(st.booleans() | st.none(), min_size=1, max_size=8),
)


@given(cells)
@settings(max_examples=200, deadline=None)
def test_parts_and_cells_survive_the_round_trip(values: list[Any]) -> None:
    table = Table.from_columns({"c": values})
    meta, arrays = table.to_parts()
    again = Table.from_parts(meta, arrays)
    assert again["c"].to_list() == table["c"].to_list() == values
    assert again.digest() == table.digest()
    assert all(array.dtype.kind in "fib" for array in arrays.values())


def test_escaping_follows_rfc_6901() -> None:
    assert escape_pointer("m~n/o") == "m~0n~1o"

"""The codec gives back exactly what it was given, and refuses everything else."""

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.codec import ALIGNMENT, CodecError, pack, unpack

DTYPES = ["|b1", "|i1", "|u1", "<i2", ">i4", "<u4", "<i8", ">u8", "<f4", "<f8", ">f8"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcü\0 ", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
ARRAYS = st.dictionaries(
    st.text("abcµ", max_size=4),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    ),
    max_size=4,
)
META = st.dictionaries(st.text("abc", max_size=4), JSON, max_size=4)
SAMPLE = pack({"names": ["a", "b"]}, {"x": np.arange(10.0), "i": np.arange(3)})


@given(META, ARRAYS)
@settings(max_examples=200, deadline=None)
def test_what_is_packed_comes_back(meta: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    found_meta, found = unpack(pack(meta, arrays))
    assert found_meta == meta
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype.newbyteorder("<")
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    # The two bytes after the version are reserved and mean nothing.
    place = data.draw(st.integers(0, len(SAMPLE) - 1).filter(lambda i: i not in (10, 11)))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != SAMPLE[place]))
    with pytest.raises(CodecError):
        unpack(SAMPLE[:place] + bytes([other]) + SAMPLE[place + 1 :])


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 100, len(SAMPLE) - 1])
def test_a_truncated_blob_is_refused(length: int) -> None:
    with pytest.raises(CodecError, match="truncated"):
        unpack(SAMPLE[:length])


def test_a_blob_with_more_after_it_is_refused() -> None:
    with pytest.raises(CodecError):
        unpack(SAMPLE + b"\0")


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        unpack(data)


def test_a_later_version_is_refused_by_name() -> None:
    later = SAMPLE[:8] + (2).to_bytes(2, "little") + SAMPLE[10:]
    with pytest.raises(CodecError, match="version 2"):
        unpack(later)


def test_views_are_read_only_and_aligned_within_the_blob() -> None:
    arrays = {"a": np.arange(3, dtype=np.int8), "b": np.arange(5.0), "c": np.ones((2, 3, 4), np.float32)}
    blob = pack({}, arrays)
    start = np.frombuffer(blob, np.uint8).__array_interface__["data"][0]
    for array in unpack(blob)[1].values():
        assert (array.__array_interface__["data"][0] - start) % ALIGNMENT == 0
        assert not array.flags.writeable
        assert not array.flags.owndata


def test_an_array_in_another_order_is_written_as_it_reads() -> None:
    array = np.arange(12.0).reshape(3, 4)
    found = unpack(pack({}, {"t": array.T, "every_other": array[:, ::2]}))[1]
    np.testing.assert_array_equal(found["t"], array.T)
    np.testing.assert_array_equal(found["every_other"], array[:, ::2])


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([object()]), np.array([1j]), np.array(["2026-01-01"], "M8[D]")]
)
def test_other_kinds_of_arrays_are_refused(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(CodecError, match="'x'"):
        pack({}, {"x": array})


@pytest.mark.parametrize(
    "value", [float("nan"), {"a": [1, float("inf")]}, (1.0, -float("inf")), 2**64, b"bytes", {1: 2}, "\ud800"]
)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(CodecError):
        pack({"key": value}, {})


def test_null_beside_numbers_is_no_offence() -> None:
    assert unpack(pack({"a": None, "b": 0.5}, {}))[0] == {"a": None, "b": 0.5}

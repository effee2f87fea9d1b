"""Values to bytes and back: a JSON header and raw little-endian arrays, each contiguous and 64-byte aligned.

Nothing is pickled, so bytes from anywhere can be read safely; what is damaged is refused, never misread.
"""

import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from model.errors import RanefError

MAGIC = b"\x93RANEF\r\n"
VERSION = 1
ALIGNMENT = 64
_PREFIX = struct.Struct(
    "<8sHHIQQ"
)  # magic, version, reserved, crc32 of what follows, header bytes, data bytes
_DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"})


class CodecError(RanefError):
    """Bytes that are not ours or are damaged, or a value that cannot be written."""


def pack(meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    """Write plain JSON and named arrays of any shape as one blob.

    Raises CodecError for a dtype other than boolean, integer and float, and for what JSON cannot hold.
    """
    entries: dict[str, dict[str, Any]] = {}
    blocks: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        data = np.asarray(array, order="C")
        data = data.astype(data.dtype.newbyteorder("<"), copy=False)
        if data.dtype.str not in _DTYPES:
            raise CodecError(f"array {name!r} has dtype {data.dtype}, which cannot be stored")
        entries[name] = {"dtype": data.dtype.str, "shape": data.shape, "offset": offset}
        blocks.append(data.tobytes())
        padding = -data.nbytes % ALIGNMENT
        blocks.append(bytes(padding))
        offset += data.nbytes + padding
    header = _dump({"meta": dict(meta), "arrays": entries})
    header += b" " * (-(_PREFIX.size + len(header)) % ALIGNMENT)
    checksum = zlib.crc32(header)
    for block in blocks:
        checksum = zlib.crc32(block, checksum)
    prefix = _PREFIX.pack(MAGIC, VERSION, 0, checksum, len(header), offset)
    return b"".join([prefix, header, *blocks])


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Read what `pack` wrote; the arrays are read-only views of `data`.

    Raises CodecError for anything else: foreign, of another version, truncated or damaged bytes.
    """
    if len(data) < _PREFIX.size:
        raise CodecError("truncated: there is no header")
    magic, version, _, checksum, header_bytes, data_bytes = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise CodecError("not a blob of ours")
    if version != VERSION:
        raise CodecError(f"written as version {version}; this software reads version {VERSION}")
    if len(data) != _PREFIX.size + header_bytes + data_bytes:
        raise CodecError("truncated: the length differs from the header's")
    if zlib.crc32(memoryview(data)[_PREFIX.size :]) != checksum:
        raise CodecError("damaged: the checksum differs")
    start = _PREFIX.size + header_bytes
    try:
        header = orjson.loads(memoryview(data)[_PREFIX.size : start])
        arrays = {name: _view(data, start, entry) for name, entry in header["arrays"].items()}
        return header["meta"], arrays
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CodecError("damaged: the header cannot be read") from error


def _view(data: bytes, start: int, entry: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    if entry["dtype"] not in _DTYPES:
        raise CodecError(f"unknown dtype {entry['dtype']!r}")
    shape = tuple(entry["shape"])
    flat = np.frombuffer(data, entry["dtype"], count=math.prod(shape), offset=start + entry["offset"])
    return flat.reshape(shape)


def _dump(value: object) -> bytes:
    try:
        text = orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError as error:
        raise CodecError(f"not plain JSON: {error}") from error
    # orjson writes NaN as null; only if there is a null is the value worth a search.
    if b"null" in text and _has_nonfinite(value):
        raise CodecError("not plain JSON: NaN or infinity")
    return text


def _has_nonfinite(value: object) -> bool:
    match value:
        case float():
            return not math.isfinite(value)
        case dict():
            return any(map(_has_nonfinite, value.values()))
        case list() | tuple():
            return any(map(_has_nonfinite, value))
        case _:
            return False

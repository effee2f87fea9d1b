"""One column of data: its kind is found from the values, and nothing is converted by guesswork.

Integers never pass through floating point, text is dictionary coded, and None is the only missing value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "integer", "boolean", "text"]
EXACT_FLOAT = 2**53  # up to here every integer is a float64


class ColumnError(Exception):
    """What is wrong with a column: a predicate to follow the column's name, and the first row concerned."""

    def __init__(self, code: str, predicate: str, row: int = 0) -> None:
        super().__init__(predicate)
        self.code = code
        self.row = row


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column; `values` are float64, int64, bool, or int32 codes into `dictionary`.

    The order of the dictionary is that of the levels: by code point, unless the data came with another.
    A missing cell is true in `missing` (None: nothing is missing); its value is 0, False, or code -1.
    """

    kind: Kind
    values: NDArray[Any]
    missing: NDArray[np.bool_] | None = None
    dictionary: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing_count(self) -> int:
        """Number of missing cells."""
        return 0 if self.missing is None else int(np.count_nonzero(self.missing))

    @property
    def empty(self) -> bool:
        """Whether every cell is missing, so that the kind is unknown."""
        return self.missing_count == len(self)

    def take(self, rows: NDArray[Any]) -> Self:
        """Keep only some rows: a boolean mask or row numbers."""
        missing = None if self.missing is None else self.missing[rows]
        if missing is not None and not missing.any():
            missing = None
        return type(self)(self.kind, self.values[rows], missing, self.dictionary)

    def to_list(self) -> list[str | int | float | bool | None]:
        """The cells as Python values, None where missing."""
        if self.kind == "text":
            return [None if code < 0 else self.dictionary[code] for code in self.values.tolist()]
        cells: list[str | int | float | bool | None] = self.values.tolist()
        if self.missing is not None:
            for row in np.flatnonzero(self.missing).tolist():
                cells[row] = None
        return cells

    def integral(self) -> NDArray[np.int64] | None:
        """The values as exact integers, or None if they are not integral numbers within 64 bits."""
        if self.kind == "integer":
            return self.values
        if self.kind != "number":
            return None
        whole = np.all(np.floor(self.values) == self.values) and np.all(np.abs(self.values) < 2.0**63)
        return self.values.astype(np.int64) if whole else None

    def canonical(self) -> Iterator[bytes]:
        """Bytes that are equal exactly when two columns hold equal values, whatever their kind or coding.

        Text of another order of levels is other text, as another of its levels is the reference.
        """
        yield str(len(self)).encode()
        if self.empty:
            yield b"missing"
            return
        yield b"" if self.missing is None else np.packbits(self.missing).tobytes()
        if self.kind == "text":
            used, codes = np.unique(self.values, return_inverse=True)
            strings = [self.dictionary[code] if code >= 0 else "" for code in used.tolist()]
            yield b"text"
            for string in strings:
                encoded = string.encode()
                yield str(len(encoded)).encode() + b":" + encoded
            yield codes.astype("<i4").tobytes()
        elif self.kind == "boolean":
            yield b"boolean"
            yield np.packbits(self.values).tobytes()
        elif (whole := self.integral()) is not None:
            yield b"integer"
            yield whole.astype("<i8").tobytes()
        else:
            yield b"number"
            yield (self.values + 0.0).astype("<f8").tobytes()  # -0.0 + 0.0 is 0.0


def read_column(values: Sequence[object] | NDArray[Any]) -> Column:
    """Type a column from its values; raises ColumnError for mixed types, NaN, Inf, big integers."""
    if isinstance(values, np.ndarray):
        return _from_array(values)
    kinds = set(map(type, values))
    if not kinds <= {bool, int, float, str, type(None)}:
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
        kinds = set(map(type, values))
    missing: NDArray[np.bool_] | None = None
    if type(None) in kinds:
        kinds.discard(type(None))
        missing = np.fromiter((value is None for value in values), np.bool_, len(values))
    if not kinds:
        return Column("number", np.zeros(len(values)), missing)
    if kinds == {str}:
        return _text(values, missing)
    if kinds == {bool}:
        return Column("boolean", np.array(_filled(values, missing, False), dtype=np.bool_), missing)
    if kinds == {int}:
        try:
            return Column("integer", np.array(_filled(values, missing, 0), dtype=np.int64), missing)
        except OverflowError:
            row = next(i for i, v in enumerate(values) if isinstance(v, int) and not -(2**63) <= v < 2**63)
            message = f"holds an integer beyond 64 bits (row {row})."
            raise ColumnError("integer-out-of-range", message, row) from None
    if kinds == {float} or kinds == {int, float}:
        return _number(_filled(values, missing, 0.0), missing, mixed=int in kinds)
    raise _mixed(values)


def _filled(values: Sequence[object], missing: NDArray[np.bool_] | None, fill: object) -> list[Any]:
    return list(values) if missing is None else [fill if value is None else value for value in values]


def _number(values: list[Any], missing: NDArray[np.bool_] | None, *, mixed: bool) -> Column:
    if mixed:
        for row, value in enumerate(values):
            if isinstance(value, int) and abs(value) > EXACT_FLOAT:
                message = f"mixes decimals with an integer that they cannot hold exactly (row {row})."
                raise ColumnError("mixed-types", message, row)
    array = np.array(values, dtype=np.float64)
    _check_finite(array)
    return Column("number", array, missing)


def _check_finite(array: NDArray[np.float64]) -> None:
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        message = f"holds NaN or infinity in {bad.size} rows (first: row {bad[0]}); null is a missing value."
        raise ColumnError("not-finite", message, int(bad[0]))


def _text(values: Sequence[Any], missing: NDArray[np.bool_] | None) -> Column:
    dictionary = sorted(set(values) - {None})
    try:
        "".join(dictionary).encode()
    except UnicodeEncodeError:
        raise ColumnError(
            "invalid-text", "holds text that is not valid Unicode (a lone surrogate)."
        ) from None
    codes: dict[str | None, int] = {string: code for code, string in enumerate(dictionary)}
    codes[None] = -1
    coded = np.fromiter((codes[value] for value in values), np.int32, len(values))
    return Column("text", coded, missing, tuple(dictionary))


def _from_array(values: NDArray[Any]) -> Column:
    missing: NDArray[np.bool_] | None = None
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        missing = mask if mask.any() else None
        values = values.filled("" if values.dtype.kind in "UT" else 0)
    if values.ndim != 1:
        raise ColumnError("mixed-types", "is not one-dimensional.")
    match values.dtype.kind:
        case "f":
            array = values.astype(np.float64)
            _check_finite(array)
            return Column("number", array, missing)
        case "i":
            return Column("integer", values.astype(np.int64), missing)
        case "u":
            if values.size and int(values.max()) >= 2**63:
                row = int(values.argmax())
                raise ColumnError(
                    "integer-out-of-range", f"holds an integer beyond 64 bits (row {row}).", row
                )
            return Column("integer", values.astype(np.int64), missing)
        case "b":
            return Column("boolean", values.astype(np.bool_), missing)
    cells: list[object] = values.tolist()
    if missing is not None:
        cells = [None if gone else cell for cell, gone in zip(cells, missing.tolist(), strict=True)]
    return read_column(cells)


def _mixed(values: Sequence[object]) -> ColumnError:
    words = {bool: "boolean", int: "number", float: "number", str: "text"}
    seen: dict[str, int] = {}
    for row, value in enumerate(values):
        if value is not None:
            word = words.get(type(value))
            if word is None:
                message = f"holds something that is neither number, text nor boolean (row {row})."
                return ColumnError("mixed-types", message, row)
            seen.setdefault(word, row)
    (first, _), (second, row) = list(seen.items())[:2]
    return ColumnError("mixed-types", f"mixes {first} with {second} (row {row}).", row)

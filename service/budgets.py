"""What a request may hold at most, counted before anything of it is validated or made.

Validators say everything that is wrong, and each thing costs time and memory: so things are counted first, and where
there are far too many the first are named and the others are only counted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from model.errors import InvalidModel, Issue
from model.frame.table import escape_pointer
from model.limits import ISSUES
from service.caps import refuse_too_large, too_many
from service.problems import LISTED_ERRORS
from service.requests.common import Data
from service.settings import Limits

_COUNTED = 1 << 18
"""Bytes of JSON up to which nothing in it need be counted."""
_BESIDE_CELLS = 1_000_000
"""Values that a body may have beside the cells of its data: levels, weights, priors."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def refuse_dense(body: bytes, limits: Limits) -> None:
    """Raise InvalidModel if JSON has more values than a request may have: each becomes an object of some 50 bytes.

    Brackets and commas are counted, first in all bytes, and outside of texts only where these are too many.
    """
    if len(body) <= _COUNTED:
        return
    containers, values = _structure(body)
    most_containers, most_values = limits.rows + _BESIDE_CELLS, limits.cells + _BESIDE_CELLS
    if containers <= most_containers and values <= most_values:
        return
    containers, values = _structure(_STRING.sub(b"", body))
    if containers > most_containers:
        raise InvalidModel(too_many("objects and arrays in one body", containers, most_containers))
    if values > most_values:
        raise InvalidModel(too_many("values in one body", values, most_values))


def _structure(body: bytes) -> tuple[int, int]:
    return body.count(b"{") + body.count(b"["), body.count(b",")


def refuse_unbounded(schema: type[BaseModel], document: object, limits: Limits) -> None:
    """Raise InvalidModel if a document holds more names, or more of anything that is counted, than it may."""
    issues = list(_too_many(schema, document, "", limits))
    if issues:
        raise InvalidModel(issues)
    unknown = []
    for place in _unknown(schema, document, ""):
        unknown.append(place)
        if len(unknown) > ISSUES:
            named = [Issue("unknown-field", "There is no such field.", place) for place in unknown]
            message = f"There are more than {ISSUES} fields that are not known; nothing else was looked at."
            raise InvalidModel([*named[:LISTED_ERRORS], Issue("unknown-field", message)])


def refuse_many_columns(columns: Mapping[str, object], limits: Limits, pointer: str | None) -> None:
    """Raise InvalidModel if data that came column by column are too large."""
    lengths = (len(values) for values in columns.values() if isinstance(values, list))
    refuse_too_large(len(columns), max(lengths, default=0), limits, pointer)


def refuse_many_names(records: Iterable[object], limits: Limits, pointer: str | None) -> None:
    """Raise InvalidModel if records have too many rows, too many different keys, or too many cells."""
    names: set[str] = set()
    rows = 0
    for record in records:
        rows += 1
        if isinstance(record, dict) and not names.issuperset(record):
            names.update(record)
            refuse_too_large(len(names), 0, limits, pointer)
    refuse_too_large(len(names), rows, limits, pointer)


def _too_many(schema: type[BaseModel], document: object, pointer: str, limits: Limits) -> Iterator[Issue]:
    """The collections of a document that are too long, and what is wrong with the size of its data."""
    if not isinstance(document, dict):
        return
    if schema is Data:
        yield from _too_large(document, limits, pointer or None)
        return
    caps = {
        "priors": ("priors", limits.priors),
        "metadata": ("entries", limits.metadata_entries),
        "levels": ("columns with levels", limits.columns),
        "contrasts": ("contrasts", limits.contrasts),
    }
    for name, inner in _inner(schema).items():
        value, place = document.get(name), f"{pointer}/{name}"
        if name in caps and isinstance(value, dict | list) and len(value) > caps[name][1]:
            yield too_many(caps[name][0], len(value), caps[name][1], place)
        elif name == "levels" and isinstance(value, dict):
            yield from _sum_over(value.values(), "levels", limits.parameters, place)
        elif name == "contrasts" and isinstance(value, list):
            weights = (contrast.get("weights") for contrast in value if isinstance(contrast, dict))
            yield from _sum_over(weights, "weights", limits.contrast_weights, place)
        elif inner is not None:
            yield from _too_many(inner, value, place, limits)


def _sum_over(collections: Iterable[object], what: str, cap: int, pointer: str) -> Iterator[Issue]:
    total = sum(len(one) for one in collections if isinstance(one, dict | list))
    if total > cap:
        yield too_many(what, total, cap, pointer)


def _too_large(data: Mapping[str, object], limits: Limits, pointer: str | None) -> tuple[Issue, ...]:
    columns, records = data.get("columns"), data.get("records")
    try:
        if isinstance(columns, dict):
            refuse_many_columns(columns, limits, pointer)
        if isinstance(records, list):
            refuse_many_names(records, limits, pointer)
    except InvalidModel as error:
        return error.issues
    return ()


def _unknown(schema: type[BaseModel], document: object, pointer: str) -> Iterator[str]:
    """The places of the fields that a schema does not have."""
    if isinstance(document, list):
        for number, entry in enumerate(document):
            yield from _unknown(schema, entry, f"{pointer}/{number}")
    if not isinstance(document, dict):
        return
    known = _inner(schema)
    for name, value in document.items():
        if name not in known:
            yield f"{pointer}/{escape_pointer(name)}"
        elif (inner := known[name]) is not None:
            yield from _unknown(inner, value, f"{pointer}/{name}")


@lru_cache(maxsize=64)
def _inner(schema: type[BaseModel]) -> Mapping[str, type[BaseModel] | None]:
    """For each field of a schema the schema within it, if there is one."""
    return {
        field.alias or name: next(_schemas(field.annotation), None)
        for name, field in schema.model_fields.items()
    }


def _schemas(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _schemas(argument)

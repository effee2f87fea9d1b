"""What the requests of several resources share: strictness, and data sent with a request."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

COLUMNS_EXAMPLE: JsonDict = {
    "student_reading_score": [512.1, 498.7, 530.2, 541.9],
    "student_age_s": [0.3, -1.1, 0.8, -0.2],
    "teacher_id": ["t01", "t01", "t02", "t02"],
}


class Strict(BaseModel):
    """A part of a request in which nothing is coerced and nothing ignored."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, frozen=True, use_attribute_docstrings=True
    )


def _integral(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[int, BeforeValidator(_integral)]
"""An integer as JSON Schema has it: 1000.0 is the number that 1000 is."""
Seed = Annotated[int, Field(ge=0, lt=1 << 63), BeforeValidator(_integral)]


def either(first: Mapping[str, str], second: Mapping[str, str]) -> JsonDict:
    """Say in JSON Schema that a request has the fields of one form, and none of the other's.

    Each form is its fields with their JSON types; null is as good as a field that is not there. `if` says what
    `oneOf` would, and generators of clients make one class of it.
    """
    absent: JsonDict = {"properties": {name: {"type": "null"} for name in second}}
    return {"if": _given(first), "then": absent, "else": _given(second)}


def _given(fields: Mapping[str, str]) -> JsonDict:
    return {"required": [*fields], "properties": {name: {"type": kind} for name, kind in fields.items()}}


Cell = Annotated[
    Any, WithJsonSchema({"type": ["number", "string", "boolean", "null"], "description": "null: missing."})
]


def _list(value: object) -> object:
    if not isinstance(value, list):
        raise PydanticCustomError("list_type", "Input should be a valid list")
    return value


# The lists are taken as they are: a list of any values would be copied, whatever its length.
Values = Annotated[
    Any,
    AfterValidator(_list),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": ["number", "string", "boolean", "null"], "description": "null: missing."},
        }
    ),
]


class Data(Strict):
    """A data set sent with the request: either columns of equal length, or records."""

    model_config = ConfigDict(
        json_schema_extra={
            **either({"columns": "object"}, {"records": "array"}),
            "examples": [{"columns": COLUMNS_EXAMPLE}],
        }
    )

    columns: dict[str, Values] | None = None
    """The values of each column, by its name; all columns have the same length. This is the quickest
    form."""
    records: list[dict[str, Cell]] | None = Field(default=None, fail_fast=True)
    """One object for each row, with its values by column name; a key that is not there is a missing
    value."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.columns is None) == (self.records is None):
            raise PydanticCustomError("one_form", "Data are either `columns` or `records`")
        return self

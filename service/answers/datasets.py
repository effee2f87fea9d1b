"""Data sets."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer, Notice


class DatasetColumn(Answer):
    """One column of a data set."""

    name: str
    """The name of the column."""
    type: Literal["number", "integer", "boolean", "text"]
    """The type of its values."""
    missing: int
    """How many of its cells are missing."""
    levels: list[str | int | bool] | None
    """The first few distinct values, in order; null for a column of numbers."""
    levels_total: int | None
    """How many distinct values there are; null for a column of numbers."""


class Reading(Answer):
    """How a CSV was read: what it left open, and what was found."""

    charset: str
    """The character encoding of the file."""
    separator: Literal["comma", "semicolon", "tab", "pipe", "space"]
    """What separates the cells of a row."""
    decimal: Literal[".", ","]
    """What separates the decimals of a number."""
    row_index: bool
    """Whether a first column without a name was taken for the number or name of the row, and left out."""
    trimmed: int
    """How many cells had blanks around them, which were left out."""
    missing: dict[str, dict[str, int]]
    """The texts that were read as missing values, by column, each with its number of cells; empty cells are
    not listed."""


class Dataset(Answer):
    """Rows that were uploaded once."""

    id: str = Field(examples=["ds_mfrggzdfmztwq2lknnwg23tpob"])
    """The id of the data set, by which requests name it."""
    rows: int
    """How many rows it has."""
    bytes: int
    """How many bytes it takes of the tenant's share of the store."""
    columns: list[DatasetColumn]
    """Its columns, in the order in which they were sent."""
    reading: Reading | None
    """How the CSV was read; null for other formats. Content that was there before is described as it came
    first."""
    warnings: list[Notice]
    """Columns of text that look like something else, and are refused as covariates."""
    uploaded_at: str
    """When the same content was last uploaded (RFC 3339, UTC)."""
    expires_at: str
    """When the data set is removed unless it is uploaded again (RFC 3339, UTC)."""
    links: dict[str, str]
    """Addresses of the data set, by name: `self`."""


class DatasetList(Answer):
    """A page of data sets."""

    items: list[Dataset]
    """The data sets of this page, the last uploaded first."""
    next_cursor: str | None
    """The `cursor` of the next page; null on the last page."""

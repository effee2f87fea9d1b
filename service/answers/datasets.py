"""Data sets."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer, Notice


class DatasetColumn(Answer):
    """One column of a data set."""

    name: str
    type: Literal["number", "integer", "boolean", "text"]
    missing: int
    """Number of missing cells."""
    levels: list[str | int | bool] | None
    """The first few distinct values, in order; null for numbers."""
    levels_total: int | None


class Reading(Answer):
    """How a CSV was read: what it left open, and what was found."""

    charset: str
    separator: Literal["comma", "semicolon", "tab", "pipe", "space"]
    decimal: Literal[".", ","]
    row_index: bool
    """Whether a first column without a name was taken for the number or name of the row, and left out."""
    trimmed: int
    """Number of cells that had blanks around them, which were left out."""
    missing: dict[str, dict[str, int]]
    """By column, the texts that were read as missing, each with its number of cells; empty cells are not listed."""


class Dataset(Answer):
    """Rows that were uploaded once."""

    id: str = Field(examples=["ds_mfrggzdfmztwq2lknnwg23tpob"])
    rows: int
    bytes: int
    """What it takes of your share of the store."""
    columns: list[DatasetColumn]
    reading: Reading | None
    """How the CSV was read; null for other formats. Content that was there before is described as it came first."""
    warnings: list[Notice]
    """Columns of text that look like something else, and are refused as covariates."""
    uploaded_at: str
    expires_at: str
    links: dict[str, str]


class DatasetList(Answer):
    """A page of data sets."""

    items: list[Dataset]
    next_cursor: str | None

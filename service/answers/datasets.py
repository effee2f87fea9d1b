"""Data sets."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer


class DatasetColumn(Answer):
    """One column of a data set."""

    name: str
    type: Literal["number", "integer", "boolean", "text"]
    missing: int
    """Number of missing cells."""
    levels: list[str | int | bool] | None
    """The first few distinct values, in order; null for numbers."""
    levels_total: int | None


class Dataset(Answer):
    """Rows that were uploaded once."""

    id: str = Field(examples=["ds_mfrggzdfmztwq2lknnwg23tpob"])
    rows: int
    bytes: int
    """What it takes of your share of the store."""
    columns: list[DatasetColumn]
    uploaded_at: str
    expires_at: str
    links: dict[str, str]


class DatasetList(Answer):
    """A page of data sets."""

    items: list[Dataset]
    next_cursor: str | None

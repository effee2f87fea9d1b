"""Rows that come as CSV, as an Arrow stream or as a Parquet file become a table."""

from collections.abc import Mapping

from model.frame.column import Kind
from model.frame.table import Table
from service.arrow_tables import read_arrow, read_parquet
from service.bodies import Body
from service.csv_tables import read_csv
from service.media_types import ARROW, CSV
from service.settings import Limits


def read_rows(
    body: Body,
    limits: Limits,
    types: Mapping[str, Kind] | None = None,
    missing: frozenset[str] = frozenset(),
    known: Mapping[str, Kind] | None = None,
) -> Table:
    """Read rows; `types`, `missing` and `known` are CSV's only, as the others say of each cell what it is.

    Columns in `types` must be there, those in `known` need not.

    Raises InvalidModel with every problem.
    """
    if body.media_type == CSV:
        return read_csv(body.data, limits, types or {}, missing, known or {})
    return read_arrow(body.data, limits) if body.media_type == ARROW else read_parquet(body.data, limits)

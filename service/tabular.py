"""Rows that come as CSV, as an Arrow stream or as a Parquet file become a table."""

from typing import Any

from model.frame.table import Table
from service.arrow_tables import read_arrow, read_parquet
from service.csv_tables import CsvOptions, read_csv
from service.media_types import ARROW, CSV
from service.settings import Limits


def read_rows(
    media_type: str, data: bytes, limits: Limits, options: CsvOptions
) -> tuple[Table, dict[str, Any] | None]:
    """Read rows, and say how: `options` are CSV's only, as the others say of each cell what it is.

    Raises InvalidModel with every problem.
    """
    if media_type == CSV:
        return read_csv(data, limits, options)
    return (read_arrow(data, limits) if media_type == ARROW else read_parquet(data, limits)), None

"""Nested answers as flat columns, one row for each estimate or level."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.answers.common import Estimate
from service.columnar import Columns

FIGURES = tuple(Estimate.model_fields)
SUMMARY_COLUMNS = ("parameter", *FIGURES)
LEVEL_COLUMNS = (
    "level",
    "coefficient",
    *(f"deviation_{figure}" for figure in FIGURES),
    *(f"value_{figure}" for figure in FIGURES),
)
Json = Mapping[str, Any]


def summary_rows(summary: Json) -> Iterator[dict[str, Any]]:
    """Give each estimate of a summary under the name that its draws have: `b[x]`, `sd[g][x]`, `r2[marginal]`."""
    for entry in summary["population"]:
        yield _row(f"b[{entry['name']}]", entry)
    for factor, group in summary["groups"].items():
        for entry in group["sd"]:
            yield _row(f"sd[{factor}][{entry['name']}]", entry)
        for kind, name in (("correlation", "cor"), ("covariance", "cov")):
            for entry in group[kind]:
                yield _row(f"{name}[{factor}][{','.join(entry['names'])}]", entry)
    for entry in summary["family_parameters"]:
        yield _row(entry["name"], entry)
    for kind, entry in summary["r2"].items():
        yield _row(f"r2[{kind}]", entry)
    for factor, entry in summary["icc"].items():
        yield _row(f"icc[{factor}]", entry)


def level_rows(items: Sequence[Json]) -> Iterator[dict[str, Any]]:
    """Give the entries of a page of levels, the figures of both estimates side by side."""
    for item in items:
        yield {
            "level": item["level"],
            "coefficient": item["coefficient"],
            **{f"deviation_{figure}": item["deviation"][figure] for figure in FIGURES},
            **{f"value_{figure}": item["value"][figure] for figure in FIGURES},
        }


def columns_of(rows: Sequence[Json], names: Sequence[str]) -> Columns:
    """Turn rows into columns; the figures of estimates are numbers even where all are null."""
    return {name: _column(name, [row[name] for row in rows]) for name in names}


def _column(name: str, values: list[Any]) -> NDArray[np.float64] | list[Any]:
    if name.removeprefix("deviation_").removeprefix("value_") not in FIGURES:
        return values
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _row(parameter: str, entry: Json) -> dict[str, Any]:
    return {"parameter": parameter, **{figure: entry[figure] for figure in FIGURES}}

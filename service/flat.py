"""Nested answers as flat columns, one row for each estimate or level."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.answers import Estimate

FIGURES = tuple(Estimate.model_fields)
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


def columns_of(rows: Sequence[Json]) -> dict[str, list[Any]]:
    """Turn rows with the same keys into columns."""
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _row(parameter: str, entry: Json) -> dict[str, Any]:
    return {"parameter": parameter, **{figure: entry[figure] for figure in FIGURES}}

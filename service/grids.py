"""The reference grid of a question in a query: which predictors vary, where others stay, whose effects are added."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from model.frame.learnt import Encoding
from model.predictions.grid import Grid, reference_grid
from service.places import in_no_json, moving
from service.problems import Refusal

_SAID = "`name=value`, repeatable"
By = Annotated[
    str | None,
    Query(max_length=4000, description="A second one, at its levels, or at its mean and one sd beside it."),
]
At = Annotated[list[str], Query(max_length=100, description=f"Where another predictor stays: {_SAID}.")]
Level = Annotated[
    list[str],
    Query(
        max_length=100,
        description=f"The level of a grouping column, whose effects are added: {_SAID}; "
        "where there is one such column the level alone will do.",
    ),
]


def read_grid(
    encoding: Encoding,
    variable: str,
    *,
    by: str | None,
    at: Sequence[str],
    level: Sequence[str],
    points: int = 50,
) -> Grid:
    """Make the grid; raises InvalidModel with every name and value that the model does not have."""
    structure = encoding.structure
    with moving(in_no_json, everything=True):
        return reference_grid(
            encoding,
            variable,
            by=by,
            at=_pairs("at", at, structure.predictor_names),
            levels=_pairs("level", level, structure.group_names),
            points=points,
        )


def _pairs(parameter: str, given: Sequence[str], names: frozenset[str]) -> dict[str, str]:
    """Read `name=value`; a name may have an equals sign itself, and that of the only grouping column may be missing."""
    pairs: dict[str, str] = {}
    for text in given:
        places = [place for place, character in enumerate(text) if character == "="]
        if not places and parameter == "level" and len(names) == 1:
            (name,), value = names, text
        elif not places:
            raise Refusal("invalid-parameter", f"{parameter} is name=value, and one has no equals sign.")
        else:
            split = next((place for place in places if text[:place] in names), places[0])
            name, value = text[:split], text[split + 1 :]
        if name in pairs:
            raise Refusal("invalid-parameter", f"{parameter} says {name[:200]} more than once.")
        pairs[name] = value
    return pairs

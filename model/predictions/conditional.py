"""Conditional effects: what a model expects over a reference grid, without group-level effects or with those of one
level.

Every answer states its grid, since a conditional effect means nothing without it.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from model.frame.design import Design, Float
from model.frame.encoding import encode
from model.predictions.grid import Grid
from model.predictions.predict import Kind, Prediction, figures
from model.results.posterior import Posterior

Json = dict[str, Any]


def conditional_draws(posterior: Posterior, grid: Grid, *, kind: Kind = "epred") -> Float:
    """Draws (chain, draw, row) of what `kind` asks for; a binomial response has one trial in each row."""
    return _made(posterior, grid, kind).draws()


def conditional_effects(
    posterior: Posterior, grid: Grid, *, kind: Kind = "epred", prob: float = 0.95
) -> Json:
    """The grid, and for each of its rows mean, sd, median and central interval of what `kind` asks for.

    They are NaN in rows of which the training data say nothing, and the warnings name these.
    Raises InvalidModel where the formula cannot be evaluated in a row of the grid.
    """
    made = _made(posterior, grid, kind)
    by_row = np.moveaxis(made.draws(), 2, 0).reshape(made.design.rows, -1)
    return {
        "kind": kind,
        "prob": prob,
        "columns": {name: list(values) for name, values in grid.columns.items()},
        "reference": dict(grid.reference),
        "levels": dict(grid.levels),
        "group_effects": list(grid.factors),
        "trials": None if made.design.trials is None else 1,
        **figures(by_row, prob),
        "warnings": [asdict(notice) for notice in made.notices()],
    }


def _encoded(posterior: Posterior, grid: Grid) -> Design:
    encoding = posterior.encoding
    design = encode(encoding, grid.table(), response=False, factors=grid.factors, trials=False)
    if posterior.family.name == "binomial":
        return replace(design, trials=np.ones(design.rows))
    return design


def _made(posterior: Posterior, grid: Grid, kind: Kind) -> Prediction:
    return Prediction.make(posterior, _encoded(posterior, grid), kind=kind, group_effects=grid.factors)

"""Conditional effects."""

from typing import Literal

from service.answers.common import Answer, Notice


class Effects(Answer):
    """What the model expects over a reference grid; lists have one entry for each row of the grid."""

    fit_id: str
    kind: Literal["linpred", "epred", "predict"]
    prob: float
    columns: dict[str, list[str | int | float | bool]]
    """The predictors that vary."""
    reference: dict[str, str | int | float | bool]
    """Where each other predictor stays."""
    levels: dict[str, str | int | float | bool]
    """The levels that were chosen, by the columns of their grouping factors."""
    group_effects: list[str]
    """The factors whose effects are in it; those of all others are zero."""
    trials: int | None
    """Of a binomial response: 1, so that its mean is its probability."""
    mean: list[float | None]
    sd: list[float | None]
    median: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    warnings: list[Notice]

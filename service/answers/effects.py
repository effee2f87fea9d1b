"""Conditional effects."""

from typing import Literal

from service.answers.common import Answer, Notice


class Effects(Answer):
    """What the model expects over a reference grid; lists have one entry for each row of the grid."""

    fit_id: str
    """The id of the fit."""
    kind: Literal["linpred", "epred", "predict"]
    """What is computed: the linear predictor, the mean of the response, or new responses."""
    prob: float
    """The probability of the central intervals."""
    columns: dict[str, list[str | int | float | bool]]
    """The predictors that vary: the value of each in every row of the grid."""
    reference: dict[str, str | int | float | bool]
    """The value at which each other predictor is held."""
    levels: dict[str, str | int | float | bool]
    """The levels that were chosen, by the columns of their grouping factors."""
    group_effects: list[str]
    """The grouping factors whose effects are included; those of all others are zero."""
    trials: int | None
    """The number of trials of a binomial response: 1, so that its mean is its probability. Null for other
    families."""
    mean: list[float | None]
    """The posterior mean in each row of the grid."""
    sd: list[float | None]
    """The posterior standard deviation in each row of the grid."""
    median: list[float | None]
    """The posterior median in each row of the grid."""
    lower: list[float | None]
    """The lower end of the central interval in each row of the grid."""
    upper: list[float | None]
    """The upper end of the central interval in each row of the grid."""
    warnings: list[Notice]
    """What is doubtful about these effects."""

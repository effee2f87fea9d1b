"""Predictions."""

from typing import Literal

from service.answers.common import Answer, Notice


class Predictions(Answer):
    """One entry for each row that was sent."""

    kind: Literal["linpred", "epred", "predict"]
    prob: float | None = None
    mean: list[float | None] | None = None
    sd: list[float | None] | None = None
    median: list[float | None] | None = None
    lower: list[float | None] | None = None
    upper: list[float | None] | None = None
    draws: list[list[float | None]] | None = None
    """Draws of each row, of all chains one after the other."""
    records: list[dict[str, float | None]] | None = None
    """In the layout `records`: the figures of each row."""
    warnings: list[Notice]

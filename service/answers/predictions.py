"""Predictions."""

from typing import Literal

from service.answers.common import Answer, Notice


class ContrastEstimate(Answer):
    """A weighted sum of rows, or its draws."""

    name: str
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    lower: float | None = None
    upper: float | None = None
    probability_positive: float | None = None
    """Share of the draws that are above zero."""
    draws: list[float | None] | None = None


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
    contrasts: list[ContrastEstimate] | None = None
    """One for each that was asked for."""
    warnings: list[Notice]

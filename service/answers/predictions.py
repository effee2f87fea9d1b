"""Predictions."""

from typing import Literal

from service.answers.common import Answer, Notice


class ContrastEstimate(Answer):
    """A weighted sum of rows, or its draws."""

    name: str
    """The name that the request gives the contrast."""
    mean: float | None = None
    """The posterior mean; null when the draws themselves were asked for."""
    sd: float | None = None
    """The posterior standard deviation; null when the draws themselves were asked for."""
    median: float | None = None
    """The posterior median; null when the draws themselves were asked for."""
    lower: float | None = None
    """The lower end of the central interval whose probability is `prob`; null when the draws themselves
    were asked for."""
    upper: float | None = None
    """The upper end of the central interval whose probability is `prob`; null when the draws themselves
    were asked for."""
    probability_positive: float | None = None
    """The share of the draws that are above zero; null when the draws themselves were asked for."""
    draws: list[float | None] | None = None
    """The draws, of all chains one after the other; null unless they were asked for."""


class Predictions(Answer):
    """One entry for each row that was sent."""

    kind: Literal["linpred", "epred", "predict"]
    """What is predicted: the linear predictor, the mean of the response, or new responses."""
    prob: float | None = None
    """The probability of the central intervals; null when the draws themselves were asked for."""
    mean: list[float | None] | None = None
    """The posterior mean of each row; null when the draws themselves, or records, were asked for."""
    sd: list[float | None] | None = None
    """The posterior standard deviation of each row; null when the draws themselves, or records, were asked
    for."""
    median: list[float | None] | None = None
    """The posterior median of each row; null when the draws themselves, or records, were asked for."""
    lower: list[float | None] | None = None
    """The lower end of each row's central interval of probability `prob`; null when the draws themselves,
    or records, were asked for."""
    upper: list[float | None] | None = None
    """The upper end of each row's central interval of probability `prob`; null when the draws themselves,
    or records, were asked for."""
    draws: list[list[float | None]] | None = None
    """The draws of each row, of all chains one after the other; null unless they were asked for."""
    records: list[dict[str, float | None]] | None = None
    """The figures of each row as one object; null unless the layout `records` was asked for."""
    contrasts: list[ContrastEstimate] | None = None
    """The contrasts, in the order in which they were asked for; null if none was."""
    warnings: list[Notice]
    """What is doubtful about these predictions."""

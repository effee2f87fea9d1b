"""The summary of a fit, and the levels of its factors."""

from typing import Any

from pydantic import Field

from service.answers.common import Answer, Estimate, Notice


class NamedEstimate(Estimate):
    """An estimate of one named parameter."""

    name: str


class PairEstimate(Estimate):
    """An estimate of one element of a matrix."""

    names: list[str] = Field(min_length=2, max_length=2)


class GroupSummary(Answer):
    """The distribution of one factor's group-level effects."""

    levels: int
    coefficients: list[str]
    sd: list[NamedEstimate]
    correlation: list[PairEstimate]
    covariance: list[PairEstimate]


class R2(Answer):
    """Explained variance, without and with the group-level effects."""

    marginal: Estimate
    conditional: Estimate


class Summary(Answer):
    """What a fit found."""

    fit_id: str
    prob: float
    population: list[NamedEstimate]
    groups: dict[str, GroupSummary]
    family_parameters: list[NamedEstimate]
    r2: R2
    icc: dict[str, Estimate]
    diagnostics: dict[str, Any]
    warnings: list[Notice]


class GroupItem(Answer):
    """One coefficient of one level: its deviation from the population, and its value."""

    level: str
    columns: dict[str, str | int | bool]
    """The level's value in each column of the factor."""
    coefficient: str
    deviation: Estimate
    value: Estimate


class GroupPage(Answer):
    """Some levels of a grouping factor."""

    factor: str
    prob: float
    total: int
    items: list[GroupItem]
    next_cursor: str | None

"""The summary of a fit, and the levels of its factors."""

from typing import Any

from pydantic import Field

from service.answers.common import Answer, Estimate, Notice


class NamedEstimate(Estimate):
    """An estimate of one named parameter."""

    name: str
    """The name of the coefficient or parameter."""


class PairEstimate(Estimate):
    """An estimate of one element of a matrix."""

    names: list[str] = Field(min_length=2, max_length=2)
    """The names of the two coefficients, of row and column."""


class GroupSummary(Answer):
    """The distribution of one factor's group-level effects."""

    levels: int
    """How many levels the factor has."""
    coefficients: list[str]
    """The names of the coefficients that vary between its levels."""
    sd: list[NamedEstimate]
    """The standard deviation of each coefficient between levels."""
    correlation: list[PairEstimate]
    """The correlation of each pair of coefficients that are correlated."""
    covariance: list[PairEstimate]
    """The elements of the covariance matrix of the coefficients, each pair once."""


class R2(Answer):
    """Explained variance, without and with the group-level effects."""

    marginal: Estimate
    """The share of the variance that the population-level effects explain."""
    conditional: Estimate
    """The share that they and the group-level effects explain together."""


class Summary(Answer):
    """What a fit found."""

    fit_id: str
    """The id of the fit."""
    prob: float
    """The probability of the central intervals."""
    population: list[NamedEstimate]
    """The population-level coefficients, in the order of the columns of the design."""
    groups: dict[str, GroupSummary]
    """The distribution of the group-level effects, by grouping factor."""
    family_parameters: list[NamedEstimate]
    """The parameters of the response distribution itself, such as `sigma`."""
    r2: R2
    """Explained variance; all its figures are null where the residual variance has no definition."""
    icc: dict[str, Estimate]
    """Each grouping factor's share of the variance that the population-level effects leave, by factor."""
    diagnostics: dict[str, Any]
    """The worst of each diagnostic (`r_hat_max`, `ess_bulk_min`, `ess_tail_min`, `divergences`) and the
    figures of the method; null where one does not apply."""
    warnings: list[Notice]
    """What is doubtful about this fit."""


class GroupItem(Answer):
    """One coefficient of one level: its deviation from the population, and its value."""

    level: str
    """The label of the level."""
    columns: dict[str, str | int | bool]
    """The level's value in each column of the factor."""
    coefficient: str
    """The name of the coefficient."""
    deviation: Estimate
    """The deviation of the level's coefficient from the population's."""
    value: Estimate
    """The level's coefficient itself: that of the population and the deviation together."""


class GroupPage(Answer):
    """Some levels of a grouping factor."""

    factor: str
    """The name of the grouping factor."""
    prob: float
    """The probability of the central intervals."""
    total: int
    """How many entries there are on all pages."""
    items: list[GroupItem]
    """The entries of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; null on the last page."""

"""What the service answers, as models for the documentation; the answers themselves are written as bytes.

The tests hold every answer against these.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from store.records import FitStatus


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ProblemError(Answer):
    """One thing that is wrong, and where."""

    code: str
    message: str
    pointer: str | None = None
    """JSON pointer (RFC 6901) into the request."""
    position: int | None = None
    """Offset in characters into the formula, from 0."""
    column: str | None = None


class Problem(Answer):
    """What went wrong (RFC 9457)."""

    type: str
    """Address of a page about this type of problem."""
    title: str
    status: int
    detail: str
    errors: list[ProblemError] = []
    """At most 20 of them."""
    errors_total: int = 0
    request_id: str | None = None


class Notice(Answer):
    """A structured warning."""

    code: str
    message: str
    severity: Literal["info", "warning", "serious"]
    parameters: list[str] = []
    advice: str | None = None


class FamilyAnswer(Answer):
    """The distribution of the response."""

    name: str
    link: str


class ProgressAnswer(Answer):
    """How far a running fit is."""

    phase: str
    fraction: float | None
    eta_seconds: float | None
    draws: int
    divergences: int


class Fit(Answer):
    """A fit: the resource, and the operation that makes it."""

    id: str = Field(examples=["fit_mfrggzdfmztwq2lknnwg23tpob"])
    status: FitStatus
    formula: str
    """The formula in canonical form."""
    family: FamilyAnswer
    rows: int
    dropped_rows: int
    method: str | None
    method_reason: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    progress: ProgressAnswer | None
    timing: dict[str, float]
    """Seconds by phase."""
    warnings: list[Notice]
    failure: Problem | None
    metadata: dict[str, str]
    links: dict[str, str]


class FitList(Answer):
    """A page of fits."""

    items: list[Fit]
    next_cursor: str | None


class EventAnswer(Answer):
    """One entry of a fit's history."""

    id: str
    kind: Literal["status", "progress"]
    at: str
    status: FitStatus
    progress: ProgressAnswer | None


class EventList(Answer):
    """The history of a fit so far."""

    items: list[EventAnswer]


class Estimate(Answer):
    """A posterior quantity; what cannot be computed is null."""

    mean: float | None
    sd: float | None
    median: float | None
    lower: float | None
    upper: float | None
    mcse_mean: float | None
    ess_bulk: float | None
    ess_tail: float | None
    r_hat: float | None


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


class DatasetColumn(Answer):
    """One column of a data set."""

    name: str
    type: Literal["number", "integer", "boolean", "text"]
    missing: int
    """Number of missing cells."""
    levels: list[str | int | bool] | None
    """The first few distinct values, in order; null for numbers."""
    levels_total: int | None


class Dataset(Answer):
    """Rows that were uploaded once."""

    id: str = Field(examples=["ds_mfrggzdfmztwq2lknnwg23tpob"])
    rows: int
    bytes: int
    """What it takes of your share of the store."""
    columns: list[DatasetColumn]
    uploaded_at: str
    expires_at: str
    links: dict[str, str]


class DatasetList(Answer):
    """A page of data sets."""

    items: list[Dataset]
    next_cursor: str | None


class RejectedMember(Answer):
    """A member of a batch that was refused."""

    index: int
    custom_id: str
    problem: Problem


class Batch(Answer):
    """Many fits that were submitted together."""

    id: str = Field(examples=["bat_mfrggzdfmztwq2lknnwg23tpob"])
    status: Literal["running", "ended"]
    members: int
    counts: dict[str, int]
    """Members by the status of their fit; `rejected` if it was refused, `gone` if it was deleted."""
    fraction: float
    """Of the members that have ended."""
    rejected: list[RejectedMember]
    """The first 20; the results have all."""
    created_at: str
    expires_at: str
    links: dict[str, str]


class Draws(Answer):
    """Draws after warm-up."""

    fit_id: str
    chains: list[int]
    draws: list[int]
    """Numbers of the draws, within each chain."""
    parameters: dict[str, list[list[float | None]]]
    """For each parameter a list of its draws for each chain."""


class Coefficient(Answer):
    """One column of X."""

    name: str
    meaning: str


class ModelGroup(Answer):
    """One grouping factor of a model."""

    factor: str
    columns: list[str]
    levels: int
    coefficients: list[str]
    blocks: list[list[str]]
    """Coefficients in one block are correlated."""


class Model(Answer):
    """What is fitted."""

    fit_id: str
    formula: str
    family: FamilyAnswer
    response: str
    rows: int
    population: list[Coefficient]
    aliased: list[str]
    """Columns of X that were left out as combinations of others."""
    offsets: list[str]
    groups: list[ModelGroup]
    family_parameters: list[str]
    priors: list["CheckedPrior"]
    center: bool
    method: str
    method_reason: str
    seed: str
    """As text, as it may have more digits than a double."""


class SchemaColumn(Answer):
    """A column of rows to be predicted."""

    name: str
    type: Literal["number", "integer", "boolean", "text"]
    levels: list[str | int | float | bool] | None
    """All that the fit knows, where the column is categorical."""
    new_levels: bool
    """Whether other levels can be predicted, with `new_levels` of the request."""
    required: bool


class PredictionSchema(Answer):
    """What a prediction needs."""

    fit_id: str
    columns: list[SchemaColumn]


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


class CheckedGroup(Answer):
    """One grouping factor of a formula."""

    factor: str
    levels: int | None = None
    """Known once there are data, as are the coefficients; before, the terms stand in their place."""
    coefficients: list[str]
    correlated: bool


class CheckedPrior(Answer):
    """One prior, as it was resolved."""

    class_: str = Field(alias="class")
    prior: str
    source: str
    coef: str | None = None
    group: str | None = None


class CostEstimate(Answer):
    """What a fit would take, roughly."""

    seconds: float
    bytes: int


class FormulaCheck(Answer):
    """What a fit would be; without data only what the formula says by itself."""

    formula: str
    columns: list[str]
    """The columns of data that the formula names."""
    response: str | None = None
    rows: int | None = None
    dropped_rows: int | None = None
    population: list[str] | None = None
    meanings: dict[str, str] | None = None
    """What each population coefficient stands for, in words."""
    groups: list[CheckedGroup] | None = None
    priors: list[CheckedPrior] | None = None
    parameters: int | None = None
    method: str | None = None
    method_reason: str | None = None
    estimate: CostEstimate | None = None
    warnings: list[Notice] = []


class LimitList(Answer):
    """Every cap of this service, by name."""

    limits: dict[str, int]


class Alive(Answer):
    """The process runs."""

    status: Literal["alive"]


class Workers(Answer):
    """How many workers there are."""

    alive: int
    warm: int


class Ready(Answer):
    """The service takes requests."""

    status: Literal["ready"]
    workers: Workers


class ProblemPage(Answer):
    """What a type of problem means."""

    code: str
    title: str
    status: int
    meaning: str
    advice: str

"""The dry run."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer, Notice
from service.answers.datasets import Reading
from service.answers.equations import ModelEquations


class CheckedGroup(Answer):
    """One grouping factor of a formula."""

    factor: str
    """The name of the grouping factor."""
    levels: int | None = None
    """How many levels it has; null without data."""
    coefficients: list[str]
    """The coefficients that vary between its levels; without data, the terms that they come from."""
    correlated: bool
    """Whether the coefficients are correlated."""


class CheckedPrior(Answer):
    """One prior, as it was resolved."""

    class_: str = Field(alias="class")
    """The class of the parameters, as brms names it: `b`, `Intercept`, `sd`, `cor`, `sigma`, or another
    parameter of the family."""
    prior: str
    """The distribution, such as `student_t(3, 0, 2.5)`."""
    source: str
    """Who chose it: `user` or `default`."""
    coef: str | None = None
    """The coefficient that the prior is for; null for all of the class."""
    group: str | None = None
    """The grouping factor that the prior is for; null for all, or if the class has none."""


class CostEstimate(Answer):
    """What a fit would take, roughly; its time in the queue is not known."""

    seconds: float
    """How many seconds the first fit of its shape would take, sampling and compilation together."""
    sampling_seconds: float
    """How many seconds sampling takes: all that a later fit of the same shape takes on the same worker."""
    compilation_seconds: float
    """How many seconds the compiler takes; nothing where the worker has compiled a model of this shape
    before."""
    compilation: Literal["measured", "assumed"]
    """`measured` if a worker has measured that on models of the same method, `assumed` if none has yet."""
    bytes: int
    """How many bytes the draws would take."""


class FormulaCheck(Answer):
    """What a fit would be; without data only what the formula says by itself."""

    formula: str
    """The formula in canonical form."""
    columns: list[str]
    """The columns of the data that the formula names."""
    response: str | None = None
    """The response, as the formula says it; null without data."""
    response_levels: list[str] | None = None
    """The two words of a response that holds text, the second of which counts as 1; null for any other
    response."""
    response_event: str | bool | None = None
    """The value that counts as 1, of a response that holds text or booleans; null for any other response."""
    rows: int | None = None
    """How many rows would be fitted; null without data."""
    dropped_rows: int | None = None
    """How many rows would be left out since values are missing; null without data."""
    population: list[str] | None = None
    """The population-level coefficients; null without data."""
    meanings: dict[str, str] | None = None
    """What each population-level coefficient stands for, in words; null without data."""
    groups: list[CheckedGroup] | None = None
    """The grouping factors of the formula."""
    priors: list[CheckedPrior] | None = None
    """Every prior, as it was resolved; null without data."""
    parameters: int | None = None
    """How many parameters the model has; null without data."""
    method: str | None = None
    """The method of sampling that would be used; null without data."""
    method_reason: str | None = None
    """Why that method would be used; null without data."""
    estimate: CostEstimate | None = None
    """What the fit would cost, roughly; null without data."""
    equations: ModelEquations | None = None
    """The model as equations; null without data."""
    reading: Reading | None = None
    """How the CSV of the data set was read; null if the data were no CSV."""
    warnings: list[Notice] = Field(default=[])
    """What is doubtful about the model and its data."""

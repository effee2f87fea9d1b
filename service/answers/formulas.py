"""The dry run."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer, Notice
from service.answers.datasets import Reading
from service.answers.equations import ModelEquations


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
    """What a fit would take, roughly; its time in the queue is not known."""

    seconds: float
    """Of the first fit of its shape: sampling and compilation together."""
    sampling_seconds: float
    """All that a later fit takes, of a model of the same shape by the same worker."""
    compilation_seconds: float
    """What the compiler takes; nothing where the worker has compiled a model of this shape before."""
    compilation: Literal["measured", "assumed"]
    """Whether a worker has measured that on models of the same method, or none has yet."""
    bytes: int
    """The size of the draws that it leaves."""


class FormulaCheck(Answer):
    """What a fit would be; without data only what the formula says by itself."""

    formula: str
    columns: list[str]
    """The columns of data that the formula names."""
    response: str | None = None
    response_levels: list[str] | None = None
    """Of a response that holds text; the second counts as 1."""
    response_event: str | bool | None = None
    """The value that counts as 1, of a response that holds text or booleans."""
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
    equations: ModelEquations | None = None
    reading: Reading | None = None
    """How the data set's CSV was read."""
    warnings: list[Notice] = Field(default=[])

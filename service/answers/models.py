"""The resolved model of a fit, and what a prediction needs."""

from typing import Literal

from service.answers.common import Answer, FamilyAnswer
from service.answers.equations import ModelEquations
from service.answers.formulas import CheckedPrior


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
    response_levels: list[str]
    """Of a response that holds text; the second counts as 1."""
    response_event: str | bool | None
    """The value that counts as 1, of a response that holds text or booleans."""
    rows: int
    population: list[Coefficient]
    aliased: list[str]
    """Columns of X that were left out as combinations of others."""
    offsets: list[str]
    groups: list[ModelGroup]
    family_parameters: list[str]
    priors: list[CheckedPrior]
    center: bool
    method: str
    method_reason: str
    seed: str
    """As text, as it may have more digits than a double."""
    equations: ModelEquations


class SchemaColumn(Answer):
    """A column of rows to be predicted."""

    name: str
    type: Literal["number", "integer", "boolean", "text"]
    levels: list[str | int | float | bool] | None
    """All that the fit knows, where the column is categorical."""
    new_levels: bool
    """Whether other levels can be predicted, with `new_levels` of the request."""
    required: bool
    """Whether predictions with all group-level effects need it."""
    population: bool
    """Whether those without any need it, too."""


class PredictionSchema(Answer):
    """What a prediction needs."""

    fit_id: str
    columns: list[SchemaColumn]

"""The resolved model of a fit, and what a prediction needs."""

from typing import Literal

from service.answers.common import Answer, FamilyAnswer
from service.answers.equations import ModelEquations
from service.answers.formulas import CheckedPrior


class Coefficient(Answer):
    """One column of X."""

    name: str
    """The name of the coefficient."""
    meaning: str
    """What the coefficient stands for, in words."""


class ModelGroup(Answer):
    """One grouping factor of a model."""

    factor: str
    """The name of the grouping factor."""
    columns: list[str]
    """The columns of the data whose values make its levels."""
    levels: int
    """How many levels it has."""
    coefficients: list[str]
    """The coefficients that vary between its levels."""
    blocks: list[list[str]]
    """The same coefficients in blocks; those in one block are correlated."""


class Model(Answer):
    """What is fitted."""

    fit_id: str
    """The id of the fit."""
    formula: str
    """The formula in canonical form."""
    family: FamilyAnswer
    """The family of the response, and its link function."""
    response: str
    """The response, as the formula says it."""
    response_levels: list[str]
    """The two words of a response that holds text, the second of which counts as 1; empty for any other
    response."""
    response_event: str | bool | None
    """The value that counts as 1, of a response that holds text or booleans; null for any other response."""
    rows: int
    """How many rows are fitted."""
    population: list[Coefficient]
    """The population-level coefficients, in the order of the columns of the design."""
    aliased: list[str]
    """The columns of the design that were left out, as they are combinations of others."""
    offsets: list[str]
    """The offsets, as the formula says them."""
    groups: list[ModelGroup]
    """The grouping factors."""
    family_parameters: list[str]
    """The parameters of the response distribution itself, such as `sigma`."""
    priors: list[CheckedPrior]
    """Every prior, as it was resolved."""
    center: bool
    """Whether the prior of class `Intercept` is for the intercept at the means of the predictors."""
    method: str
    """The method of sampling, `collapsed` or `nuts`."""
    method_reason: str
    """Why this method is used, in a sentence."""
    seed: str
    """The seed, as text, since it may have more digits than a double holds."""
    equations: ModelEquations
    """The model as equations."""


class SchemaColumn(Answer):
    """A column of rows to be predicted."""

    name: str
    """The name of the column."""
    type: Literal["number", "integer", "boolean", "text"]
    """The type of its values."""
    levels: list[str | int | float | bool] | None
    """All levels that the fit knows; null where the column is not categorical."""
    new_levels: bool
    """Whether other levels can be predicted, as `new_levels` of the request says."""
    required: bool
    """Whether predictions with all group-level effects need the column."""
    population: bool
    """Whether predictions without any group-level effects need it, too."""


class PredictionSchema(Answer):
    """What a prediction needs."""

    fit_id: str
    """The id of the fit."""
    columns: list[SchemaColumn]
    """The columns of rows to be predicted."""

"""What a client may send: strict models that refuse unknown fields, wrong types, numbers not finite.

Only the shape is checked here; what a value means is the model's to judge.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from model.spec import MAX_CHAINS, MAX_DRAWS, MAX_TREE_DEPTH

FORMULA_EXAMPLE = "student_reading_score ~ student_age_s + (1 + student_age_s | teacher_id)"
COLUMNS_EXAMPLE: JsonDict = {
    "student_reading_score": [512.1, 498.7, 530.2, 541.9],
    "student_age_s": [0.3, -1.1, 0.8, -0.2],
    "teacher_id": ["t01", "t01", "t02", "t02"],
}


class Strict(BaseModel):
    """A part of a request in which nothing is coerced and nothing ignored."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, frozen=True, use_attribute_docstrings=True
    )


def _family(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _level(value: object) -> object:
    if not isinstance(value, str | int):
        raise PydanticCustomError("level_type", "A level is a string, an integer or a boolean")
    return value


def _group_effects(value: object) -> object:
    if value in ("all", "none") or (isinstance(value, list) and all(isinstance(term, str) for term in value)):
        return value
    raise PydanticCustomError(
        "group_effects", "Input should be 'all', 'none' or a list of names of grouping factors"
    )


class FamilyChoice(Strict):
    """The distribution of the response; without `link` the family's default link."""

    name: str
    link: str | None = None


FamilyField = Annotated[
    FamilyChoice,
    BeforeValidator(_family),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "link": {"type": ["string", "null"]}},
                    "required": ["name"],
                    "additionalProperties": False,
                },
            ],
            "default": "gaussian",
            "description": "The distribution of the response: its name, or its name and its link.",
        }
    ),
]
LevelValue = Annotated[
    Any, AfterValidator(_level), WithJsonSchema({"type": ["string", "integer", "boolean"]})
]
Cell = Annotated[
    Any, WithJsonSchema({"type": ["number", "string", "boolean", "null"], "description": "null: missing."})
]


class Data(Strict):
    """A data set sent with the request: either columns of equal length, or records."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["columns"]}, {"required": ["records"]}],
            "examples": [{"columns": COLUMNS_EXAMPLE}],
        }
    )

    columns: dict[str, list[Cell]] | None = None
    """Values by column name; the quickest form."""
    records: list[dict[str, Cell]] | None = Field(default=None, fail_fast=True)
    """One object for each row; a key that is not there is a missing value."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.columns is None) == (self.records is None):
            raise PydanticCustomError("one_form", "Data are either `columns` or `records`")
        return self


class Prior(Strict):
    """One prior in brms's words; the most specific row wins."""

    class_: str = Field(alias="class", examples=["sd"])
    prior: str = Field(examples=["student_t(3, 0, 2.5)"])
    coef: str | None = None
    group: str | None = None


class Sampler(Strict):
    """How the posterior is sampled."""

    method: Literal["auto", "collapsed", "nuts"] = "auto"
    chains: int = Field(default=4, ge=1, le=MAX_CHAINS)
    warmup: int = Field(default=1000, ge=0, le=MAX_DRAWS)
    draws: int = Field(default=1000, ge=1, le=MAX_DRAWS)
    """Draws of each chain, after warm-up."""
    target_accept: float = Field(default=0.8, ge=0.5, lt=1)
    max_tree_depth: int = Field(default=10, ge=1, le=MAX_TREE_DEPTH)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    """Left out, it follows from the rest of the request, so that equal requests are equal."""


class ModelRequest(Strict):
    """A model, and perhaps the data to check it with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"formula": FORMULA_EXAMPLE}]})

    formula: str = Field(examples=[FORMULA_EXAMPLE])
    family: FamilyField = FamilyChoice(name="gaussian")
    link: str | None = None
    """The link, where `family` is only a name."""
    data: Data | None = None
    dataset: str | None = None
    """The id of a data set that was uploaded before, beside no `data`."""
    priors: tuple[Prior, ...] = Field(default=(), strict=False)
    center: bool = True
    """Whether the prior of class `Intercept` belongs to the intercept at the means of the predictors."""
    missing: Literal["error", "drop"] = "error"
    aliased: Literal["error", "drop"] = "error"
    levels: dict[str, list[LevelValue]] = {}
    """All levels of a factor, in order, whether the data have them or not."""
    sampler: Sampler = Sampler()


class FitRequest(ModelRequest):
    """A fit to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["data"]}, {"required": ["dataset"]}],
            "examples": [
                {
                    "formula": FORMULA_EXAMPLE,
                    "family": "gaussian",
                    "data": {"columns": COLUMNS_EXAMPLE},
                    "priors": [
                        {"class": "sigma", "prior": "uniform(0, 100)"},
                        {"class": "b", "prior": "normal(0, 20)"},
                    ],
                    "sampler": {"chains": 4, "warmup": 1000, "draws": 1000, "seed": 1},
                    "metadata": {"study": "2026-a"},
                }
            ],
        }
    )

    metadata: dict[str, str] = {}
    """Words of your own, given back with the fit; they are no part of its identity."""
    cache: bool = True
    """False: fit anew even if an identical request was fitted before."""


class BatchMember(FitRequest):
    """A fit of a batch."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    custom_id: str = Field(default="", max_length=200)
    """A name of your own for the member; left out, its index."""


class BatchRequest(Strict):
    """Many fits: either a list, or one model for each value of a column."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["fits"]}, {"required": ["template", "split_by"]}],
            "examples": [
                {
                    "template": {
                        "formula": "student_reading_score ~ student_age_s",
                        "data": {"columns": COLUMNS_EXAMPLE},
                    },
                    "split_by": "teacher_id",
                }
            ],
        }
    )

    # Each member is validated by itself, so that one that is wrong stops no other.
    fits: Annotated[
        list[Any] | None,
        WithJsonSchema({"type": "array", "items": {"$ref": "#/components/schemas/BatchMember"}}),
    ] = None
    template: Annotated[
        dict[str, Any] | None, WithJsonSchema({"allOf": [{"$ref": "#/components/schemas/FitRequest"}]})
    ] = None
    split_by: str | None = None
    """A column of the template's data."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        split = self.template is not None and self.split_by is not None
        if (self.fits is not None) == split or (self.template is None) != (self.split_by is None):
            raise PydanticCustomError("one_form", "A batch is either `fits`, or a `template` with `split_by`")
        return self


class PredictionRequest(Strict):
    """New rows, and what is asked of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["data"]}, {"required": ["dataset"]}],
            "examples": [
                {
                    "data": {"columns": {"student_age_s": [0.0, 1.0], "teacher_id": ["t01", "new"]}},
                    "kind": "epred",
                    "new_levels": "sample",
                    "prob": 0.9,
                    "seed": 1,
                }
            ],
        }
    )

    data: Data | None = None
    dataset: str | None = None
    """The id of a data set that was uploaded before, beside no `data`."""
    kind: Literal["linpred", "epred", "predict"] = "epred"
    """The linear predictor, the mean of the response, or new responses."""
    group_effects: Annotated[
        Any,
        AfterValidator(_group_effects),
        WithJsonSchema(
            {
                "anyOf": [{"enum": ["all", "none"]}, {"type": "array", "items": {"type": "string"}}],
                "default": "all",
            }
        ),
    ] = "all"
    new_levels: Literal["error", "sample", "population"] = "error"
    prob: float = Field(default=0.95, gt=0, lt=1)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    returns: Literal["summary", "draws"] = Field(default="summary", alias="return")
    layout: Literal["columns", "records"] = "columns"
    """Whether a summary comes as lists by name, or as one object for each row."""

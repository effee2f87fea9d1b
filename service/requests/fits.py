"""Requests for fits, and for dry runs of their models."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, FailFast, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from model.spec import MAX_CHAINS, MAX_DRAWS, MAX_TREE_DEPTH
from service.requests.callbacks import FitCallback
from service.requests.common import COLUMNS_EXAMPLE, Data, Integer, Seed, Strict, either

FORMULA_EXAMPLE = "student_reading_score ~ student_age_s + (1 + student_age_s | teacher_id)"


def _family(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _level(value: object) -> object:
    if not isinstance(value, str | int):
        raise PydanticCustomError("level_type", "A level is a string, an integer or a boolean")
    return value


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
            "description": "The distribution of the response: its name, or its name and its link.",
        }
    ),
]
LevelValue = Annotated[
    Any, AfterValidator(_level), WithJsonSchema({"type": ["string", "integer", "boolean"]})
]


class Prior(Strict):
    """One prior in brms's words; the most specific row wins."""

    class_: str = Field(alias="class", examples=["sd"])
    prior: str = Field(examples=["student_t(3, 0, 2.5)"])
    coef: str | None = None
    group: str | None = None


class Sampler(Strict):
    """How the posterior is sampled."""

    method: Literal["auto", "collapsed", "nuts"] = "auto"
    chains: Integer = Field(default=4, ge=1, le=MAX_CHAINS)
    warmup: Integer = Field(default=1000, ge=0, le=MAX_DRAWS)
    draws: Integer = Field(default=1000, ge=1, le=MAX_DRAWS)
    """Draws of each chain, after warm-up."""
    target_accept: float = Field(default=0.8, ge=0.5, lt=1)
    max_tree_depth: Integer = Field(default=10, ge=1, le=MAX_TREE_DEPTH)
    seed: Seed | None = None
    """Left out, it follows from the rest of the request, so that equal requests are equal."""


class ModelRequest(Strict):
    """A model, and perhaps the data to check it with."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "required": ["data", "dataset"],
                "properties": {"data": {"type": "object"}, "dataset": {"type": "string"}},
            },
            "examples": [{"formula": FORMULA_EXAMPLE}],
        }
    )

    formula: str = Field(examples=[FORMULA_EXAMPLE])
    family: FamilyField = Field(
        default=FamilyChoice(name="gaussian"), json_schema_extra={"default": "gaussian"}
    )
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
    levels: dict[str, Annotated[list[LevelValue], FailFast()]] = Field(default={})
    """All levels of a factor, in order, whether the data have them or not."""
    sampler: Sampler = Sampler()


class FitRequest(ModelRequest):
    """A fit to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            **either({"dataset": "string"}, {"data": "object"}),
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

    metadata: dict[str, str] = Field(default={})
    """Words of your own, given back with the fit; they are no part of its identity."""
    cache: bool = True
    """False: fit anew even if an identical request was fitted before."""
    callback: FitCallback | None = None

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
    """The name of the family."""
    link: str | None = None
    """The name of the link function; if it is left out, the family's default."""


FamilyField = Annotated[
    FamilyChoice,
    BeforeValidator(_family),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "description": "The name of the family."},
                        "link": {
                            "type": ["string", "null"],
                            "description": "The name of the link function; if it is left out, the family's default.",
                        },
                    },
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
    """The class of the parameters, as brms names it: `b`, `Intercept`, `sd`, `cor`, `sigma`, or another
    parameter of the family."""
    prior: str = Field(examples=["student_t(3, 0, 2.5)"])
    """The distribution, such as `student_t(3, 0, 2.5)`; on a positive parameter a symmetric one means its
    half."""
    coef: str | None = None
    """The coefficient that the prior is for; if it is left out, all of the class."""
    group: str | None = None
    """The grouping factor that the prior is for; if it is left out, all."""


class Sampler(Strict):
    """How the posterior is sampled."""

    method: Literal["auto", "collapsed", "nuts"] = "auto"
    """The method of sampling; `auto` is the collapsed method where it is exact, and NUTS otherwise."""
    chains: Integer = Field(default=4, ge=1, le=MAX_CHAINS)
    """How many chains are sampled."""
    warmup: Integer = Field(default=1000, ge=0, le=MAX_DRAWS)
    """How many iterations of warm-up each chain has at most."""
    draws: Integer = Field(default=1000, ge=1, le=MAX_DRAWS)
    """How many draws each chain has after warm-up."""
    target_accept: float = Field(default=0.8, ge=0.5, lt=1)
    """The acceptance rate that NUTS aims at; larger values mean smaller steps."""
    max_tree_depth: Integer = Field(default=10, ge=1, le=MAX_TREE_DEPTH)
    """The largest depth of the trees of NUTS: at most 2 to this power steps to a draw."""
    seed: Seed | None = None
    """The seed of the random numbers; if it is left out, it follows from the rest of the request, so that
    equal requests are equal."""


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
    """The model, in the syntax of R, lme4 and brms."""
    family: FamilyField = Field(
        default=FamilyChoice(name="gaussian"), json_schema_extra={"default": "gaussian"}
    )
    """The distribution of the response: its name, or an object with its name and its link."""
    link: str | None = None
    """The name of the link function, where `family` is only a name; if it is left out, the family's
    default."""
    data: Data | None = None
    """The rows, sent with the request; leave it out when there is a `dataset`."""
    dataset: str | None = None
    """The id of a data set that was uploaded before; leave it out when there are `data`."""
    priors: tuple[Prior, ...] = Field(default=(), strict=False)
    """The priors of your own; the most specific one wins, and every other parameter has its default."""
    center: bool = True
    """Whether the prior of class `Intercept` is for the intercept at the means of the predictors."""
    missing: Literal["error", "drop"] = "error"
    """What becomes of rows with missing values: `error` refuses the request, `drop` leaves them out."""
    aliased: Literal["error", "drop"] = "error"
    """What becomes of columns of the design that are combinations of others: `error` refuses the request,
    `drop` leaves them out."""
    levels: dict[str, Annotated[list[LevelValue], FailFast()]] = Field(default={})
    """All levels of a categorical column or grouping factor, in order, by column, whether the data have
    them or not."""
    sampler: Sampler = Sampler()
    """The settings of the sampler, each with a default of its own."""


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
    """Whether an identical fit that was made before may be the answer; `false` fits anew."""
    callback: FitCallback | None = None
    """A message to be sent when the fit has ended."""

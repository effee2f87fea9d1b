"""Requests for predictions of new rows."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.requests.common import Data, Strict


def _group_effects(value: object) -> object:
    if value in ("all", "none") or (isinstance(value, list) and all(isinstance(term, str) for term in value)):
        return value
    raise PydanticCustomError(
        "group_effects", "Input should be 'all', 'none' or a list of names of grouping factors"
    )


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

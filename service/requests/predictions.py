"""Requests for predictions of new rows."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from model.predictions.row_contrasts import RowContrast
from service.requests.common import Data, Seed, Strict, either

_RowNumber = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,8})$")]


def _group_effects(value: object) -> object:
    if value in ("all", "none") or (isinstance(value, list) and all(isinstance(term, str) for term in value)):
        return value
    raise PydanticCustomError(
        "group_effects", "Input should be 'all', 'none' or a list of terms, such as g or 1 | g"
    )


class Contrast(Strict):
    """A weighted sum of rows, such as the difference of two: `{"1": 1, "0": -1}`."""

    name: str = Field(min_length=1, max_length=4000)
    weights: dict[_RowNumber, float] = Field(min_length=1, json_schema_extra={"additionalProperties": False})
    """By the number of the row, from 0."""


class PredictionRequest(Strict):
    """New rows, and what is asked of them."""

    model_config = ConfigDict(
        json_schema_extra={
            **either({"dataset": "string"}, {"data": "object"}),
            "examples": [
                {
                    "data": {"columns": {"student_age_s": [0.0, 1.0], "teacher_id": ["t01", "new"]}},
                    "kind": "epred",
                    "new_levels": "sample",
                    "prob": 0.9,
                    "seed": 1,
                    "contrasts": [{"name": "new - t01", "weights": {"1": 1, "0": -1}}],
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
    """A term is a grouping factor by its name, or a part of its effects as a formula says it, `1 | g`."""
    new_levels: Literal["error", "sample", "population"] = "error"
    prob: float = Field(default=0.95, gt=0, lt=1)
    seed: Seed | None = None
    returns: Literal["summary", "draws"] = Field(default="summary", alias="return")
    layout: Literal["columns", "records"] = "columns"
    """Whether a summary comes as lists by name, or as one object for each row."""
    contrasts: list[Contrast] = Field(default=[])
    """What is asked of rows together, such as the difference of two."""

    @property
    def row_contrasts(self) -> list[RowContrast]:
        """The contrasts, with the rows as numbers."""
        return [
            RowContrast(contrast.name, {int(row): weight for row, weight in contrast.weights.items()})
            for contrast in self.contrasts
        ]

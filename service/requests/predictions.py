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
    """A name of your own for the contrast."""
    weights: dict[_RowNumber, float] = Field(min_length=1, json_schema_extra={"additionalProperties": False})
    """The weight of each row, by its number from 0; rows that are left out have the weight 0."""


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
    """The rows, sent with the request; leave it out when there is a `dataset`."""
    dataset: str | None = None
    """The id of a data set that was uploaded before; leave it out when there are `data`."""
    kind: Literal["linpred", "epred", "predict"] = "epred"
    """What is predicted: `linpred` is the linear predictor, `epred` the mean of the response, `predict` new
    responses."""
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
    """The group-level effects that are included: `all`, `none`, or a list of terms, each a grouping factor
    by its name or a part of its effects as a formula says it, such as `1 | g`."""
    new_levels: Literal["error", "sample", "population"] = "error"
    """What becomes of levels that the fit does not know: `error` refuses the request, `sample` draws their
    effects from the fitted distribution, `population` sets them to zero."""
    prob: float = Field(default=0.95, gt=0, lt=1)
    """The probability of the central intervals."""
    seed: Seed | None = None
    """The seed of the random numbers; if it is left out, that of the fit."""
    returns: Literal["summary", "draws"] = Field(default="summary", alias="return")
    """Whether summaries or the draws themselves are returned."""
    layout: Literal["columns", "records"] = "columns"
    """Whether summaries come as lists by name (`columns`), or as one object for each row (`records`)."""
    contrasts: list[Contrast] = Field(default=[])
    """Weighted sums of rows, such as the difference of two."""

    @property
    def row_contrasts(self) -> list[RowContrast]:
        """The contrasts, with the rows as numbers."""
        return [
            RowContrast(contrast.name, {int(row): weight for row, weight in contrast.weights.items()})
            for contrast in self.contrasts
        ]

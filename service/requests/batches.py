"""Requests for batches of fits."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from service.requests.callbacks import BatchCallback
from service.requests.common import COLUMNS_EXAMPLE, Strict, either
from service.requests.fits import FitRequest


class BatchMember(FitRequest):
    """A fit of a batch."""

    model_config = ConfigDict(
        json_schema_extra={**either({"dataset": "string"}, {"data": "object"}), "examples": []}
    )

    custom_id: str = Field(default="", max_length=200)
    """A name of your own for the member, unique within the batch; if it is left out, the member's index."""


class BatchRequest(Strict):
    """Many fits: either a list, or one model for each value of a column."""

    model_config = ConfigDict(
        json_schema_extra={
            **either({"fits": "array"}, {"template": "object", "split_by": "string"}),
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
        WithJsonSchema(
            {
                "type": ["array", "null"],
                "items": {"$ref": "#/components/schemas/BatchMember"},
                "minItems": 1,
            }
        ),
    ] = None
    """The fits, each as for `POST /v1/fits`; leave it out when there is a `template`."""
    template: Annotated[
        dict[str, Any] | None,
        WithJsonSchema({"anyOf": [{"$ref": "#/components/schemas/FitRequest"}, {"type": "null"}]}),
    ] = None
    """A fit, as for `POST /v1/fits`, of which one is made for each value of `split_by`; leave it out when
    there are `fits`."""
    split_by: str | None = None
    """The column of the template's data whose values split the rows; leave it out when there are `fits`."""
    callback: BatchCallback | None = None
    """A message to be sent when the last member has ended."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        split = self.template is not None and self.split_by is not None
        if (self.fits is not None) == split or (self.template is None) != (self.split_by is None):
            raise PydanticCustomError("one_form", "A batch is either `fits`, or a `template` with `split_by`")
        return self

"""Requests for comparisons of fits."""

from pydantic import ConfigDict, Field

from service.requests.common import Strict

MOST_FITS = 20


class ComparisonRequest(Strict):
    """Finished fits of the same data."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"fits": ["fit_aaaaaaaaaaaaaaaaaaaaaaaaaa", "fit_bbbbbbbbbbbbbbbbbbbbbbbbbb"]}]
        }
    )

    fits: list[str] = Field(min_length=2, max_length=MOST_FITS, json_schema_extra={"uniqueItems": True})
    """The ids of the fits, which must have succeeded and be of the same data."""

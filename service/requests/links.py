"""Requests for signed links."""

from typing import Annotated

from pydantic import ConfigDict, Field

from service.requests.common import Integer, Strict

_RESOURCE = r"/v1/(fits/fit_[a-z2-7]{26}|batches/bat_[a-z2-7]{26}|datasets/ds_[a-z2-7]{26})"
LINKED_PATH = rf"^(/[A-Za-z0-9._~-]+)*{_RESOURCE}(/[!$->@-~]*)?$"
_FIT = "/v1/fits/fit_mfrggzdfmztwq2lknnwg23tpob"


class LinkRequest(Strict):
    """A signed link to be made: whoever has it may read some addresses for a while, without a key."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"paths": [f"{_FIT}/events", f"{_FIT}/plots/*"], "lifetime": 900},
            ]
        }
    )

    paths: list[Annotated[str, Field(pattern=LINKED_PATH, max_length=2000)]] = Field(
        min_length=1, max_length=1000
    )
    """The paths of what may be read, without a query: of a fit, a batch or a data set, or of what is beneath
    one. A path that ends in `/*` opens all that is beneath it. Whoever has the link chooses the query."""
    lifetime: Integer = Field(default=3600, ge=1, examples=[900])
    """After how many seconds the link expires; at most `link_seconds` of `GET /v1/limits`."""

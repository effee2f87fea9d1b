"""A check of our own for schemathesis: what the document calls well formed is refused for its meaning alone.

It holds the schemas of requests to what the service really takes.
"""

from typing import Any

import schemathesis

from service.media_types import JSON, NDJSON

# The problems of a request's shape; a schema can say all that they say.
_OF_SHAPE = {"invalid-json", "missing-field", "unknown-field", "invalid-value", "unsupported-media-type"}


@schemathesis.serializer(NDJSON)
def lines(ctx: schemathesis.SerializationContext, value: Any) -> bytes | None:
    """Send a text as it is, and nothing for what is no text."""
    return value.encode(errors="replace") if isinstance(value, str) else None


@schemathesis.check
def refused_for_its_meaning(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Fail when a request that its schema allows is refused for its shape."""
    if (
        # No schema says what a text is like within.
        case.media_type not in (None, JSON)
        or case.meta is None
        or not case.meta.generation.mode.is_positive
        or response.status_code not in (400, 415, 422)
    ):
        return
    problem = response.json()
    codes = {problem["type"].rpartition("/")[2], *(error["code"] for error in problem["errors"])}
    if wrong := codes & _OF_SHAPE:
        raise AssertionError(f"the schema allows what is refused as {', '.join(sorted(wrong))}")

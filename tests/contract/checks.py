"""A check of our own for schemathesis: what the document calls well formed is refused for its meaning alone.

It holds the schemas of requests to what the service really takes. Beside it stands what schemathesis must be told of
this service.
"""

from itertools import count
from typing import Any

import schemathesis
from schemathesis.generation.meta import TestPhase

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


_LONGEST = 255
"""Characters of an Idempotency-Key; one that is refused for its length stays as it is."""

_numbers = count()


@schemathesis.hook
def before_call(ctx: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Give each request of a scenario a key of its own.

    A key that was used before gets its first answer again, though what that made may be deleted by now; schemathesis
    would call it lost.
    """
    key = case.headers.get("Idempotency-Key", "")
    if case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL and 0 < len(key) <= _LONGEST - 12:
        case.headers["Idempotency-Key"] = f"{key}-{next(_numbers)}"

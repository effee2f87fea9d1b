"""Answers as bytes, and which of them a client may keep: a strong ETag on what cannot change any more.

A fit's id is a hash of all that determines its result, so what is read of an ended fit stays the same.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service import VERSION
from service.media_types import JSON
from store.records import FitRecord

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def to_json(value: Any) -> bytes:
    """Write JSON; a number that is not finite becomes null."""
    return orjson.dumps(value, option=_OPTIONS)


def fresh(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with something that may be otherwise the next time."""
    return Response(
        to_json(value),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def lasting(
    request: Request,
    record: FitRecord,
    max_age: int,
    write: Callable[[], bytes | Iterator[bytes]],
    headers: Mapping[str, str] | None = None,
    media_type: str = JSON,
) -> Response:
    """Answer with a part of an ended fit, or 304, with nothing computed, if the client has it already."""
    if record.runs_anew:
        # The same request may give the same id another end.
        max_age = 0
    # Another version of the software may write the same result in other words.
    what = (
        VERSION,
        record.id,
        record.finished_at,
        record.expires_at,
        media_type,
        request.url.path,
        request.url.query,
    )
    tag = f'"{hashlib.sha256(repr(what).encode()).hexdigest()[:32]}"'
    kept = {"ETag": tag, "Cache-Control": f"private, max-age={max_age}", **(headers or {})}
    if _matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    written = write()
    if isinstance(written, bytes):
        return Response(written, media_type=media_type, headers=kept)
    return StreamingResponse(written, media_type=media_type, headers=kept)


def _matches(condition: str | None, tag: str) -> bool:
    """Compare as RFC 9110, section 13.1.2: weakly, and `*` matches whatever there is."""
    if condition is None:
        return False
    candidates = {candidate.strip().removeprefix("W/") for candidate in condition.split(",")}
    return "*" in candidates or tag in candidates

"""Answers as bytes, and which of them a client may keep: a strong ETag on what cannot change any more.

A fit's id is a hash of all that determines its result, so what is read of an ended fit stays the same.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service import VERSION
from service.media_types import JSON
from service.problems import Refusal
from store.records import FitRecord

# What is packed has an ETag of its own, which ends in the name of its coding.
_TAG = re.compile(r'(W/)?"([^"]*?)(?:-gzip|-zstd)?"')
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
    tag = tag_of(record, request.url.path, request.url.query, media_type)
    hold_to_condition(request, tag)
    kept = {"ETag": tag, "Cache-Control": f"private, max-age={max_age}", **(headers or {})}
    if _matches(_header(request, "if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    written = write()
    if isinstance(written, bytes):
        return Response(written, media_type=media_type, headers=kept)
    return StreamingResponse(written, media_type=media_type, headers=kept)


def tag_of(record: FitRecord, path: str, query: str = "", media_type: str = JSON) -> str:
    """Name an answer about a fit that has ended by all that it depends on."""
    # Another version of the software may write the same result in other words.
    what = (VERSION, record.id, record.finished_at, record.expires_at, media_type, path, query)
    return f'"{hashlib.sha256(repr(what).encode()).hexdigest()[:32]}"'


def hold_to_condition(request: Request, tag: str | None) -> None:
    """Refuse a request whose precondition is false (RFC 9110, section 13.2.2).

    `tag` is the ETag of the resource as it is; None if it has none, since it may change. Raises Refusal (412).
    """
    if (condition := _header(request, "if-match")) is not None and not (
        condition.strip() == "*" or (tag, False) in _listed(condition)
    ):
        raise Refusal("precondition-failed")
    condition = _header(request, "if-none-match")
    if request.method != "GET" and condition is not None and _matches(condition, tag):
        raise Refusal("precondition-failed")


def _matches(condition: str | None, tag: str | None) -> bool:
    """Compare as RFC 9110, section 13.1.2: weakly, and `*` matches whatever there is."""
    if condition is None:
        return False
    return condition.strip() == "*" or tag in {known for known, _ in _listed(condition)}


def _header(request: Request, name: str) -> str | None:
    return ", ".join(request.headers.getlist(name)) or None


def _listed(condition: str) -> list[tuple[str, bool]]:
    """Give the ETags of a list as they are without content coding, and whether each is weak."""
    return [(f'"{opaque}"', bool(weak)) for weak, opaque in _TAG.findall(condition)]

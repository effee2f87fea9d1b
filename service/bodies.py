"""The body of a request, read with care: of the right kind, within the limit, and in time.

No more than the limit is ever kept, neither as it was sent nor unpacked.
"""

import zlib
from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends
from starlette.requests import Request

from service.deps import Here, Services
from service.problems import Refusal

Value = TypeVar("Value")

_GZIP = 31  # zlib's number for a window of 32 KiB within a gzip header
_LARGE = 1 << 20


async def json_body(request: Request, here: Here) -> bytes:
    """Read the body, and stop as soon as it is known to be too large, too slow or of another kind."""
    media_type, *parameters = (
        part.strip().lower() for part in request.headers.get("content-type", "").split(";")
    )
    charsets = {name.replace('"', "") for name in parameters if name.startswith("charset=")}
    if media_type != "application/json" or not charsets <= {"charset=utf-8"}:
        raise Refusal("unsupported-media-type", headers={"Accept": "application/json"})
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise Refusal("unsupported-media-type", headers={"Accept-Encoding": "gzip, identity"})
    limit = here.settings.limits.body_bytes
    body = await _receive(request, limit, here.settings.body_seconds)
    return body if encoding == "identity" else await run_sync(_unpack, body, limit, limiter=here.heavy)


JsonBody = Annotated[bytes, Depends(json_body)]


async def work_on(here: Services, body: bytes, work: Callable[[], Value]) -> Value:
    """Do in a thread what needs the whole body; large ones wait for each other."""
    return await run_sync(work, limiter=here.heavy if len(body) > _LARGE else None)


async def _receive(request: Request, limit: int, seconds: float) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        with anyio.fail_after(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise Refusal("body-timeout", headers={"Connection": "close"}) from None
    return bytes(body)


def _unpack(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise Refusal("invalid-gzip") from None
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal("invalid-gzip")
    return unpacked


def _too_large(limit: int) -> Refusal:
    return Refusal("body-too-large", f"The body may have {limit:,} bytes, unpacked.")

"""The body of a request, read with care: of the right kind, within the limit, and in time.

No more than the limit is ever kept, neither as it was sent nor unpacked.
"""

import zlib
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import anyio
import pyarrow as pa
from anyio.to_thread import run_sync
from fastapi import Depends
from starlette.requests import Request

from model.errors import Costly
from model.limits import DESIGN_CELLS
from service.apart import Ask, Work
from service.deps import Here, Services
from service.media_types import ARROW, CSV, JSON, NDJSON, PARQUET
from service.problems import Refusal
from service.settings import Limits

Value = TypeVar("Value")

_GZIP = 31  # zlib's number for a window of 32 KiB within a gzip header
_LARGE = 1 << 20
_SMALL = 1 << 18
"""Bytes of a body whose reading holds the interpreter for some milliseconds only."""
_ANY_WORK = 128 << 20
"""Bytes that any work apart may take beside what a file is unpacked to."""
_FEW_CELLS = 1 << 21
"""Cells of a design that is made beside other requests: 16 MiB."""
_ENCODINGS = {"identity", "gzip", "zstd"}


@dataclass(frozen=True, slots=True)
class Body:
    """A body, unpacked, and what it is."""

    media_type: str
    data: bytes


def body_of(*media_types: str) -> Callable[[Request, Services], Coroutine[Any, Any, Body]]:
    """Make the dependency that reads a body of one of some kinds."""

    async def read(request: Request, here: Here) -> Body:
        media_type = _media_type(request, media_types)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in _ENCODINGS:
            raise Refusal("unsupported-media-type", headers={"Accept-Encoding": "gzip, zstd, identity"})
        limits = here.settings.limits
        sent = await _receive(request, limits.body_bytes, here.settings.body_seconds)
        if encoding == "identity":
            return Body(media_type, sent)
        return Body(media_type, await run_sync(_unpack, sent, encoding, limits, limiter=here.heavy))

    return read


JsonBody = Annotated[Body, Depends(body_of(JSON))]
RowsBody = Annotated[Body, Depends(body_of(JSON, CSV, ARROW, PARQUET))]
ListBody = Annotated[Body, Depends(body_of(JSON, NDJSON))]


async def work_on(
    here: Services,
    body: Body,
    work: Work,
    *arguments: Any,
    asked: Mapping[str, Ask],
    then: Callable[[Any], Value],
) -> Value:
    """Do what needs a whole body, `work(ask, body, cells, *arguments)`, and then, in a thread, what follows.

    A body that is small is worked on in a thread, unless it proves costly: it names a large data set, or its design
    would have more than so many `cells`. What is large, and Parquet, which may become large, is worked on apart from
    this process; few such bodies at a time.
    """

    def ask(name: str, *questions: Any) -> Any:
        answer = asked[name](*questions)
        if isinstance(answer, bytes) and len(answer) > _SMALL:
            raise Costly
        return answer

    if len(body.data) <= _SMALL and body.media_type != PARQUET:
        with suppress(Costly):
            return await run_sync(lambda: then(work(ask, body.data, _FEW_CELLS, *arguments)))

    def apart() -> Value:
        # A file says how large it becomes and may lie; all else is bounded by counting what is in it.
        unpacked = here.settings.limits.unpacked_bytes(len(body.data))
        most = _ANY_WORK + 4 * unpacked if body.media_type == PARQUET else None
        return then(here.apart.do(work, body.data, DESIGN_CELLS, *arguments, asked=asked, most_bytes=most))

    return await run_sync(apart, limiter=here.heavy)


def _media_type(request: Request, accepted: tuple[str, ...]) -> str:
    media_type, *parameters = (
        part.strip().lower().replace('"', "") for part in request.headers.get("content-type", "").split(";")
    )
    refused = {
        part
        for part in parameters
        if (part.startswith("charset=") and part != "charset=utf-8") or part == "header=absent"
    }
    if media_type not in accepted or refused:
        raise Refusal(
            "unsupported-media-type",
            f"The body must be {' or '.join(accepted)}; text is UTF-8.",
            headers={"Accept": ", ".join(accepted)},
        )
    return media_type


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


def _unpack(body: bytes, encoding: str, limits: Limits) -> bytes:
    # What is small may grow as it likes; what is large and grows a thousandfold was made to do harm.
    limit = min(limits.body_bytes, max(_LARGE, limits.inflation * len(body)))
    unpacked = _unpack_gzip(body, limit + 1) if encoding == "gzip" else _unpack_zstd(body, limit + 1)
    if len(unpacked) <= limit:
        return unpacked
    if limit == limits.body_bytes:
        raise _too_large(limit)
    detail = f"Unpacked the body may be {limits.inflation:,} times as large as it was sent."
    raise Refusal("body-too-large", detail)


def _unpack_gzip(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacker.decompress(body, limit)
    except zlib.error:
        raise Refusal("invalid-gzip") from None
    if len(unpacked) < limit and (not unpacker.eof or unpacker.unused_data):
        raise Refusal("invalid-gzip")
    return unpacked


def _unpack_zstd(body: bytes, limit: int) -> bytes:
    if not body:
        raise Refusal("invalid-zstd")
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
            unpacked: bytes = stream.read(limit)
    except OSError:
        raise Refusal("invalid-zstd") from None
    return unpacked


def _too_large(limit: int) -> Refusal:
    return Refusal("body-too-large", f"The body may have {limit:,} bytes, unpacked.")

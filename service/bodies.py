"""The body of a request, read with care: of the right kind, within the limit, and in time.

No more than the limit is ever kept, neither as it was sent nor unpacked.
"""

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
from service.charsets import known_charset, to_utf8
from service.deps import Here, Services
from service.media_types import ALIASES, ARROW, CSV, JSON, NDJSON, PARQUET, TAB_SEPARATED, TEXTS
from service.problems import Refusal
from service.settings import Limits

Value = TypeVar("Value")

_LARGE = 1 << 20
_SMALL = 1 << 18
"""Bytes of a body whose reading holds the interpreter for some milliseconds only."""
_ANY_WORK = 128 << 20
"""Bytes that any work apart may take beside what a file is unpacked to."""
_FEW_CELLS = 1 << 21
"""Cells of a design that is made beside other requests: 16 MiB."""
_ENCODINGS = {"": "identity", "identity": "identity", "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
_SPREADSHEET = "Save the sheet as CSV, as spreadsheet programs do, and send that as text/csv."
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", f"The body is a zip archive, such as a spreadsheet (.xlsx, .ods). {_SPREADSHEET}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"The body is an Excel workbook (.xls). {_SPREADSHEET}"),
    (b"\x1f\x8b\x08", "The body is packed by gzip; say so by the header `Content-Encoding: gzip`."),
    (b"\x28\xb5\x2f\xfd", "The body is packed by zstd; say so by the header `Content-Encoding: zstd`."),
    (b"PAR1", f"The body is a Parquet file; send it as {PARQUET}."),
    (b"ARROW1", f"The body is an Arrow file (Feather); send it as {ARROW}."),
)
"""How files begin that are no text, and what to do with one that was sent as text."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body, unpacked, and what it is; text is UTF-8 without a byte order mark, whatever it came in.

    `charset` is what the text came in, `separator` what the media type says of the cells of CSV.
    """

    media_type: str
    data: bytes
    charset: str = "utf-8"
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class _Format:
    """What the header Content-Type says."""

    media_type: str
    charset: str | None
    separator: str | None


def body_of(*media_types: str) -> Callable[[Request, Services], Coroutine[Any, Any, Body]]:
    """Make the dependency that reads a body of one of some kinds."""

    async def read(request: Request, here: Here) -> Body:
        described = _described(request, media_types)
        encoding = _ENCODINGS.get(request.headers.get("content-encoding", "").strip().lower())
        if encoding is None:
            raise Refusal("unsupported-media-type", headers={"Accept-Encoding": "gzip, zstd, identity"})
        limits = here.settings.limits
        data = await _receive(request, limits.body_bytes, here.settings.body_seconds)
        if encoding != "identity":
            data = await run_sync(_unpack, data, encoding, limits, limiter=here.heavy)
        if described.media_type not in TEXTS:
            return Body(described.media_type, data)
        for beginning, advice in _FOREIGN:
            if data.startswith(beginning):
                raise Refusal("unsupported-media-type", advice, headers={"Accept": ", ".join(media_types)})
        if len(data) > _LARGE:
            data, charset = await run_sync(to_utf8, data, described.charset)
        else:
            data, charset = to_utf8(data, described.charset)
        if len(data) > limits.body_bytes:
            raise _too_large(limits.body_bytes)
        return Body(described.media_type, data, charset, described.separator)

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
            done = await run_sync(
                lambda: work(ask, body.data, _FEW_CELLS, *arguments), limiter=here.computing
            )
            return await run_sync(then, done)

    def apart() -> Value:
        # A file says how large it becomes and may lie; all else is bounded by counting what is in it.
        unpacked = here.settings.limits.unpacked_bytes(len(body.data))
        most = _ANY_WORK + 4 * unpacked if body.media_type == PARQUET else None
        return then(here.apart.do(work, body.data, DESIGN_CELLS, *arguments, asked=asked, most_bytes=most))

    return await run_sync(apart, limiter=here.heavy)


def _described(request: Request, accepted: tuple[str, ...]) -> _Format:
    sent, *rest = (part.strip() for part in request.headers.get("content-type", "").split(";"))
    sent = sent.lower()
    media_type = ALIASES.get(sent, sent)
    parameters = {
        name.strip().lower(): value.strip().strip('"').lower()
        for name, _, value in (part.partition("=") for part in rest)
    }
    refusal = None
    if media_type not in accepted:
        names = " or ".join(accepted)
        hint = f" {_SPREADSHEET}" if "spreadsheet" in sent or "excel" in sent else ""
        refusal = f"The body must be {names}.{hint}"
    elif parameters.get("header") == "absent":
        refusal = "The first line of CSV must name the columns."
    charset = None
    if refusal is None and media_type in TEXTS and "charset" in parameters:
        charset = known_charset(parameters["charset"])
        if charset is None:
            refusal = "The charset is none that is known here; send UTF-8, UTF-16 or a charset such as windows-1252."
    if refusal is not None:
        raise Refusal("unsupported-media-type", refusal, headers={"Accept": ", ".join(accepted)})
    return _Format(media_type, charset, "\t" if sent in (TAB_SEPARATED, "text/tsv") else None)


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
    unpacked = _unpacked(body, encoding, limit + 1)
    if len(unpacked) <= limit:
        return unpacked
    if limit == limits.body_bytes:
        raise _too_large(limit)
    detail = f"Unpacked the body may be {limits.inflation:,} times as large as it was sent."
    raise Refusal("body-too-large", detail)


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Unpack so many bytes at most, of as many gzip members or zstd frames as there are."""
    if not body:
        raise Refusal(f"invalid-{encoding}")
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), encoding) as stream:
            unpacked: bytes = stream.read(limit)
    except OSError:
        raise Refusal(f"invalid-{encoding}") from None
    return unpacked


def _too_large(limit: int) -> Refusal:
    return Refusal("body-too-large", f"The body may have {limit:,} bytes, unpacked.")

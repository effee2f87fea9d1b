"""Answers packed as the client asks (`Accept-Encoding`, RFC 9110, section 12.5.3): by zstd or gzip, or not at all.

A packed answer is another representation, so its ETag is another: that of the plain one, and the name of the coding.
"""

import re
import zlib
from typing import Protocol

import pyarrow as pa
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import respond

CODINGS = ("zstd", "gzip")
"""The first of equals is taken: zstd packs as well as gzip, in a small part of the time."""
SMALLEST = 1_000
"""Bytes from which an answer is worth packing."""
_QUALITY = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)")
_PACKABLE = re.compile(
    r"text/(?!event-stream).*|application/(.*\+)?(json|x-ndjson|javascript)|image/svg\+xml"
)
_NO_BODY = {204, 206, 304}
_IN_A_THREAD = 32 << 10
_GZIP = 31  # zlib's number for a window of 32 KiB within a gzip header
_GZIP_LEVEL = 4


class Coded:
    """Pack answers that are text and not small; streams of events go as they are, whatever is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # So many answers are packed at a time; the event loop goes on meanwhile.
        self.limiter = CapacityLimiter(2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        coding, plain_is_refused = chosen(headers.getlist("accept-encoding"))
        if coding is None and plain_is_refused:
            detail = f"An answer is packed by {' or '.join(CODINGS)}, or not at all (identity)."
            await respond(Request(scope), "not-acceptable", detail=detail)(scope, receive, send)
            return
        answer = _Answer(send, self.limiter, coding, plain_is_refused, headers.get("if-none-match", ""))
        await self.app(scope, receive, answer.send)


def chosen(accepted: list[str]) -> tuple[str | None, bool]:
    """Give the coding that a client likes best (None: none of ours), and whether it refuses what is not packed."""
    if not accepted:
        return None, False
    liked: dict[str, float] = {}
    for entry in ",".join(accepted).lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        given = next((part[2:].strip() for part in parameters if part.startswith("q=")), "1")
        if name:
            liked[name.removeprefix("x-")] = float(given) if _QUALITY.fullmatch(given) else 0.0
    others = liked.get("*", 0.0)
    # Nothing rules out what is not packed but these (RFC 9110, section 12.5.3).
    plain = liked.get("identity", liked.get("*"))
    best = max(CODINGS, key=lambda name: liked.get(name, others))
    quality = liked.get(best, others)
    wanted = quality > 0 and quality >= (liked.get("identity", 0.0))
    return (best if wanted else None), plain == 0.0


class _Packer(Protocol):
    def pack(self, data: bytes, last: bool) -> bytes:
        """Pack some bytes so that their reader can read them at once."""
        ...


class _Gzip:
    def __init__(self) -> None:
        self._packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)

    def pack(self, data: bytes, last: bool) -> bytes:
        return self._packer.compress(data) + self._packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


class _Zstd:
    def __init__(self) -> None:
        self._taken = _Taken()
        self._packer = pa.CompressedOutputStream(pa.PythonFile(self._taken, mode="w"), "zstd")

    def pack(self, data: bytes, last: bool) -> bytes:
        self._packer.write(data)
        if last:
            self._packer.close()
        else:
            self._packer.flush()
        return self._taken.take()


class _Taken:
    """What a packer takes for a file: it keeps what was written until that is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep some bytes; the writer may use their memory again."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is nothing further down."""

    def close(self) -> None:
        """Do nothing: what was written last is still to be taken."""

    def take(self) -> bytes:
        """Give what was written since the last time."""
        data, self._parts = b"".join(self._parts), []
        return data


class _Answer:
    """One answer on its way out."""

    def __init__(
        self, send: Send, limiter: CapacityLimiter, coding: str | None, whatever_it_is: bool, known: str
    ) -> None:
        self._send = send
        self._limiter = limiter
        self._coding = coding
        self._whatever_it_is = whatever_it_is
        self._known = known
        self._start: Message = {}
        self._packer: _Packer | None = None

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer, packed if it is to be."""
        if message["type"] == "http.response.start":
            self._begin(message)
            if self._packer is None:
                await self._send(message)
            elif "content-length" not in Headers(scope=message):
                # A stream's head goes at once: its first bytes may be far off.
                await self._give_start(None)
        elif message["type"] != "http.response.body" or self._packer is None:
            await self._send(message)
        else:
            more = message.get("more_body", False)
            packed = await self._pack(message.get("body", b""), last=not more)
            if self._start:
                await self._give_start(None if more else len(packed))
            if packed or not more:
                await self._send({**message, "body": packed})

    def _begin(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        media_type = headers.get("content-type", "").partition(";")[0]
        packable = _PACKABLE.fullmatch(media_type) is not None
        if packable or message["status"] == 304:
            headers.add_vary_header("Accept-Encoding")
        if message["status"] == 304 and self._coding is not None and "etag" in headers:
            packed = _packed_tag(headers["etag"], self._coding)
            headers["etag"] = packed if packed in self._known else headers["etag"]
        size = headers.get("content-length")
        worthwhile = packable and (size is None or int(size) >= SMALLEST)
        if (
            self._coding is None
            or message["status"] in _NO_BODY
            or "content-encoding" in headers
            or "no-transform" in headers.get("cache-control", "")
            or not (worthwhile or self._whatever_it_is)
        ):
            return
        self._packer = _Zstd() if self._coding == "zstd" else _Gzip()
        self._start = message
        headers["content-encoding"] = self._coding
        if "etag" in headers:
            headers["etag"] = _packed_tag(headers["etag"], self._coding)

    async def _give_start(self, size: int | None) -> None:
        headers = MutableHeaders(scope=self._start)
        if size is None:
            del headers["content-length"]
        else:
            headers["content-length"] = str(size)
        start, self._start = self._start, {}
        await self._send(start)

    async def _pack(self, data: bytes, last: bool) -> bytes:
        assert self._packer is not None
        if len(data) < _IN_A_THREAD:
            return self._packer.pack(data, last)
        return await run_sync(self._packer.pack, data, last, limiter=self._limiter)


def _packed_tag(tag: str, coding: str) -> str:
    return f'{tag[:-1]}-{coding}"' if tag.endswith('"') else tag

"""HTTP/1 as RFC 9110 and RFC 9112 have it, where uvicorn's protocol falls short of them.

Requests that are no HTTP never reach the application, so the problem documents that answer them are written here.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httptools
import orjson
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.connections import Connections, most_connections
from service.problem_types import PROBLEM_TYPES
from service.problems import MEDIA_TYPE
from service.settings import ServiceSettings

App = Callable[..., Awaitable[None]]

_MARKS = 4096
"""Bytes of a head that are neither its address nor its headers: their separators, and line breaks before it."""
LINGER_SECONDS = 2.0
"""How long a refused connection is read on, so that no reset overtakes the refusal (RFC 9112, section 9.6)."""
_HOST = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
log = structlog.get_logger()


class _Refused(Exception):
    """The head of a request is understood, and is not one to answer."""

    def __init__(self, code: str, detail: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def http_protocol(settings: ServiceSettings) -> type[HttpToolsProtocol]:
    """Give the protocol of a server with these settings."""
    connections = Connections(most_connections(settings))
    most_head = settings.address_bytes + settings.header_bytes + _MARKS

    class Protocol(HttpToolsProtocol):
        # Bytes of a head that is not whole yet; None while a body is read.
        head_bytes: int | None = 0
        head_timer: asyncio.TimerHandle | None = None
        write_timer: asyncio.TimerHandle | None = None
        # There is no room for it, so that it cannot stay for a while either.
        turned_away = False
        # The request that the application is at work on; uvicorn's `cycle` is the last that has come.
        current: RequestResponseCycle | None = None
        # The answer to what is no request; the requests before it are answered first, and nothing behind it is read.
        refusal: bytes | None = None
        offers_upgrade = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if connections.admit(self):
                self._await_head()
            else:
                self.turned_away = True
                self._refuse("too-many-connections", None)

        def asks_nothing(self) -> bool:
            return self.head_bytes is not None and not self._at_work()

        def make_room(self) -> None:
            self.turned_away = True
            if self.head_bytes:
                self._refuse("too-many-connections", None)
            else:
                self.transport.close()

        def _await_head(self) -> None:
            if self.head_timer is None:
                self.head_timer = self.loop.call_later(settings.head_seconds, self._give_up_head)

        def _give_up_head(self) -> None:
            self.head_timer = None
            if self.transport.is_closing() or self.refusal is not None:
                return
            if self.head_bytes:
                self._refuse("head-timeout", None)
            elif not self._at_work():
                self.transport.close()

        def _end_head(self) -> None:
            self.head_bytes = None
            if self.head_timer is not None:
                self.head_timer.cancel()
                self.head_timer = None

        def pause_writing(self) -> None:
            super().pause_writing()
            if self.write_timer is None:
                self.write_timer = self.loop.call_later(settings.write_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.write_timer is not None:
                self.write_timer.cancel()
                self.write_timer = None

        def data_received(self, data: bytes) -> None:
            if self.refusal is not None:
                return
            self._unset_keepalive_if_required()
            if self.head_bytes is not None:
                # What ends the head ends the counting; what does not is all of the head.
                self.head_bytes += len(data)
                self._await_head()
            try:
                self._parse(data)
                if self.head_bytes is not None and self.head_bytes > most_head:
                    self._refuse("headers-too-large", None)
            except httptools.HttpParserError as error:
                reason = error.__context__
                if isinstance(reason, _Refused):
                    self._refuse(reason.code, reason.detail)
                else:
                    meaning = PROBLEM_TYPES["bad-request"].meaning
                    told = isinstance(error, httptools.HttpParserCallbackError) or not str(error)
                    self._refuse("bad-request", meaning if told else f"{meaning} {str(error).rstrip('.')}.")

        def _parse(self, data: bytes) -> None:
            while data:
                try:
                    self.parser.feed_data(data)
                    return
                except httptools.HttpParserUpgrade as offer:
                    # The parser takes what follows for another protocol's. An offer may be declined by silence
                    # (RFC 9110, section 7.8), so the same request is parsed once more without it.
                    data = self._head_without_upgrade() + data[offer.args[0] :]
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

        def _head_without_upgrade(self) -> bytes:
            version = self.parser.get_http_version().encode()
            lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
            lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            return b"\r\n".join([*lines, b"", b""])

        def on_message_begin(self) -> None:
            self.offers_upgrade = False
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            super().on_url(url)
            if len(self.url) > settings.address_bytes:
                raise _Refused("address-too-long")

        def on_headers_complete(self) -> None:
            method, version = self.parser.get_method(), self.parser.get_http_version()
            if method == b"CONNECT":
                raise _Refused("not-implemented", "This server is no proxy: it has no method CONNECT.")
            if self.parser.should_upgrade():
                self.offers_upgrade = True
                return
            _check_version(version)
            _check_target(method, self.url)
            _check_host(version, self.headers)
            _check_framing(version, self.headers)
            if version == "1.0":
                # Such a client cannot wait for 100 (RFC 9110, section 10.1.1).
                self.expect_100_continue = False
            if re.fullmatch(rb"https?://[^/?]+", self.url, re.IGNORECASE):
                self.url += b"/"
            self._end_head()
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            if not self.offers_upgrade:
                self.head_bytes = 0
                super().on_message_complete()

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
            self.current = cycle
            if cycle.scope["http_version"] == "1.0":
                app = _without_chunks(cycle, app)
            if cycle.waiting_for_100_continue:
                app = _closing_unless_read(cycle, app)
            super()._start_asgi_task(cycle, app)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._give_refusal()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            connections.forget(self)
            for timer in (self.head_timer, self.write_timer):
                if timer is not None:
                    timer.cancel()
            self.pipeline.clear()
            if self.current is not None:
                _disconnect(self.current)

        def _refuse(self, code: str, detail: str | None) -> None:
            log.info("no request", code=code, detail=detail)
            self.refusal = _refusal(settings.problem_base, code, detail, self.server_state.default_headers)
            if self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete:
                # Its head was sound and its body is not, so the application may have it already.
                if self.pipeline and self.pipeline[0][0] is self.cycle:
                    self.pipeline.popleft()
                elif self.cycle.response_started:
                    self.transport.close()
                _disconnect(self.cycle)
            self._give_refusal()

        def _at_work(self) -> bool:
            return self.current is not None and not (
                self.current.response_complete or self.current.disconnected
            )

        def _give_refusal(self) -> None:
            if self.refusal is None or self._at_work() or self.transport.is_closing():
                return
            self._unset_keepalive_if_required()
            self.transport.write(self.refusal)
            if self.transport.can_write_eof():
                self.transport.write_eof()
            if self.turned_away:
                self.transport.close()
            else:
                self.loop.call_later(LINGER_SECONDS, self.transport.close)

    return Protocol


def _check_version(version: str) -> None:
    if version not in ("1.0", "1.1"):
        raise _Refused("version-not-supported")


def _check_target(method: bytes, target: bytes) -> None:
    """Refuse what no request-target is (RFC 9112, section 3.2)."""
    if b"#" in target:
        raise _Refused("bad-request", "The address of a request has no fragment (`#`).")
    if target == b"*" and method != b"OPTIONS":
        raise _Refused("bad-request", "Only OPTIONS may ask for `*`.")


def _check_host(version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a request without its host, or with several (RFC 9112, section 3.2)."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise _Refused("bad-request", "A request has one header Host.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise _Refused("bad-request", "The header Host is no name or address of a host.")


def _check_framing(version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a body that ends nobody knows where (RFC 9112, section 6.1)."""
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and version == "1.0":
        raise _Refused("bad-request", "HTTP/1.0 has no header Transfer-Encoding.")
    if codings and codings != [b"chunked"]:
        raise _Refused("not-implemented", "The only Transfer-Encoding that this server knows is chunked.")


def _without_chunks(cycle: RequestResponseCycle, app: App) -> App:
    """Answer a client of HTTP/1.0, which knows no chunks: a body of unknown length ends with the connection."""
    cycle.chunked_encoding = False

    async def run(scope: Any, receive: Any, send: Any) -> None:
        async def send_plain(message: Any) -> None:
            if message["type"] == "http.response.body":
                cycle.expected_content_length += len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return run


def _closing_unless_read(cycle: RequestResponseCycle, app: App) -> App:
    """Close after an answer that was given without asking for the body: the client may send it or not."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        async def send_last(message: Any) -> None:
            if message["type"] == "http.response.start" and cycle.waiting_for_100_continue:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, send_last)

    return run


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Let the application hear that its client is gone."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


def _refusal(
    problem_base: str, code: str, detail: str | None, default_headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    kind, request_id = PROBLEM_TYPES[code], secrets.token_hex(8)
    body = orjson.dumps(
        {
            "type": f"{problem_base}/{code}",
            "title": kind.title,
            "status": kind.status,
            "detail": detail or kind.meaning,
            "errors": [],
            "errors_total": 0,
            "request_id": request_id,
        }
    )
    head = [
        f"HTTP/1.1 {kind.status} {kind.title}",
        *(f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in default_headers),
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
        "cache-control: no-store",
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body

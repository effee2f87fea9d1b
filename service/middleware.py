"""What surrounds every request: an id, a line in the log, and a problem document when all else fails.

Plain ASGI, so that streams stay streams.
"""

import re
import secrets
import time

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import respond
from service.settings import ServiceSettings

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = structlog.get_logger()


class RequestLog:
    """Give each request an id (the client's `X-Request-ID` if it is a sane one) and one line in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=round(time.perf_counter() - started, 6),
                )


class BoundedHead:
    """Refuse a request whose address or headers are longer than anything that means something here."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address = len(scope["raw_path"]) + len(scope["query_string"])
        headers = sum(len(name) + len(value) for name, value in scope["headers"])
        if address > self.settings.address_bytes:
            await respond(Request(scope), "address-too-long")(scope, receive, send)
        elif headers > self.settings.header_bytes:
            await respond(Request(scope), "headers-too-large")(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class LastResort:
    """Answer 500 with a problem document when something unexpected is raised; the stack stays in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except ClientDisconnect:
            log.info("the client left before its request was whole")
        except Exception:
            log.exception("unexpected error")
            # A half-sent answer must break off, so that the client sees that it is not whole.
            if started:
                raise
            await respond(Request(scope), "internal-error")(scope, receive, send)


class HeadAsGet:
    """Answer HEAD as GET without its body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        with anyio.CancelScope() as answered:

            async def send_without_body(message: Message) -> None:
                if message["type"] != "http.response.start":
                    return
                await send(message)
                await send({"type": "http.response.body"})
                # A stream would go on for as long as what it tells of.
                answered.cancel()

            await self.app({**scope, "method": "GET"}, receive, send_without_body)

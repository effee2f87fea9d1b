"""A tenant's quota of requests, said in every answer as `RateLimit` (draft-ietf-httpapi-ratelimit-headers).

It keeps one tenant's runaway loop from the others; without the store nobody is held to it.
"""

import math

import structlog
from anyio.to_thread import run_sync
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Refusal
from service.settings import ServiceSettings
from store.base import StoreUnavailable
from store.rates import Allowance, Rates

_POLICY = '"requests"'
log = structlog.get_logger()


async def spend(request: Request, rates: Rates, settings: ServiceSettings, tenant: str) -> None:
    """Count a request; raises Refusal (429) beyond the quota."""
    if not settings.rate_quota:
        return
    try:
        allowance = await run_sync(rates.take, tenant, settings.rate_quota, settings.rate_window)
    except StoreUnavailable:
        # What is kept in this process goes on being readable while the store is away.
        log.warning("requests are not counted; the store is away")
        return
    request.scope["state"]["allowance"] = allowance
    if not allowance.granted:
        detail = f"You may make {settings.rate_quota:,} requests in {settings.rate_window} seconds."
        raise Refusal("rate-limited", detail, headers={"Retry-After": str(_seconds(allowance))})


class RateHeaders:
    """Say in each answer to a tenant what the quota is, and what is left of it."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self.app = app
        self.policy = f"{_POLICY};q={settings.rate_quota};w={settings.rate_window}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            allowance: Allowance | None = scope.get("state", {}).get("allowance")
            if message["type"] == "http.response.start" and allowance is not None:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = self.policy
                headers["RateLimit"] = f"{_POLICY};r={allowance.remaining};t={_seconds(allowance)}"
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _seconds(allowance: Allowance) -> int:
    return max(1, math.ceil(allowance.reset))

"""`Idempotency-Key`: a request that is sent again with the same key gets the first answer once more.

A key stands for one body of one tenant; a refusal is not kept, so that a better request may follow. Whoever answers a
request holds its key by a lease of seconds, so that no key is held for longer by a service that has died; whoever takes
it over makes what the first one made, under the same ids.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import structlog
from anyio import CancelScope
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from model.errors import RanefError
from service.deps import Services
from service.problems import Refusal
from store.base import StoreFull, StoreUnavailable

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_LEASE_SECONDS = 2.0
_RENEWED_SECONDS = 0.5
_REPLAYED = {"Idempotency-Replayed": "true"}
log = structlog.get_logger()

Answer = Callable[[str], Awaitable[Response]]
"""`answer(nonce)`: the nonce goes into the ids of all that is made and is not named by its content."""


async def once(request: Request, here: Services, tenant: str, body: bytes, answer: Answer) -> Response:
    """Answer, or give the answer that the same key got before.

    Raises Refusal: the key was used with another body, or its first request is being answered.
    """
    key = request.headers.get("idempotency-key")
    nonce = secrets.token_hex(16)
    if key is None:
        return await answer(nonce)
    if not _KEY.fullmatch(key):
        raise Refusal("invalid-parameter", "An Idempotency-Key has 1 to 255 visible characters of ASCII.")
    name = f"{tenant}:{hashlib.sha256(f'{request.url.path} {key}'.encode()).hexdigest()}"
    digest = hashlib.sha256(body).hexdigest()
    reservation = orjson.dumps({"digest": digest, "status": None, "nonce": nonce})
    found = await run_sync(here.replies.reserve, name, reservation, here.settings.idempotency_ttl)
    if found is not None:
        kept = orjson.loads(found)
        if kept["digest"] != digest:
            raise Refusal("idempotency-conflict")
        if kept["status"] is not None:
            return Response(
                kept["body"], status_code=kept["status"], headers={**kept["headers"], **_REPLAYED}
            )
        nonce = kept["nonce"]
    async with _held(here, name):
        try:
            response = await answer(nonce)
        except StoreUnavailable:
            # What was made before the store went away is found again under this nonce.
            raise
        except (RanefError, HTTPException):
            with CancelScope(shield=True):
                await run_sync(_drop, here, name)
            raise
        await run_sync(_keep, here, name, digest, response)
    return response


@asynccontextmanager
async def _held(here: Services, name: str) -> AsyncIterator[None]:
    """Hold a key while it is being answered; raises Refusal if somebody else does."""
    lease, holder = f"{name}:lease", secrets.token_bytes(16)
    if await run_sync(here.replies.reserve, lease, holder, _LEASE_SECONDS) is not None:
        raise Refusal("idempotency-in-flight", headers={"Retry-After": "1"})

    async def renew() -> None:
        while True:
            await asyncio.sleep(_RENEWED_SECONDS)
            try:
                await run_sync(here.replies.keep, lease, holder, _LEASE_SECONDS, limiter=here.renewing)
            except (StoreUnavailable, StoreFull):
                log.warning("could not hold an idempotency key")

    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewal.cancel()
        with CancelScope(shield=True):
            # One that is under way would hold the key once more.
            await asyncio.gather(renewal, return_exceptions=True)
            await run_sync(_drop, here, lease)


def _keep(here: Services, name: str, digest: str, response: Response) -> None:
    kept = {
        "digest": digest,
        "status": response.status_code,
        "headers": {key: value for key, value in response.headers.items() if key != "content-length"},
        "body": bytes(response.body).decode(),
    }
    try:
        here.replies.keep(name, orjson.dumps(kept), here.settings.idempotency_ttl)
    except (StoreUnavailable, StoreFull):
        # The fit is accepted all the same, and the same request finds it by its content.
        log.warning("could not keep an answer for its idempotency key")


def _drop(here: Services, name: str) -> None:
    try:
        here.replies.drop(name)
    except StoreUnavailable:
        log.warning("could not free an idempotency key")

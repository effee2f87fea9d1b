"""`Idempotency-Key`: a request that is sent again with the same key gets the first answer once more.

A key stands for one body of one tenant; a refusal is not kept, so that a better request may follow.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable

import orjson
import structlog
from anyio import CancelScope
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from service.deps import Services
from service.problems import Refusal
from store.base import StoreFull, StoreUnavailable

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Longer than any wait, and short enough for a client whose first try died with its server.
_RESERVED_SECONDS = 90.0
_REPLAYED = {"Idempotency-Replayed": "true"}
log = structlog.get_logger()


async def once(
    request: Request, here: Services, tenant: str, body: bytes, answer: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer, or give the answer that the same key got before.

    Raises Refusal: the key was used with another body, or its first request is not answered yet.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return await answer()
    if not _KEY.fullmatch(key):
        raise Refusal("invalid-parameter", "An Idempotency-Key has 1 to 255 visible characters of ASCII.")
    name = f"{tenant}:{hashlib.sha256(f'{request.url.path} {key}'.encode()).hexdigest()}"
    digest = hashlib.sha256(body).hexdigest()
    reservation = orjson.dumps({"digest": digest, "status": None})
    found = await run_sync(here.replies.reserve, name, reservation, _RESERVED_SECONDS)
    if found is not None:
        return _replay(found, digest)
    try:
        response = await answer()
    except BaseException:
        with CancelScope(shield=True):
            await run_sync(_drop, here, name)
        raise
    await run_sync(_keep, here, name, digest, response)
    return response


def _replay(found: bytes, digest: str) -> Response:
    kept = orjson.loads(found)
    if kept["digest"] != digest:
        raise Refusal("idempotency-conflict")
    if kept["status"] is None:
        raise Refusal("idempotency-in-flight", headers={"Retry-After": "1"})
    return Response(kept["body"], status_code=kept["status"], headers={**kept["headers"], **_REPLAYED})


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

"""What a route may ask for: the services of the process, the tenant, and the body of the request.

The body is read with care: no more than the limit is ever kept, and nobody is waited for without end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import anyio
from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from service.posteriors import Posteriors
from service.problems import Refusal
from service.settings import ServiceSettings
from service.watching import Watch
from store.base import Store
from store.replies import Replies

_QUALITY = re.compile(r"[01](\.\d{0,3})?")
Enqueue = Callable[[str, str], None]
"""`enqueue(fit_id, queue)`: put a fit's id into a queue."""


@dataclass(slots=True)
class Services:
    """What the routes of one process share."""

    settings: ServiceSettings
    store: Store
    enqueue: Enqueue
    posteriors: Posteriors
    watch: Watch
    replies: Replies
    draining: bool = False

    def drain(self) -> None:
        """Let streams and waits end: the process is to stop."""
        self.draining = True


def services(request: Request) -> Services:
    """Give the services that `create_app` has wired."""
    found: Services = request.app.state.services
    return found


def tenant(request: Request) -> str:
    """Name the tenant whose fits this request may see: there is one while there are no keys."""
    return "default"


Here = Annotated[Services, Depends(services)]
Tenant = Annotated[str, Depends(tenant)]


def only_known_parameters(request: Request) -> None:
    """Refuse parameters of the query that the operation does not have, and repeated ones."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    given = [name for name, _ in request.query_params.multi_items()]
    errors = [
        {"loc": ("query", name), "msg": f"there is no such parameter; there are {sorted(known) or 'none'}"}
        for name in dict.fromkeys(given)
        if name not in known
    ]
    errors += [
        {"loc": ("query", name), "msg": "given more than once"} for name in known if given.count(name) > 1
    ]
    if errors:
        raise RequestValidationError(errors)


def accepted_media_type(request: Request, *offered: str) -> str:
    """Choose what the client likes best of what is offered, the first of equals (RFC 9110, 12.5.1)."""
    best, choice = 0.0, None
    preferences = _preferences(request.headers.get("accept") or "*/*")
    for media_type in offered:
        kind = media_type.partition("/")[0]
        patterns = (media_type, f"{kind}/*", "*/*")
        quality = next((preferences[pattern] for pattern in patterns if pattern in preferences), 0.0)
        if quality > best:
            best, choice = quality, media_type
    if choice is None:
        raise Refusal("not-acceptable", f"This resource is {' or '.join(offered)}.")
    return choice


def _preferences(accept: str) -> dict[str, float]:
    preferences: dict[str, float] = {}
    for entry in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        preferences[media_type] = float(quality) if _QUALITY.fullmatch(quality) else 0.0
    return preferences


def accepts_json(request: Request) -> None:
    """Refuse a request whose `Accept` rules out JSON."""
    accepted_media_type(request, "application/json")


async def json_body(request: Request, here: Here) -> bytes:
    """Read the body, and stop as soon as it is known to be too large, too slow or of another kind."""
    media_type, *parameters = (
        part.strip().lower() for part in request.headers.get("content-type", "").split(";")
    )
    if media_type != "application/json" or any(
        name.startswith("charset=") and name not in {"charset=utf-8", 'charset="utf-8"'}
        for name in parameters
    ):
        raise Refusal("unsupported-media-type", headers={"Accept": "application/json"})
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal("unsupported-media-type", headers={"Accept-Encoding": "identity"})
    limit = here.settings.limits.body_bytes
    too_large = Refusal("body-too-large", f"The body may have {limit:,} bytes.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    body = bytearray()
    try:
        with anyio.fail_after(here.settings.body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise Refusal("body-timeout", headers={"Connection": "close"}) from None
    return bytes(body)


JsonBody = Annotated[bytes, Depends(json_body)]

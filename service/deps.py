"""What a route may ask for: the services of the process, the tenant that a key stands for, a sound query.

`create_app` wires the services; nothing here connects to anything.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params, request_params_to_args
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from service.apart import Apart
from service.keys import NOBODY_IN_PARTICULAR, KeyRing, Scope
from service.link_tokens import TOKENS
from service.loos import Loos
from service.metering import Metrics
from service.posteriors import Posteriors
from service.problems import Refusal
from service.rates import spend
from service.settings import ServiceSettings
from service.watching import Watch
from store.base import Store
from store.batches import Batches
from store.callbacks import Callbacks
from store.datasets import Datasets
from store.links import LinkRecord, Links, link_id
from store.rates import Rates
from store.replies import Replies
from store.settings import StoreSettings
from store.signing import Secrets

Enqueue = Callable[[str, str], None]
"""`enqueue(fit_id, queue)`: put a fit's id into a queue."""


@dataclass(slots=True)
class Services:
    """What the routes of one process share."""

    settings: ServiceSettings
    store: Store
    enqueue: Enqueue
    posteriors: Posteriors
    loos: Loos
    watch: Watch
    replies: Replies
    datasets: Datasets
    batches: Batches
    keys: KeyRing
    rates: Rates
    metrics: Metrics
    budgets: StoreSettings
    callbacks: Callbacks
    secrets: Secrets
    apart: Apart
    links: Links
    # Large bodies become many times their size while they are read, so few are read at a time.
    heavy: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    # Threads that compute wait for each other's interpreter anyway, and the event loop for each of them.
    computing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    # Pictures are drawn one after the other: matplotlib is not safe with threads.
    drawing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    # Checks may compute for seconds, so few are made at a time.
    judging: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    # Short commands that are not to wait for a thread behind long ones.
    renewing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    draining: bool = False

    def drain(self) -> None:
        """Let streams and waits end: the process is to stop."""
        self.draining = True


# What does no I/O is `async`: FastAPI would call it in a thread otherwise, and the loop wait for that thread.
async def services(request: Request) -> Services:
    """Give the services that `create_app` has wired."""
    found: Services = request.app.state.services
    return found


Here = Annotated[Services, Depends(services)]


async def tenant(request: Request, here: Here) -> str:
    """Name the tenant whose fits this request may see; GET needs the scope read, all else write."""
    if TOKENS in request.scope["state"]:
        found = (await admit_by_link(request, here)).tenant
    else:
        found = admit(request, here, Scope.READ if request.method == "GET" else Scope.WRITE)
    await spend(request, here.rates, here.settings, found)
    return found


async def reader(request: Request, here: Here) -> str:
    """Name the tenant of a request that changes nothing, though it is a POST for the sake of its body."""
    if TOKENS in request.scope["state"]:
        raise Refusal("link-insufficient")
    found = admit(request, here, Scope.READ)
    await spend(request, here.rates, here.settings, found)
    return found


async def admit_by_link(request: Request, here: Services) -> LinkRecord:
    """Give the link by which a request comes.

    Raises Refusal: the link is none (any more), or is for something else; and StoreUnavailable.
    """
    tokens = request.scope["state"][TOKENS]
    if "authorization" in request.headers:
        raise Refusal("bad-request", "The request has both a key and a link; send one of them.")
    link = await run_sync(here.links.get, link_id(tokens[0])) if len(tokens) == 1 else None
    if link is None or not link.opened_by(tokens[0]) or not here.keys.still_has(link.key, link.tenant):
        raise Refusal("link-invalid", headers={"WWW-Authenticate": 'Bearer realm="ranef"'})
    if request.method != "GET" or not link.leads_to(request.url.path.removeprefix(here.settings.root_path)):
        raise Refusal("link-insufficient")
    return link


async def still_admitted(request: Request, here: Services) -> None:
    """Raise Refusal if a request came by a link that has expired or was revoked meanwhile."""
    if TOKENS in request.scope["state"]:
        await admit_by_link(request, here)


async def administrator(request: Request, here: Here) -> str:
    """Name the tenant of a request that sees what belongs to all."""
    return admit(request, here, Scope.ADMIN)


def admit(request: Request, here: Services, needed: Scope) -> str:
    """Give the tenant of a request's key, or the only tenant if there are no keys.

    Raises Refusal: there is no key, it is none of ours, or its scope is too small (RFC 6750, section 3).
    """
    if not here.keys.keys:
        return NOBODY_IN_PARTICULAR
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal("key-required", headers={"WWW-Authenticate": 'Bearer realm="ranef"'})
    key = here.keys.find(token.strip())
    if key is None:
        challenge = 'Bearer realm="ranef", error="invalid_token"'
        raise Refusal("key-unknown", headers={"WWW-Authenticate": challenge})
    if not key.scope.includes(needed):
        challenge = f'Bearer realm="ranef", error="insufficient_scope", scope="{needed}"'
        raise Refusal(
            "scope-insufficient",
            f"This needs a key of the scope {needed}; yours has {key.scope}.",
            headers={"WWW-Authenticate": challenge},
        )
    return key.tenant


Tenant = Annotated[str, Depends(tenant)]
Reader = Annotated[str, Depends(reader)]
Administrator = Annotated[str, Depends(administrator)]


async def only_known_parameters(request: Request) -> None:
    """Refuse parameters of the query that the operation does not have, and repeated ones."""
    route = request.scope["route"]
    fields = [
        taken for taken in get_flat_params(route.dependant) if isinstance(taken.field_info, params.Query)
    ]
    known = {field.alias for field in fields}
    objects = set(_deep_objects(route.openapi_extra or {}))
    given = [name for name, _ in request.query_params.multi_items()]
    listed = sorted(known) + [f"{name}[…]" for name in sorted(objects)]
    if TOKENS in request.scope["state"] and not _has_tenant(route.dependant):
        given.append("link")
    errors: list[object] = [
        {"loc": ("query", name), "msg": f"there is no such parameter; there are {listed or 'none'}"}
        for name in dict.fromkeys(given)
        if name not in known and _object_of(name) not in objects
    ]
    lists = {field.alias for field in fields if _takes_several(field.field_info.annotation)}
    errors += [
        {"loc": ("query", name), "msg": "given more than once"}
        for name, count in Counter(given).items()
        if count > 1 and name not in lists and (name in known or _object_of(name) in objects)
    ]
    if errors:
        # What is wrong with the known ones would otherwise be said only the next time.
        _, invalid = request_params_to_args(fields, request.query_params)
        raise RequestValidationError([*errors, *invalid])


def _takes_several(annotation: object) -> bool:
    """Whether a parameter is a list, or a list or nothing."""
    return get_origin(annotation) is list or any(get_origin(part) is list for part in get_args(annotation))


def _has_tenant(dependant: Dependant) -> bool:
    return dependant.call in (tenant, reader) or any(map(_has_tenant, dependant.dependencies))


def deep_object(request: Request, name: str) -> dict[str, str]:
    """Give an object of the query, each key of which is a parameter: `metadata[study]=2026-a`."""
    return {
        given.removeprefix(f"{name}[").removesuffix("]"): value
        for given, value in request.query_params.multi_items()
        if _object_of(given) == name
    }


def _object_of(parameter: str) -> str | None:
    name, bracket, _ = parameter.partition("[")
    return name if bracket and parameter.endswith("]") else None


def _deep_objects(documented: Mapping[str, Any]) -> Iterator[str]:
    # FastAPI reads no such parameters, so an operation that has one documents it by itself.
    for parameter in documented.get("parameters", ()):
        if parameter.get("style") == "deepObject":
            yield parameter["name"]

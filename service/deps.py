"""What a route may ask for: the services of the process, the tenant, and a query without surprises.

`create_app` wires the services; nothing here connects to anything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from service.posteriors import Posteriors
from service.settings import ServiceSettings
from service.watching import Watch
from store.base import Store
from store.replies import Replies

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
    # Large bodies become many times their size while they are read, so few are read at a time.
    heavy: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    draining: bool = False

    def drain(self) -> None:
        """Let streams and waits end: the process is to stop."""
        self.draining = True


def services(request: Request) -> Services:
    """Give the services that `create_app` has wired."""
    found: Services = request.app.state.services
    return found


def tenant() -> str:
    """Name the tenant whose fits this request may see: there is one while there are no keys."""
    return "default"


Here = Annotated[Services, Depends(services)]
Tenant = Annotated[str, Depends(tenant)]


def only_known_parameters(request: Request) -> None:
    """Refuse parameters of the query that the operation does not have, and repeated ones."""
    fields = request.scope["route"].dependant.query_params
    known = {field.alias for field in fields}
    given = [name for name, _ in request.query_params.multi_items()]
    errors: list[object] = [
        {"loc": ("query", name), "msg": f"there is no such parameter; there are {sorted(known) or 'none'}"}
        for name in dict.fromkeys(given)
        if name not in known
    ]
    errors += [
        {"loc": ("query", name), "msg": "given more than once"} for name in known if given.count(name) > 1
    ]
    if errors:
        # What is wrong with the known ones would otherwise be said only the next time.
        _, invalid = request_params_to_args(fields, request.query_params)
        raise RequestValidationError([*errors, *invalid])

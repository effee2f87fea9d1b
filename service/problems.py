"""Errors as answers: whatever is raised becomes a problem document (RFC 9457) with its status.

Errors raised further in know no status code; the table in `problem_types` gives each its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from model.errors import InvalidModel, Issue, RanefError
from service.problem_types import PROBLEM_TYPES
from store.base import InvalidCursor, QueueFull, StoreFull, StoreUnavailable
from store.callbacks import TooManyCallbacks
from store.links import TooManyLinks

MEDIA_TYPE = "application/problem+json"
LISTED_ERRORS = 20
LONGEST_TEXT = 10_000
_RETRY = {"Retry-After": "2"}
_READABLE = frozenset({"MISCONF", "NOREPLICAS", "READONLY"})
"""The words of a store that refuses changes alone."""
_BY_STATUS = {404: "not-found", 405: "method-not-allowed"}


@dataclass(eq=False)
class Refusal(RanefError):
    """A request that cannot be answered for a reason other than the model; `code` is one of the table's."""

    code: str
    detail: str | None = None
    issues: tuple[Issue, ...] = ()
    headers: Mapping[str, str] | None = None


def document(
    request: Request,
    code: str,
    *,
    detail: str | None = None,
    issues: Sequence[Issue] = (),
    errors: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Describe a problem; at most 20 errors (issues, or others) are listed, `errors_total` counts them all."""
    kind = PROBLEM_TYPES[code]
    listed = [*issue_errors(issues[:LISTED_ERRORS]), *errors[:LISTED_ERRORS]]
    base = request.app.state.services.settings.problem_base
    return {
        "type": f"{base}/{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.meaning,
        "errors": listed[:LISTED_ERRORS],
        "errors_total": len(issues) + len(errors),
        "request_id": request.scope["state"]["request_id"],
    }


def issue_errors(issues: Iterable[Issue]) -> list[dict[str, Any]]:
    """Give issues as the entries of `errors`, without the places that are not known."""
    return [
        {key: _shorten(value) for key, value in asdict(issue).items() if value is not None}
        for issue in issues
    ]


def _shorten(value: Any) -> Any:
    # Names come from the request, and a name may be as long as a body.
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + "…"
    return value


def respond(
    request: Request,
    code: str,
    *,
    detail: str | None = None,
    issues: Sequence[Issue] = (),
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with a problem document."""
    body = document(request, code, detail=detail, issues=issues, errors=errors)
    return Response(
        orjson.dumps(body),
        status_code=body["status"],
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def summarize(issues: tuple[Issue, ...]) -> str:
    """Name the problem type of several issues: their common code, or `invalid-request`."""
    codes = {issue.code for issue in issues}
    code = codes.pop() if len(codes) == 1 else "invalid-request"
    return code if code in PROBLEM_TYPES else "invalid-model"


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidModel)
    return respond(request, summarize(error.issues), issues=error.issues)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return respond(request, error.code, detail=error.detail, issues=error.issues, headers=error.headers)


async def _parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # What was sent is not echoed: it may be of any size, and not even be text.
    errors = [
        {
            "code": "invalid-parameter",
            "message": f"{item['loc'][0]} parameter {item['loc'][-1]}: {item['msg']}",
        }
        for item in error.errors()
    ]
    return respond(request, "invalid-parameter", errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return respond(request, _BY_STATUS.get(error.status_code, "bad-request"), headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Each route knows its own methods only, where a path may have several."""
    return [
        method
        for method in ("GET", "HEAD", "POST", "DELETE")
        if any(
            # HEAD is answered as GET.
            route.matches({**request.scope, "method": method.replace("HEAD", "GET")})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    detail = None
    if error.refusal in _READABLE:
        detail = (
            f"The store of fits takes no changes at present ({error.refusal}); what it holds can be read, and nothing"
            " accepted is lost. Try again."
        )
    elif error.refusal is not None:
        detail = f"The store of fits cannot answer at present ({error.refusal}); nothing accepted is lost. Try again."
    return respond(request, "store-unavailable", detail=detail, headers=_RETRY)


async def _full(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreFull)
    code = "tenant-full" if error.scope == "tenant" else "store-full"
    return respond(request, code, headers={"Retry-After": "60"})


async def _queue_full(request: Request, error: Exception) -> Response:
    assert isinstance(error, QueueFull)
    code = "tenant-queue-full" if error.scope == "tenant" else "queue-full"
    return respond(request, code, headers={"Retry-After": "5"})


async def _callbacks(request: Request, error: Exception) -> Response:
    return respond(request, "too-many-callbacks")


async def _links(request: Request, error: Exception) -> Response:
    return respond(request, "too-many-links")


async def _cursor(request: Request, error: Exception) -> Response:
    return respond(request, "invalid-cursor")


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(InvalidModel, _invalid)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(StoreFull, _full)
    app.add_exception_handler(QueueFull, _queue_full)
    app.add_exception_handler(TooManyCallbacks, _callbacks)
    app.add_exception_handler(TooManyLinks, _links)
    app.add_exception_handler(InvalidCursor, _cursor)

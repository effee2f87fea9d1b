"""The resource `links`: addresses that open without a key, for `<img>`, EventSource and people; they can be revoked."""

import secrets
from typing import Annotated, Any
from urllib.parse import unquote

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from starlette.routing import Match

from model.errors import InvalidModel, Issue
from service.answers.links import Link, LinkList, NewLink
from service.bodies import JsonBody
from service.caching import fresh, hold_to_condition
from service.caps import too_many
from service.deps import Here, Reader, Services, Tenant
from service.documentation import answers, header_parameters, json_request
from service.link_tokens import PARAMETER
from service.lookup import find, find_batch
from service.problems import Refusal
from service.reading import read_json, read_shape
from service.requests.links import LinkRequest
from service.views import timestamp
from store.links import LinkRecord, digest_of, link_id

router = APIRouter(prefix="/v1/links", tags=["links"])

_PROBLEMS = ("link-not-found", "store-unavailable")


@router.post(
    "",
    operation_id="createLink",
    summary="Make a signed link",
    status_code=201,
    openapi_extra=json_request(LinkRequest),
    responses=answers(
        (201, "The link; its token is shown this once.", NewLink),
        problems=("unknown-address", "limit-exceeded", "too-many-links", "store-full", "store-unavailable"),
        headers=("Location",),
        body=True,
    ),
)
async def create_link(request: Request, here: Here, tenant: Reader, body: JsonBody) -> Response:
    """Make a link by which whoever has it may read some addresses for a while: GET and HEAD, nothing else.

    It is for what cannot send headers: `<img>`, EventSource, a person's browser. It needs a key of the scope read,
    and does not outlive that key.
    """

    def make() -> Response:
        asked = read_shape(LinkRequest, read_json(body.data, here.settings.limits), here.settings.limits)
        if issues := _issues(request, here, tenant, asked):
            raise InvalidModel(issues)
        token = f"link_{secrets.token_urlsafe(32)}"
        key = here.keys.find(request.headers.get("authorization", "").partition(" ")[2].strip())
        record = LinkRecord(
            id=link_id(token),
            tenant=tenant,
            digest=digest_of(token),
            key=key.digest.hex() if key else "",
            paths=tuple(unquote(path.removeprefix(here.settings.root_path)) for path in asked.paths),
        )
        record = here.links.put(record, asked.lifetime)
        root_path = here.settings.root_path
        given = [f"{root_path}{path.removeprefix(root_path)}" for path in asked.paths]
        opened = [f"{path}?{PARAMETER}={token}" for path in given if not path.endswith("/*")]
        view = _view(record, root_path)
        return fresh({**view, "token": token, "addresses": opened}, 201, {"Location": view["links"]["self"]})

    return await run_sync(make)


@router.get(
    "",
    operation_id="listLinks",
    summary="List signed links",
    responses=answers(
        (200, "A page of links, the last made first.", LinkList),
        problems=("invalid-cursor", "store-unavailable"),
    ),
)
def list_links(
    here: Here,
    tenant: Tenant,
    limit: Annotated[int, Query(ge=1, le=100, description="How many links to a page.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List your links that have not expired, without their tokens."""
    page = here.links.list(tenant, limit=limit, cursor=cursor)
    headers = {}
    if page.next_cursor is not None:
        following = f"{here.settings.root_path}/v1/links?limit={limit}&cursor={page.next_cursor}"
        headers["Link"] = f'<{following}>; rel="next"'
    return fresh(
        {
            "items": [_view(record, here.settings.root_path) for record in page.records],
            "next_cursor": page.next_cursor,
        },
        headers=headers,
    )


@router.get(
    "/{link_id}",
    operation_id="getLink",
    summary="Get a signed link",
    responses=answers((200, "The link, without its token.", Link), problems=_PROBLEMS),
)
def get_link(here: Here, tenant: Tenant, link_id: str) -> Response:
    """Tell what a link opens, and when it expires."""
    return fresh(_view(_find(here, tenant, link_id), here.settings.root_path))


@router.delete(
    "/{link_id}",
    operation_id="revokeLink",
    summary="Revoke a signed link",
    status_code=204,
    openapi_extra=header_parameters("If-Match"),
    responses=answers(
        (204, "The link opens nothing any more.", None), problems=("precondition-failed", *_PROBLEMS)
    ),
)
def revoke_link(request: Request, here: Here, tenant: Reader, link_id: str) -> Response:
    """Revoke a link: from now on no process of the service takes it; a stream that it opened ends within seconds."""
    _find(here, tenant, link_id)
    hold_to_condition(request, None)
    here.links.delete(link_id, tenant)
    return Response(status_code=204)


def _issues(request: Request, here: Services, tenant: str, asked: LinkRequest) -> list[Issue]:
    limits = here.settings.limits
    issues = []
    if asked.lifetime > limits.link_seconds:
        issues.append(too_many("seconds of a link's life", asked.lifetime, limits.link_seconds, "/lifetime"))
    if len(asked.paths) > limits.link_paths:
        return [*issues, too_many("paths in one link", len(asked.paths), limits.link_paths, "/paths")]
    paths = [path.removeprefix(here.settings.root_path) for path in asked.paths]
    ours = {_resource(path) for path in paths if path.startswith("/v1/")}
    there = {resource: _is_there(here, tenant, resource) for resource in ours}
    for number, path in enumerate(paths):
        # What is beneath `/*` is whatever there is.
        routed = path.endswith("/*") or _is_read(request, unquote(path))
        if not (routed and there.get(_resource(path), False)):
            issues.append(
                Issue(
                    "unknown-address",
                    "There is nothing of yours to read at this address.",
                    f"/paths/{number}",
                )
            )
    return issues


def _resource(path: str) -> tuple[str, str]:
    """Kind and id; where the path has a prefix that is not ours, there is none of that."""
    _, _, kind, name, *_ = path.split("/")
    return kind, name


def _is_there(here: Services, tenant: str, resource: tuple[str, str]) -> bool:
    kind, name = resource
    try:
        if kind == "datasets":
            return here.datasets.get(name, tenant) is not None
        (find if kind == "fits" else find_batch)(here, tenant, name)
    except Refusal:
        return False
    return True


def _is_read(request: Request, path: str) -> bool:
    scope = {**request.scope, "path": path, "raw_path": path.encode(), "method": "GET"}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


def _find(here: Services, tenant: str, link_id: str) -> LinkRecord:
    record = here.links.get(link_id, tenant)
    if record is None:
        raise Refusal("link-not-found")
    return record


def _view(record: LinkRecord, root_path: str) -> dict[str, Any]:
    return {
        "id": record.id,
        "paths": [f"{root_path}{path}" for path in record.paths],
        "created_at": timestamp(record.created_at),
        "expires_at": timestamp(record.expires_at),
        "links": {"self": f"{root_path}/v1/links/{record.id}"},
    }

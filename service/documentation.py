"""What every operation says of itself in OpenAPI: its answers, its problems, and the body it takes.

All problems share one component; a table of codes per status tells them apart.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from service.media_types import ARROW, CSV, JSON, NDJSON, NETCDF, PARQUET, PNG
from service.problem_types import PROBLEM_TYPES
from service.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_BINARY = (ARROW, NETCDF, PARQUET, PNG)

_EVERY_OPERATION = (
    "bad-request",
    "not-acceptable",
    "address-too-long",
    "invalid-parameter",
    "headers-too-large",
    "internal-error",
)
_WITH_A_KEY = (
    "key-required",
    "key-unknown",
    "link-invalid",
    "scope-insufficient",
    "link-insufficient",
    "rate-limited",
)
_EVERY_BODY = (
    "invalid-request",
    "invalid-json",
    "invalid-gzip",
    "invalid-zstd",
    "body-timeout",
    "body-too-large",
    "unsupported-media-type",
)


def _header(description: str, type_: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": type_}}


_HEADERS = {
    "ETag": _header("Names this very answer; sent back as If-None-Match it saves the body."),
    "Location": _header("Address of the fit."),
    "Preference-Applied": _header("The wait that was honored."),
    "RateLimit": _header("Requests that are left (r) and for how many seconds (t)."),
    "Retry-After": _header("Seconds after which it is worth asking again.", "integer"),
    "X-Request-ID": _header("Names this request in the log and in problem documents."),
}


_PARAMETERS = {
    "Prefer": ("`wait=10` holds the answer up to 10 seconds, at most 30 (RFC 7240).", "wait=10"),
    "Idempotency-Key": ("Names this request; sent again with this key it gets the first answer.", "9c1b-42"),
    "If-Match": ("Only if the resource has this ETag still; `*`: if it is there.", '"d41d8cd98f00b204"'),
    "If-None-Match": ("The ETag of an answer the client has.", '"d41d8cd98f00b204"'),
}


def header_parameters(*names: str) -> dict[str, Any]:
    """Document headers that an operation reads by itself."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": False,
                "description": _PARAMETERS[name][0],
                "schema": {"type": "string"},
                "example": _PARAMETERS[name][1],
            }
            for name in names
        ]
    }


def answers(
    *successes: tuple[int, str, type[BaseModel] | None],
    problems: Iterable[str] = (),
    headers: Iterable[str] = (),
    body: bool = False,
    conditional: bool = False,
    stream: str | None = None,
    others: Iterable[str] = (),
    keyless: bool = False,
) -> Responses:
    """Document the answers of an operation: its successes, and problems by their codes.

    `keyless` is an operation that needs no key where others do.
    """
    responses: Responses = {}
    for status, description, model in successes:
        responses[status] = {
            "description": description,
            "headers": {name: _HEADERS[name] for name in ("X-Request-ID", *headers)},
        }
        if model is not None:
            responses[status]["model"] = model
            if stream is not None:
                responses[status]["content"] = {stream: {"schema": {"type": "string"}}}
        for media_type in others:
            text = {"format": "binary"} if media_type in _BINARY else {}
            content = responses[status].setdefault("content", {})
            content[media_type] = {"schema": {"type": "string"} | text}
    if conditional:
        responses[304] = {
            "description": "The client has this answer already.",
            "headers": {"ETag": _HEADERS["ETag"]},
        }
        problems = (*problems, "precondition-failed")
    by_status = defaultdict(list)
    for code in dict.fromkeys(_all(problems, body, keyless)):
        by_status[PROBLEM_TYPES[code].status].append(code)
    for status, codes in sorted(by_status.items()):
        responses[status] = {
            "description": " ".join(PROBLEM_TYPES[code].meaning for code in codes),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {code: {"value": _example(code)} for code in codes},
                }
            },
        }
    return responses


def _all(problems: Iterable[str], body: bool, keyless: bool) -> tuple[str, ...]:
    return (
        *problems,
        *_EVERY_OPERATION,
        *(_EVERY_BODY if body else ()),
        *(() if keyless else _WITH_A_KEY),
    )


def json_request(model: type[BaseModel]) -> dict[str, Any]:
    """Document the body of an operation that reads it by itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    examples: Any = model.model_config.get("json_schema_extra")
    content: dict[str, Any] = {"schema": schema, "example": examples["examples"][0]}
    return {"requestBody": {"required": True, "content": {JSON: content}}}


def list_request(model: type[BaseModel]) -> dict[str, Any]:
    """Document a body that is JSON as `model` has it, or one member to a line."""
    described = json_request(model)
    columns = '{"columns": {"x": [0.3, -1.1, 0.8, -0.2], "y": [5.1, 4.9, 5.3, 5.4]}}'
    lines = "".join(f'{{"custom_id": "{name}", "formula": "y ~ x", "data": {columns}}}\n' for name in "ab")
    described["requestBody"]["content"][NDJSON] = {"schema": {"type": "string"}, "example": lines}
    return described


def rows_request(model: type[BaseModel], *headers: str) -> dict[str, Any]:
    """Document a body of rows: JSON as `model` has it, CSV, an Arrow stream or a Parquet file."""
    described = json_request(model)
    content = described["requestBody"]["content"]
    content[CSV] = {"schema": {"type": "string"}, "example": "x,g\n0.5,a\n1.5,b\n"}
    content |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (ARROW, PARQUET)}
    return described | header_parameters(*headers)


def _example(code: str) -> dict[str, Any]:
    kind = PROBLEM_TYPES[code]
    return {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.meaning,
        "errors": [],
        "errors_total": 0,
        "request_id": "9f86d081884c7d65",
    }

"""The OpenAPI document: what FastAPI collects, and the bodies that our routes read by themselves.

`python -m service.openapi` writes openapi/openapi.json and docs/problems.md.
"""

from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service.answers.callbacks import CallbackMessage
from service.answers.common import Problem
from service.link_tokens import PARAMETER
from service.links import link
from service.problem_types import PROBLEM_TYPES
from service.requests.batches import BatchMember, BatchRequest
from service.requests.common import Data
from service.requests.comparisons import ComparisonRequest
from service.requests.fits import FitRequest, ModelRequest
from service.requests.links import LinkRequest
from service.requests.predictions import PredictionRequest
from service.webhooks import webhooks

ROOT = Path(__file__).parent.parent
OPENAPI_JSON = ROOT / "openapi" / "openapi.json"
EXAMPLES_JSON = Path(__file__).parent / "answers" / "examples.json"
PROBLEMS_MD = ROOT / "docs" / "problems.md"


_TAGS = {
    "datasets": "Rows that are uploaded once and named by requests.",
    "fits": "A model fitted to data: submitted, followed, listed, cancelled, deleted.",
    "results": "What a fit found: estimates, draws, predictions.",
    "plots": "A fit in pictures, as SVG and PNG, made of the numbers that the results give.",
    "batches": "Many fits at once.",
    "callbacks": "What was sent to addresses of yours when a fit or a batch had ended.",
    "links": "Addresses that open without a key for a while, for what cannot send headers.",
    "formulas": "A model checked without being fitted.",
    "service": "The service itself: whether it is alive and ready, its limits, its problems, its metrics.",
}
_PATH_PARAMETERS = {
    "batch_id": "The `id` of a batch.",
    "code": "The code of a problem: the end of its `type`.",
    "dataset_id": "The `id` of a data set.",
    "factor": "The name of a grouping factor, as in the formula.",
    "fit_id": "The `id` of a fit.",
    "link_id": "The `id` of a signed link.",
}
_LINKED = ("/v1/fits/{fit_id}", "/v1/batches/{batch_id}", "/v1/datasets/{dataset_id}")
_READ_BY_US = (
    BatchMember,
    BatchRequest,
    CallbackMessage,
    ComparisonRequest,
    Data,
    FitRequest,
    LinkRequest,
    ModelRequest,
    PredictionRequest,
    Problem,
)


def describe(app: FastAPI) -> None:
    """Make the application give our document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def openapi_json(app: FastAPI) -> bytes:
    """Write the OpenAPI document as it is committed."""
    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def problems_markdown() -> str:
    """Write the page about every type of problem."""
    sections = [
        "# Problems\n\nEvery error is an `application/problem+json` document (RFC 9457). "
        "Its `type` ends in one of these codes, and each entry of its `errors` has a `code` of its own."
    ]
    for code, kind in PROBLEM_TYPES.items():
        text = " ".join(part for part in (kind.meaning, kind.advice) if part)
        sections.append(f"## {code}\n\n**{kind.status} {kind.title}.** {text}")
    return "\n\n".join(sections) + "\n"


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        license_info=app.license_info,
        servers=[{"url": app.state.services.settings.root_path or "/"}],
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        routes=app.routes,
    )
    document["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of the scope read, write or admin; a service without keys needs none.",
        },
        "link": {
            "type": "apiKey",
            "in": "query",
            "name": PARAMETER,
            "description": "The token of a signed link (`POST /v1/links`), which opens some addresses to be read.",
        },
    }
    # Without keys anybody may call it, so the document for all deployments says that a key may be needless.
    document["security"] = [{"key": []}] if app.state.services.keys.keys else [{"key": []}, {}]
    _, definitions = models_json_schema(
        [(model, "validation") for model in _READ_BY_US],
        ref_template="#/components/schemas/{model}",
    )
    for address, path in document["paths"].items():
        for method, operation in path.items():
            if "401" not in operation["responses"]:
                operation["security"] = []
            elif method == "get" and address.startswith(_LINKED):
                operation["security"] = [{"link": []}, *document["security"]]
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _not_null(parameter["schema"])
                if parameter["in"] == "path" and parameter["name"] in _PATH_PARAMETERS:
                    parameter.setdefault("description", _PATH_PARAMETERS[parameter["name"]])
    document["components"]["schemas"] |= definitions["$defs"]
    for schema in document["components"]["schemas"].values():
        _say_defaults(schema)
    link(document)
    document["webhooks"] = webhooks()
    document["components"]["schemas"] = dict(sorted(document["components"]["schemas"].items()))
    _show_answers(document)
    return document


def _say_defaults(schema: Any) -> None:
    """Say the defaults of properties in words instead: to some generators of clients what has a default is required."""
    if isinstance(schema, list):
        for part in schema:
            _say_defaults(part)
    if not isinstance(schema, dict):
        return
    for described in schema.get("properties", {}).values():
        default = described.pop("default", None)
        if isinstance(default, str | int | float):
            said = orjson.dumps(default).decode()
            described["description"] = f"{described.get('description', '')} Default: `{said}`."
    for key, part in schema.items():
        if key != "examples":
            _say_defaults(part)


def _show_answers(document: dict[str, Any]) -> None:
    """Give each answer an example: what a service gave once, shortened."""
    examples = orjson.loads(EXAMPLES_JSON.read_bytes())
    for path in document["paths"].values():
        for operation in path.values():
            for status, example in examples.get(operation["operationId"], {}).items():
                for media_type, value in example.items():
                    operation["responses"][status]["content"][media_type]["example"] = value


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Take null out of the schema of a parameter: one that is left out is not sent as null."""
    kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
    return schema | kinds[0] if len(kinds) == 1 else schema


def _write() -> None:
    from service.app import create_app

    OPENAPI_JSON.write_bytes(openapi_json(create_app()))
    PROBLEMS_MD.write_text(problems_markdown(), encoding="utf-8")


if __name__ == "__main__":
    _write()

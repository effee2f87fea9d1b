"""What is generated and committed is what would be generated now."""

import tomllib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft202012Validator

from service.app import create_app
from service.openapi import OPENAPI_JSON, PROBLEMS_MD, openapi_json, problems_markdown
from service.problem_types import PROBLEM_TYPES
from service.settings import ServiceSettings
from store.memory import MemoryStore


@pytest.fixture(scope="module")
def written() -> bytes:
    return openapi_json(create_app(ServiceSettings(), MemoryStore(), lambda fit_id, queue: None))


@pytest.fixture(scope="module")
def document(written: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(written)
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_the_openapi_document_is_current(written: bytes) -> None:
    assert OPENAPI_JSON.read_bytes() == written, "run `make openapi`"


def test_the_page_of_problems_is_current() -> None:
    assert PROBLEMS_MD.read_text(encoding="utf-8") == problems_markdown(), "run `make openapi`"


def test_it_is_openapi_3_1_with_one_problem_component(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert [name for name in schemas if "Problem" in name] == ["Problem", "ProblemError", "ProblemPage"]


def test_every_operation_is_named_and_explained(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert len(set(names)) == len(names)
    for operation in operations(document):
        assert operation["operationId"].isidentifier()
        assert operation["operationId"][0].islower()
        assert "_" not in operation["operationId"]
        assert operation["summary"]
        assert operation["description"]


def test_every_error_of_an_operation_is_a_documented_problem(document: dict[str, Any]) -> None:
    for operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"406", "422", "500"} <= set(errors)
        for status, answer in errors.items():
            content = answer["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            for code in content["examples"]:
                assert PROBLEM_TYPES[code].status == int(status)


def described(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Each property beneath a schema, with its description; conditions (`if`, `not`) describe nothing."""
    for name, schema in value.get("properties", {}).items():
        yield f"{place}.{name}", schema.get("description", "")
        yield from described(schema, f"{place}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(value.get(key), dict):
            yield from described(value[key], f"{place}[]")
    for key in ("anyOf", "oneOf", "allOf"):
        for part in value.get(key, []):
            yield from described(part, place)


def test_every_property_and_parameter_has_a_sentence(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    found = [pair for name, schema in schemas.items() for pair in described(schema, name)]
    assert len(found) > 400
    found += [
        (f"{operation['operationId']}?{parameter['name']}", parameter.get("description", ""))
        for operation in operations(document)
        for parameter in operation.get("parameters", [])
    ]
    assert [place for place, text in found if len(text.split()) < 2 or not text.rstrip().endswith(".")] == []


def test_no_property_has_a_default_that_makes_it_required(document: dict[str, Any]) -> None:
    """Generators of clients take what has a default for what is always there."""
    with_default = [
        f"{name}.{each}"
        for name, schema in document["components"]["schemas"].items()
        for each, property_ in schema.get("properties", {}).items()
        if "default" in property_
    ]
    assert with_default == []


def test_every_answer_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    shown = 0
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if content is None or status >= "300":
                continue
            assert "example" in content, (operation["operationId"], status)
            schema = {**content["schema"], "components": document["components"]}
            errors = Draft202012Validator(schema).iter_errors(content["example"])
            wrong = [f"{error.instance_path}: {error.message[:200]}" for error in errors]
            assert (operation["operationId"], status, wrong) == (operation["operationId"], status, [])
            shown += 1
    assert shown > 30


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    known = {f"#/components/{kind}/{name}" for kind, all_ in document["components"].items() for name in all_}
    assert references(document) <= known


def test_the_version_is_the_projects(document: dict[str, Any]) -> None:
    project = tomllib.loads((OPENAPI_JSON.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert document["info"]["version"] == project["version"]

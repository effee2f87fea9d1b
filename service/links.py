"""Which operations follow from an answer: OpenAPI links, so that tools and people find their way from a new fit.

They are read off the document: an answer with an `id` leads to each operation whose path takes that id alone.
"""

from typing import Any

from service.media_types import JSON

# The shapes that have an `id`, and the parameter of the paths that take it.
_IDENTIFIED = {
    "Batch": "batch_id",
    "Dataset": "dataset_id",
    "Fit": "fit_id",
    "Link": "link_id",
    "NewLink": "link_id",
}


def link(document: dict[str, Any]) -> None:
    """Add links to the answers of an OpenAPI document, in place."""
    leads_to: dict[str, list[str]] = {parameter: [] for parameter in dict.fromkeys(_IDENTIFIED.values())}
    for operation in _operations(document):
        taken = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
        if len(taken) == 1 and taken[0] in leads_to:
            leads_to[taken[0]].append(operation["operationId"])
    document["components"]["links"] = {
        name: {"operationId": name, "parameters": {parameter: "$response.body#/id"}}
        for parameter, names in leads_to.items()
        for name in names
    }
    for operation in _operations(document):
        for answer in operation["responses"].values():
            if (parameter := _IDENTIFIED.get(_shape(answer))) is not None:
                names = leads_to[parameter]
                answer["links"] = {name: {"$ref": f"#/components/links/{name}"} for name in names}


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def _shape(answer: dict[str, Any]) -> str:
    schema = answer.get("content", {}).get(JSON, {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]

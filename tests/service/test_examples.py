"""The examples of the OpenAPI document are requests that work, and their answers are as documented."""

import re
from collections.abc import Callable
from typing import Any

import orjson
from fastapi.testclient import TestClient

from service.openapi import OPENAPI_JSON

PATHS = orjson.loads(OPENAPI_JSON.read_bytes())["paths"]


def example(path: str) -> dict[str, Any]:
    found: dict[str, Any] = PATHS[path]["post"]["requestBody"]["content"]["application/json"]["example"]
    return found


def test_every_body_has_an_example_that_works(client: TestClient, finish: Callable[..., Any]) -> None:
    tried = {
        "/v1/batches",
        "/v1/comparisons",
        "/v1/datasets",
        "/v1/fits",
        "/v1/formulas/check",
        "/v1/fits/{fit_id}/predictions",
        "/v1/links",
    }
    assert {path for path, methods in PATHS.items() if "requestBody" in methods.get("post", {})} == tried

    fit = client.post("/v1/fits", json=example("/v1/fits"))
    assert fit.status_code == 202, fit.text
    assert client.post("/v1/formulas/check", json=example("/v1/formulas/check")).status_code == 200
    batch = client.post("/v1/batches", json=example("/v1/batches"))
    assert (batch.status_code, batch.json()["members"]) == (202, 2), batch.text
    assert client.post("/v1/datasets", json=example("/v1/datasets")).status_code == 201
    finish(fit.json()["id"])
    predictions = example("/v1/fits/{fit_id}/predictions")
    answer = client.post(f"/v1/fits/{fit.json()['id']}/predictions", json=predictions)
    assert answer.status_code == 200, answer.text

    # The ids of the example are nobody's.
    paths = [re.sub(r"fit_\w+", fit.json()["id"], path) for path in example("/v1/links")["paths"]]
    answer = client.post("/v1/links", json={**example("/v1/links"), "paths": paths})
    assert answer.status_code == 201, answer.text

    simpler = {**example("/v1/fits"), "formula": "student_reading_score ~ 1 + (1 | teacher_id)", "priors": []}
    other = client.post("/v1/fits", json=simpler)
    assert other.status_code == 202, other.text
    finish(other.json()["id"])
    compared = {**example("/v1/comparisons"), "fits": [fit.json()["id"], other.json()["id"]]}
    answer = client.post("/v1/comparisons", json=compared)
    assert answer.status_code == 200, answer.text

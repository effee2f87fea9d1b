"""The model of a fit and the schema of its predictions, known from the moment it is accepted."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.answers.models import Model, PredictionSchema
from tests.service.samples import COLUMNS, REQUEST


def test_the_model_is_told_as_it_was_resolved(client: TestClient, fit_id: str) -> None:
    model = Model.model_validate(client.get(f"/v1/fits/{fit_id}/model").json())
    assert model.formula == "y ~ x + (1 + x | g)"
    assert [coefficient.name for coefficient in model.population] == ["Intercept", "x"]
    assert model.groups[0].model_dump() == {
        "factor": "g",
        "columns": ["g"],
        "levels": 6,
        "coefficients": ["Intercept", "x"],
        "blocks": [["Intercept", "x"]],
    }
    classes = {(prior.class_, prior.source) for prior in model.priors}
    assert ("sigma", "default") in classes
    assert int(model.seed) >= 0


def test_a_prior_says_who_set_it(client: TestClient) -> None:
    body = {**REQUEST, "priors": [{"class": "b", "prior": "normal(0, 20)"}]}
    fit = client.post("/v1/fits", json=body).json()["id"]
    model = Model.model_validate(client.get(f"/v1/fits/{fit}/model").json())
    assert ("b", "normal(0, 20)", "user") in {(row.class_, row.prior, row.source) for row in model.priors}


def test_the_model_is_written_out_in_both_notations(client: TestClient, fit_id: str) -> None:
    model = Model.model_validate(client.get(f"/v1/fits/{fit_id}/model").json())
    hierarchical, expanded = model.equations.hierarchical, model.equations.expanded
    assert hierarchical.text[:4] == [
        "y_ik ~ Normal(mu_ik, sigma) for the 24 rows i",
        "mu_ik = b0_k + b1_k x_i",
        "b0_k = g00 + u0_k",
        "b1_k = g10 + u1_k",
    ]
    assert expanded.text[1] == "mu_ik = [g00 + g10 x_i] + [u0_k + u1_k x_i]  (fixed part + random part)"
    assert hierarchical.latex.startswith("\\begin{aligned}\n\\mathrm{y}_{ik} &\\sim")
    symbols = {
        symbol.symbol: (symbol.class_, symbol.coef, symbol.group) for symbol in model.equations.symbols
    }
    assert symbols["g10"] == ("b", "x", None)
    assert symbols["phi1"] == ("sd", "x", "g")
    assert {(prior.class_, prior.coef, prior.group) for prior in model.priors} == set(symbols.values())


def test_a_text_response_says_which_level_counts(client: TestClient) -> None:
    data = {"columns": {**COLUMNS, "said": ["yes", "no", "no"] * 8}}
    body: dict[str, Any] = {"formula": "said ~ x + (1 | g)", "family": "bernoulli", "data": data}
    fit = client.post("/v1/fits", json=body).json()["id"]
    model = Model.model_validate(client.get(f"/v1/fits/{fit}/model").json())
    assert (model.response_levels, model.response_event) == (["no", "yes"], "yes")
    assert client.get(f"/v1/fits/{fit}").json()["warnings"][0]["code"] == "response_event"
    assert model.equations.expanded.text[0] == "saidyes_ik ~ Bernoulli(mu_ik) for the 24 rows i"
    turned = client.post("/v1/formulas/check", json={**body, "levels": {"said": ["yes", "no"]}}).json()
    assert (turned["response_levels"], turned["response_event"]) == (["yes", "no"], "no")
    assert turned["warnings"] == []
    refusal = client.post("/v1/formulas/check", json={**body, "family": "gaussian"})
    assert refusal.json()["errors"][0]["message"].startswith("Text of two levels is a bernoulli response")


def test_the_schema_names_what_a_prediction_needs(client: TestClient, finished: str) -> None:
    schema = PredictionSchema.model_validate(client.get(f"/v1/fits/{finished}/schema").json())
    described = {column.name: column for column in schema.columns}
    assert set(described) == {"x", "g"}
    assert (described["x"].type, described["x"].levels, described["x"].new_levels) == ("number", None, False)
    assert (described["g"].levels, described["g"].new_levels) == ([f"g{i}" for i in range(6)], True)
    rows: dict[str, list[Any]] = {
        name: [0.5 if column.levels is None else column.levels[0]] for name, column in described.items()
    }
    answer = client.post(f"/v1/fits/{finished}/predictions", json={"data": {"columns": rows}})
    assert answer.status_code == 200


def test_trials_are_in_the_schema_though_not_required(client: TestClient) -> None:
    columns = {"hits": [1, 2, 0, 3, 2, 1], "n": [4, 4, 5, 5, 4, 5], "x": [0.1, 0.4, 0.2, 0.9, 0.5, 0.7]}
    body = {"formula": "hits | trials(n) ~ x", "family": "binomial", "data": {"columns": columns}}
    answer = client.post("/v1/fits", json=body)
    assert answer.status_code == 202, answer.text
    schema = client.get(f"/v1/fits/{answer.json()['id']}/schema").json()
    assert {column["name"]: column["required"] for column in schema["columns"]} == {"x": True, "n": False}


@pytest.mark.parametrize("path", ["model", "schema"])
def test_they_are_kept_once_they_are_known(client: TestClient, fit_id: str, path: str) -> None:
    answer = client.get(f"/v1/fits/{fit_id}/{path}")
    again = client.get(f"/v1/fits/{fit_id}/{path}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    client.post(f"/v1/fits/{fit_id}/cancel")
    refusal = client.get(f"/v1/fits/{fit_id}/{path}")
    assert (refusal.status_code, refusal.json()["type"]) == (409, "/problems/fit-cancelled")


def test_columns_that_the_model_does_not_use_are_not_asked_for(client: TestClient) -> None:
    body = {"formula": "y ~ x", "data": {"columns": COLUMNS}}
    fit = client.post("/v1/fits", json=body).json()["id"]
    names = [column["name"] for column in client.get(f"/v1/fits/{fit}/schema").json()["columns"]]
    assert names == ["x"]

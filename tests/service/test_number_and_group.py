"""A column that is a number among the predictors and the labels of a grouping factor: each use by itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model.results.posterior import Posterior

RNG = np.random.default_rng(11)
YEARS = [2001 + row // 4 for row in range(40)]
COLUMNS: dict[str, list[Any]] = {
    "y": [round(float(value), 3) for value in RNG.normal(size=40)],
    "x": [round(float(value), 3) for value in RNG.normal(size=40)],
    "yr": YEARS,
}
FORMULAS = ["y ~ x + yr + (1 | yr)", "y ~ x + scale(yr) + (1 | yr)", "y ~ x + (1 + yr | yr)"]


@pytest.fixture
def fitted(client: TestClient, finish: Callable[..., Posterior]) -> Callable[[str], str]:
    def run(formula: str) -> str:
        answer = client.post("/v1/fits", json={"formula": formula, "data": {"columns": COLUMNS}})
        assert answer.status_code == 202, answer.text
        finish(answer.json()["id"])
        return str(answer.json()["id"])

    return run


def predict(client: TestClient, fit: str, years: list[Any], **asked: Any) -> Any:
    data = {"columns": {"x": [0.5] * len(years), "yr": years}}
    return client.post(f"/v1/fits/{fit}/predictions", json={"data": data, **asked})


def codes(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["code"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(
    "query",
    [
        {"variable": "x"},
        {"variable": "yr"},
        {"variable": "x", "by": "yr"},
        {"variable": "x", "at": "yr=2004"},
        {"variable": "x", "at": "yr=2004.5"},
        {"variable": "x", "level": "yr=2004"},
    ],
    ids=str,
)
def test_every_effect_is_that_of_predicted_rows(
    client: TestClient, fitted: Callable[[str], str], formula: str, query: dict[str, str]
) -> None:
    fit = fitted(formula)
    answer = client.get(f"/v1/fits/{fit}/effects", params={"points": "5", **query})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    rows = len(found["mean"])
    fixed = {name: [value] * rows for name, value in {**found["levels"], **found["reference"]}.items()}
    kept = "all" if found["group_effects"] else "none"
    body = {"data": {"columns": fixed | found["columns"]}, "group_effects": kept}
    predicted = client.post(f"/v1/fits/{fit}/predictions", json=body).json()
    assert found["mean"] == pytest.approx(predicted["mean"], rel=1e-12)
    if query == {"variable": "x"}:
        assert found["reference"] == {"yr": pytest.approx(np.mean(YEARS))}


@pytest.mark.parametrize("formula", FORMULAS)
def test_half_a_year_is_no_level_but_a_number(
    client: TestClient, fitted: Callable[[str], str], formula: str
) -> None:
    fit = fitted(formula)
    none = predict(client, fit, [2004.5, 2013], group_effects="none").json()["mean"]
    assert predict(client, fit, [2004.5, 2013], new_levels="population").json()["mean"] == pytest.approx(none)
    assert predict(client, fit, [2004.5], new_levels="sample").json()["sd"][0] > 0
    assert codes(predict(client, fit, [2004.5, 2013])) == ["unknown-level"]
    assert "2004.5, 2013" in predict(client, fit, [2004.5, 2013]).text
    assert predict(client, fit, [2004.0]).json() == predict(client, fit, [2004]).json()


@pytest.mark.parametrize("formula", FORMULAS[:2])
def test_a_null_year_is_no_number(client: TestClient, fitted: Callable[[str], str], formula: str) -> None:
    fit = fitted(formula)
    assert codes(predict(client, fit, [None], new_levels="population")) == ["missing-values"]


def test_a_factor_of_the_year_beside_its_levels(client: TestClient, fitted: Callable[[str], str]) -> None:
    fit = fitted("y ~ x + factor(yr) + (1 | yr)")
    assert client.get(f"/v1/fits/{fit}/effects?variable=x&by=yr").json()["columns"]["yr"][0] == 2001
    assert codes(predict(client, fit, [2004.5], group_effects="none")) == ["unknown-level"]
    assert predict(client, fit, [2004], group_effects="none").status_code == 200


@pytest.mark.parametrize("formula", FORMULAS[:2])
def test_the_schema_and_the_plots(client: TestClient, fitted: Callable[[str], str], formula: str) -> None:
    fit = fitted(formula)
    columns = {column["name"]: column for column in client.get(f"/v1/fits/{fit}/schema").json()["columns"]}
    assert columns["yr"] == {
        "name": "yr",
        "type": "integer",
        "levels": sorted(set(YEARS)),
        "new_levels": True,
        "required": True,
        "population": True,
    }
    for picture in (
        "conditional-effect.svg?variable=x",
        "conditional-effect.svg?variable=yr",
        "group-lines.svg?variable=x",
        "group-lines.svg?variable=yr",
    ):
        answer = client.get(f"/v1/fits/{fit}/plots/{picture}")
        assert answer.status_code == 200, answer.text

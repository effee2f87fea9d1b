"""Predictions of every family and link over HTTP, of rows that the schema of the fit describes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model.family import FAMILIES, Family
from model.results.posterior import Posterior

ROWS = 24
COLUMNS: dict[str, list[Any]] = {
    "y": [0.5 + row * 7 % 11 for row in range(ROWS)],
    "hit": [row * row % 3 % 2 == 0 for row in range(ROWS)],
    "said": ["yes" if row * row % 5 < 2 else "no" for row in range(ROWS)],
    "k": [row * 5 % 7 for row in range(ROWS)],
    "lost": [2 + row % 3 for row in range(ROWS)],
    "n": [7] * ROWS,
    "x": [row * 3 % 8 / 4 for row in range(ROWS)],
    "g": [f"g{row % 6}" for row in range(ROWS)],
}
RESPONSES = {
    "gaussian": ("y", "log(y) | weights(n)"),
    "student": ("y",),
    "bernoulli": ("hit", "said"),
    "binomial": ("k | trials(n)", "k | trials(7)", "cbind(k, lost)"),
    "poisson": ("k",),
    "negbinomial": ("k",),
}
TRIALS = {"k | trials(n)": [3, 9], "k | trials(7)": [7, 7], "cbind(k, lost)": [4, 6]}
NEW = {"x": [0.3, 1.2], "g": ["g1", "never seen"], "n": [3, 9], "k": [1, 2], "lost": [3, 4]}
EACH = [
    (family, link, response)
    for family, facts in FAMILIES.items()
    for link in facts.links
    for response in RESPONSES[family]
]


@pytest.mark.parametrize(("family", "link", "response"), EACH)
def test_every_kind_of_prediction(
    client: TestClient, finish: Callable[..., Posterior], family: str, link: str, response: str
) -> None:
    body = {
        "formula": f"{response} ~ x + (1 + x | g)",
        "family": {"name": family, "link": link},
        "data": {"columns": COLUMNS},
    }
    answer = client.post("/v1/fits", json=body)
    assert answer.status_code == 202, answer.text
    fit = answer.json()["id"]
    finish(fit)
    columns = [column["name"] for column in client.get(f"/v1/fits/{fit}/schema").json()["columns"]]

    def predicted(kind: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        request = {
            "data": {"columns": {name: NEW[name] for name in columns}},
            "kind": kind,
            "new_levels": "sample",
            "return": "draws",
        }
        answer = client.post(f"/v1/fits/{fit}/predictions", json=request)
        assert answer.status_code == 200, answer.text
        return np.array(answer.json()["draws"])

    trials = np.array(TRIALS.get(response, [1, 1]))[:, None]
    linear, expected, drawn = (predicted(kind) for kind in ("linpred", "epred", "predict"))
    # the response of cbind() is a share, as in R; that of trials() is a count
    per = 1 if "cbind" in response else trials
    np.testing.assert_allclose(expected, Family(family, link).inverse_link(linear) * per, rtol=1e-12)
    assert drawn.shape == expected.shape
    if Family(family, link).counts:
        np.testing.assert_array_equal(drawn, np.floor(drawn))
        assert drawn.min() >= 0
    if Family(family, link).probability:
        assert (drawn <= trials).all()
    assert len(np.unique(drawn)) > 1


def test_a_count_to_come_needs_its_trials(client: TestClient, finish: Callable[..., Posterior]) -> None:
    body = {"formula": "cbind(k, lost) ~ x", "family": "binomial", "data": {"columns": COLUMNS}}
    fit = client.post("/v1/fits", json=body).json()["id"]
    finish(fit)
    schema = client.get(f"/v1/fits/{fit}/schema").json()["columns"]
    assert {column["name"]: column["required"] for column in schema} == {"x": True, "k": False, "lost": False}
    told = {"x": [0.5], "k": [1], "lost": [2.5]}
    for columns, place in (({"x": [0.5]}, "/kind"), (told, "/data/columns/k")):
        request = {"data": {"columns": columns}, "kind": "predict"}
        refusal = client.post(f"/v1/fits/{fit}/predictions", json=request)
        assert refusal.status_code == 422, refusal.text
        assert [error["pointer"] for error in refusal.json()["errors"]] == [place]

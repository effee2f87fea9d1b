"""A text that a spreadsheet program would run as a formula is made harmless where that is asked for, and only there."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.samples import COLUMNS

HARMFUL = ['=HYPERLINK("http://e.example","x")', "+1+1", "-2+3", "@SUM(1)", "\t=1", "＝1+1"]
AS_CSV = {"Accept": "text/csv"}


@pytest.fixture
def fit_id(client: TestClient, finish: Callable[..., Any]) -> str:
    columns = {**COLUMNS, "g": [HARMFUL[i % 6] for i in range(24)], "=x": COLUMNS["x"]}
    request = {"formula": "y ~ `=x` + (1 | g)", "data": {"columns": columns}}
    answer = client.post("/v1/fits", json=request)
    assert answer.status_code == 202, answer.text
    finish(answer.json()["id"])
    return str(answer.json()["id"])


def rows(client: TestClient, address: str, **query: str) -> list[dict[str, str]]:
    answer = client.get(address, params=query, headers=AS_CSV)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_levels_are_as_they_came_unless_a_spreadsheet_is_to_open_them(
    client: TestClient, fit_id: str
) -> None:
    address = f"/v1/fits/{fit_id}/groups/g"
    plain, safe = rows(client, address), rows(client, address, spreadsheet="1")
    assert {row["level"] for row in plain} == set(HARMFUL)
    assert {row["level"] for row in safe} == {f"'{level}" for level in HARMFUL}
    figures = [name for name in plain[0] if name.startswith(("deviation", "value"))]
    assert figures
    assert any(row[name].startswith("-") for row in safe for name in figures)
    assert [[row[name] for name in figures] for row in safe] == [
        [row[name] for name in figures] for row in plain
    ]


def test_names_of_columns_are_made_harmless_too(client: TestClient, fit_id: str) -> None:
    address, query = f"/v1/fits/{fit_id}/effects", {"variable": "=x"}
    assert "=x" in rows(client, address, **query)[0]
    assert "'=x" in rows(client, address, **query, spreadsheet="1")[0]


def test_summaries_and_draws_take_it(client: TestClient, fit_id: str) -> None:
    safe = {row["parameter"] for row in rows(client, f"/v1/fits/{fit_id}/summary", spreadsheet="1")}
    assert safe
    assert not [name for name in safe if name.startswith("=")]
    assert rows(client, f"/v1/fits/{fit_id}/draws", spreadsheet="1")


def test_it_is_for_csv_alone(client: TestClient, fit_id: str) -> None:
    answer = client.get(f"/v1/fits/{fit_id}/summary", params={"spreadsheet": "1"})
    assert answer.status_code in (400, 422)
    assert "Accept: text/csv" in answer.json()["detail"]

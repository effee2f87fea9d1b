"""Results and predictions in the format that the client names, in and out."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from model.results.posterior import Posterior
from service.answers.estimates import Summary
from service.answers.predictions import Predictions
from service.columnar import write
from tests.service.samples import COLUMNS, REQUEST

CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
ROWS = pa.table({"x": [0.0, 1.0], "g": ["g0", "g1"]})
FIGURES = ["mean", "sd", "median", "lower", "upper"]


def encoded(table: pa.Table, media_type: str) -> bytes:
    sink = io.BytesIO()
    if media_type == CSV:
        pyarrow.csv.write_csv(table, sink)
    elif media_type == PARQUET:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def decoded(answer: Any) -> pa.Table:
    assert answer.status_code == 200, answer.text
    if answer.headers["Content-Type"].startswith(CSV):
        return pyarrow.csv.read_csv(io.BytesIO(answer.content))
    if answer.headers["Content-Type"] == PARQUET:
        return pq.read_table(io.BytesIO(answer.content))
    return pa.ipc.open_stream(answer.content).read_all()


@pytest.mark.parametrize("sent", [CSV, ARROW, PARQUET])
@pytest.mark.parametrize("wanted", ["application/json", CSV, ARROW, PARQUET])
def test_rows_come_and_go_in_any_format(client: TestClient, finished: str, sent: str, wanted: str) -> None:
    address = f"/v1/fits/{finished}/predictions"
    body = {"data": {"columns": ROWS.to_pydict()}, "kind": "predict", "prob": 0.8, "seed": 4}
    expected = Predictions.model_validate(client.post(address, json=body).json())
    answer = client.post(
        f"{address}?kind=predict&prob=0.8&seed=4",
        content=encoded(ROWS, sent),
        headers={"Content-Type": sent, "Accept": wanted},
    )
    if wanted == "application/json":
        assert Predictions.model_validate(answer.json()) == expected
        return
    table = decoded(answer)
    assert table.column_names == FIGURES
    for name in FIGURES:
        assert table[name].to_pylist() == getattr(expected, name)


def test_draws_of_predictions_come_in_any_format(client: TestClient, finished: str) -> None:
    address = f"/v1/fits/{finished}/predictions"
    body = {"data": {"columns": ROWS.to_pydict()}, "return": "draws"}
    expected = client.post(address, json=body).json()
    Predictions.model_validate(expected)
    for media_type in (ARROW, PARQUET):
        table = decoded(client.post(address, json=body, headers={"Accept": media_type}))
        assert table["draws"].to_pylist() == expected["draws"]
    csv = decoded(client.post(address, json=body, headers={"Accept": CSV}))
    assert csv.column_names == ["row", "chain", "draw", "value"]
    np.testing.assert_array_equal(csv["value"].to_numpy(), np.ravel(expected["draws"]))
    assert csv.slice(50, 1).to_pylist()[0] | {"value": 0} == {"row": 0, "chain": 1, "draw": 0, "value": 0}


def test_many_draws_are_the_same_when_they_are_streamed(client: TestClient, finished: str) -> None:
    rows = {"x": [0.01 * row for row in range(250)], "g": [f"g{row % 6}" for row in range(250)]}
    body = {"data": {"columns": rows}, "return": "draws"}
    answer = client.post(f"/v1/fits/{finished}/predictions", json=body).json()
    assert (len(answer["draws"]), len(answer["draws"][249]), answer["kind"]) == (250, 100, "epred")


def test_records_are_one_object_for_each_row(client: TestClient, finished: str) -> None:
    address = f"/v1/fits/{finished}/predictions"
    body = {"data": {"columns": ROWS.to_pydict()}}
    columns = client.post(address, json=body).json()
    records = client.post(address, json={**body, "layout": "records"}).json()
    Predictions.model_validate(records)
    assert [record["mean"] for record in records["records"]] == columns["mean"]
    refusal = client.post(address, json={**body, "layout": "records"}, headers={"Accept": CSV})
    assert (refusal.status_code, refusal.json()["type"]) == (422, "/problems/conflicting-fields")


def test_levels_of_csv_are_of_the_kind_that_the_fit_knows(
    client: TestClient, finish: Callable[..., Posterior]
) -> None:
    columns = {**COLUMNS, "g": [str(int(level[1:])) for level in COLUMNS["g"]]}
    fit = client.post("/v1/fits", json={**REQUEST, "data": {"columns": columns}}).json()["id"]
    finish(fit)
    answer = client.post(f"/v1/fits/{fit}/predictions", content="x,g\n0.5,3\n", headers={"Content-Type": CSV})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("content", "column", "code"),
    [
        ("x,g\n0,new\n", "g", "unknown-level"),
        ("g\ng0\n", "x", "unknown-column"),
        ("x,g\n,g0\n", "x", "missing-values"),
    ],
)
def test_what_is_wrong_with_rows_has_no_pointer(
    client: TestClient, finished: str, content: str, column: str, code: str
) -> None:
    answer = client.post(f"/v1/fits/{finished}/predictions", content=content, headers={"Content-Type": CSV})
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert (error["code"], error["column"]) == (code, column)
    assert "pointer" not in error


def test_a_query_beside_json_is_refused(client: TestClient, finished: str) -> None:
    body = {"data": {"columns": ROWS.to_pydict()}}
    answer = client.post(f"/v1/fits/{finished}/predictions?kind=predict", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-parameter")


def test_other_formats_are_refused(client: TestClient, finished: str) -> None:
    address = f"/v1/fits/{finished}/predictions"
    body = {"data": {"columns": ROWS.to_pydict()}}
    assert client.post(address, json=body, headers={"Accept": "image/png"}).status_code == 406
    refusal = client.post(address, content=b"x", headers={"Content-Type": "application/xml"})
    assert refusal.status_code == 415
    assert CSV in refusal.headers["Accept"]
    for path in ("summary", "groups/g", "draws"):
        assert client.get(f"/v1/fits/{finished}/{path}", headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_a_summary_is_one_row_for_each_estimate(client: TestClient, finished: str, media_type: str) -> None:
    summary = Summary.model_validate(client.get(f"/v1/fits/{finished}/summary").json())
    table = decoded(client.get(f"/v1/fits/{finished}/summary", headers={"Accept": media_type})).to_pylist()
    rows = {row["parameter"]: row for row in table}
    assert rows["b[x]"]["mean"] == summary.population[1].mean
    assert rows["sd[g][x]"]["r_hat"] == summary.groups["g"].sd[1].r_hat
    assert rows["sigma"]["sd"] == summary.family_parameters[0].sd
    assert {"cor[g][Intercept,x]", "cov[g][Intercept,x]", "r2[marginal]", "icc[g]"} <= set(rows)


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
@pytest.mark.parametrize("query", ["", "?limit=5", "?search=g3", "?search=nobody"])
def test_levels_as_rows_are_all_or_a_page(
    client: TestClient, finished: str, query: str, media_type: str
) -> None:
    json = client.get(f"/v1/fits/{finished}/groups/g{query}").json()
    table = decoded(client.get(f"/v1/fits/{finished}/groups/g{query}", headers={"Accept": media_type}))
    assert table["level"].to_pylist() == [item["level"] for item in json["items"]]
    assert table["value_mean"].to_pylist() == [item["value"]["mean"] for item in json["items"]]


def test_all_levels_come_though_they_are_many(client: TestClient, finish: Callable[..., Posterior]) -> None:
    levels = 130
    columns = {
        "y": [float(row % 7) for row in range(2 * levels)],
        "x": [0.5 * (row % 5) for row in range(2 * levels)],
        "g": [f"g{row % levels:03}" for row in range(2 * levels)],
    }
    fit = client.post("/v1/fits", json={**REQUEST, "data": {"columns": columns}}).json()["id"]
    finish(fit)
    table = decoded(client.get(f"/v1/fits/{fit}/groups/g", headers={"Accept": CSV}))
    assert table["level"].to_pylist() == [f"g{level:03}" for level in range(levels) for _ in range(2)]
    parquet = client.get(f"/v1/fits/{fit}/groups/g", headers={"Accept": PARQUET})
    assert decoded(parquet).equals(decoded(client.get(f"/v1/fits/{fit}/groups/g", headers={"Accept": ARROW})))
    # Pages are drawn one by one, but nobody wants to read a row group for each.
    assert pq.ParquetFile(io.BytesIO(parquet.content)).num_row_groups == 1


def test_a_large_parquet_file_comes_in_pieces_that_fit_together() -> None:
    columns = {"x": np.arange(600_000.0), "label": [str(row % 7) for row in range(600_000)]}
    pieces = list(write(columns, PARQUET))
    assert max(map(len, pieces)) < sum(map(len, pieces)) / 2
    table = pq.read_table(io.BytesIO(b"".join(pieces)))
    assert table.to_pydict() == {name: list(values) for name, values in columns.items()}

"""Draws in every format are the posterior's numbers, chosen by name, chain and step."""

import io
from collections.abc import Callable
from pathlib import Path

import arviz_base
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import xarray
from fastapi.testclient import TestClient

from model.results.posterior import Posterior
from model.results.summary import scalars
from service.answers.draws import Draws
from service.app import create_app
from service.settings import Limits, ServiceSettings
from store.memory import MemoryStore
from tests.service.samples import COLUMNS, REQUEST

CSV = {"Accept": "text/csv"}
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
PARQUET = {"Accept": "application/vnd.apache.parquet"}
NETCDF = {"Accept": "application/x-netcdf"}


@pytest.fixture
def posterior(fit_id: str, finish: Callable[..., Posterior]) -> Posterior:
    return finish(fit_id)


def test_all_parameters_come_by_name(client: TestClient, fit_id: str, posterior: Posterior) -> None:
    answer = client.get(f"/v1/fits/{fit_id}/draws")
    draws = Draws.model_validate(answer.json())
    assert (draws.chains, draws.draws) == ([0, 1], list(range(50)))
    expected = scalars(posterior)
    assert set(draws.parameters) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(draws.parameters[name], values)


def test_every_format_has_the_same_numbers(client: TestClient, fit_id: str, posterior: Posterior) -> None:
    address = f"/v1/fits/{fit_id}/draws?parameters=b&parameters=u[g][g3]&parameters=sigma&thin=3"
    json = Draws.model_validate(client.get(address).json())
    arrow = pa.ipc.open_stream(client.get(address, headers=ARROW).content).read_all()
    csv = pyarrow.csv.read_csv(io.BytesIO(client.get(address, headers=CSV).content))
    parquet = pq.read_table(io.BytesIO(client.get(address, headers=PARQUET).content))
    assert parquet.equals(arrow)
    assert arrow.column_names == csv.column_names == ["chain", "draw", *json.parameters]
    assert arrow["draw"].to_pylist()[:3] == [0, 3, 6]
    for name, values in json.parameters.items():
        np.testing.assert_array_equal(arrow[name].to_numpy(), np.ravel(np.asarray(values)))
        np.testing.assert_array_equal(csv[name].to_numpy(), np.ravel(np.asarray(values)))
    deviations = posterior.deviations("g", [3])[:, ::3, 0]
    np.testing.assert_array_equal(json.parameters["u[g][g3][x]"], deviations[..., 1])


def test_arviz_opens_the_file(client: TestClient, fit_id: str, posterior: Posterior, tmp_path: Path) -> None:
    query = "?parameters=b&parameters=sd[g]&parameters=cor&parameters=u&parameters=sigma"
    answer = client.get(f"/v1/fits/{fit_id}/draws{query}", headers=NETCDF)
    assert answer.headers["Content-Type"] == "application/x-netcdf"
    path = tmp_path / "fit.nc"
    path.write_bytes(answer.content)
    # ArviZ's `from_netcdf` is xarray's `open_datatree`, and what it gives is what ArviZ works with.
    tree = xarray.open_datatree(path, engine="h5netcdf")
    assert arviz_base.extract(tree, var_names="b").sizes == {"coefficient": 2, "sample": 100}
    data = tree["posterior"].to_dataset()
    assert data["b"].dims == ("chain", "draw", "coefficient")
    np.testing.assert_array_equal(data["b"].sel(coefficient="x"), posterior.population[..., 1])
    np.testing.assert_array_equal(data["sd[g]"].sel(g_coefficient="x"), posterior.factors["g"].sd[..., 1])
    np.testing.assert_array_equal(data["u[g]"].sel(g_level="g5"), posterior.deviations("g", [5])[:, :, 0])
    np.testing.assert_array_equal(data["sigma"], posterior.parameters["sigma"])
    assert data["cor[g]"].dims == ("chain", "draw", "g_pair")
    assert data.attrs["fit_id"] == fit_id


def test_some_coefficients_of_one_quantity_and_all_of_another(
    client: TestClient, fit_id: str, posterior: Posterior, tmp_path: Path
) -> None:
    path = tmp_path / "fit.nc"
    query = "?parameters=sd[g][x]&parameters=u[g][g0]&chains=1"
    path.write_bytes(client.get(f"/v1/fits/{fit_id}/draws{query}", headers=NETCDF).content)
    with xarray.open_dataset(path, group="posterior", engine="h5netcdf") as data:
        assert data["sd[g]"].shape == (1, 50, 1)
        assert data["u[g]"].shape == (1, 50, 1, 2)
        assert data["chain"].values.tolist() == [1]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("parameters=c", "unknown-parameter"),
        ("parameters=b&parameters=u[g][nobody]", "unknown-parameter"),
        ("parameters=sd[h]", "unknown-parameter"),
        ("parameters=", "unknown-parameter"),
        ("chains=2", "invalid-parameter"),
        ("chains=-1", "invalid-parameter"),
        ("thin=0", "invalid-parameter"),
        ("thin=2&thin=3", "invalid-parameter"),
        ("levels=g0", "invalid-parameter"),
    ],
)
def test_a_bad_choice_is_refused(client: TestClient, finished: str, query: str, code: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/draws?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{code}")


def test_more_numbers_than_allowed_are_refused_with_the_limit(
    store: MemoryStore, finish: Callable[..., Posterior]
) -> None:
    settings = ServiceSettings(limits=Limits(exported_numbers=500))
    with TestClient(create_app(settings, store, lambda fit_id, queue: None)) as client:
        fit = client.post("/v1/fits", json=REQUEST).json()["id"]
        finish(fit)
        refusal = client.get(f"/v1/fits/{fit}/draws")
        assert (refusal.status_code, refusal.json()["type"]) == (422, "/problems/limit-exceeded")
        assert "500" in refusal.json()["detail"]
        assert client.get(f"/v1/fits/{fit}/draws?thin=10").status_code == 200


def test_draws_can_be_kept_and_each_format_has_its_own_tag(client: TestClient, finished: str) -> None:
    address = f"/v1/fits/{finished}/draws"
    tags = {
        client.get(address, headers=headers).headers["ETag"] for headers in ({}, CSV, ARROW, PARQUET, NETCDF)
    }
    assert len(tags) == 5
    tag = client.get(address, headers=ARROW).headers["ETag"]
    again = client.get(address, headers={**ARROW, "If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(address).headers["Vary"].split(", ")[0] == "Accept"
    assert client.get(address, headers={"Accept": "image/png"}).status_code == 406


def test_there_are_no_draws_before_the_end(client: TestClient, fit_id: str) -> None:
    assert client.get(f"/v1/fits/{fit_id}/draws").json()["type"] == "/problems/fit-not-finished"


def test_what_is_not_finite_is_null(client: TestClient, fit_id: str, posterior: Posterior) -> None:
    posterior_bytes = orjson.loads(client.get(f"/v1/fits/{fit_id}/draws?parameters=cor").content)
    assert all(
        value is None or np.isfinite(value)
        for value in posterior_bytes["parameters"]["cor[g][Intercept,x]"][0]
    )


def test_every_cell_has_a_name_of_its_own(client: TestClient, finish: Callable[..., Posterior]) -> None:
    columns = {
        "y": COLUMNS["y"],
        "a": ["x", "x:y", "x", "b"] * 6,
        "b": ["y:z", "z", "c", "d"] * 6,
    }
    body = {"formula": "y ~ 1 + (1 | a:b)", "data": {"columns": columns}}
    fit = client.post("/v1/fits", json=body).json()["id"]
    finish(fit)
    every = client.get(f"/v1/fits/{fit}/draws", params={"parameters": "u[a:b]"}).json()["parameters"]
    assert sorted(every) == sorted(
        f"u[a:b][{cell}][Intercept]" for cell in ("b:d", "x:`y:z`", "x:c", "`x:y`:z")
    )
    one = client.get(f"/v1/fits/{fit}/draws", params={"parameters": "u[a:b][x:`y:z`]"}).json()["parameters"]
    assert list(one) == ["u[a:b][x:`y:z`][Intercept]"]
    page = client.get(f"/v1/fits/{fit}/groups/b:a").json()
    assert (page["factor"], len({item["level"] for item in page["items"]})) == ("a:b", 4)

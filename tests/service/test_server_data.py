"""Data sets and batches on a real server with a real store, from one process to the next."""

import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.service.samples import COLUMNS, REQUEST
from tests.service.test_server import Site, serving

CSV = "x,y,g\n" + "".join(
    f"{x},{y},{g}\n" for x, y, g in zip(COLUMNS["x"], COLUMNS["y"], COLUMNS["g"], strict=True)
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("data")) as site:
        yield site


def test_a_fit_is_made_of_a_data_set(site: Site) -> None:
    uploaded = site.http.post("/v1/datasets", content=CSV, headers={"Content-Type": "text/csv"})
    assert uploaded.status_code == 201, uploaded.text
    dataset = uploaded.json()["id"]
    assert site.http.get("/v1/datasets").json()["items"] == [uploaded.json()]
    fit = site.http.post("/v1/fits", json={"formula": REQUEST["formula"], "dataset": dataset})
    assert (fit.status_code, fit.json()["rows"]) == (202, 24)
    assert {
        column["name"] for column in site.http.get(f"/v1/fits/{fit.json()['id']}/schema").json()["columns"]
    } == {"x", "g"}
    assert site.http.delete(f"/v1/datasets/{dataset}").status_code == 204
    assert site.http.get(f"/v1/datasets/{dataset}").status_code == 404


def test_a_batch_is_followed_until_it_has_ended(site: Site) -> None:
    fits: list[Any] = [{**REQUEST, "sampler": {"seed": seed}, "custom_id": f"s{seed}"} for seed in (11, 12)]
    batch = site.http.post("/v1/batches", json={"fits": [*fits, "nonsense"]}).json()
    assert batch["counts"] == {"queued": 2, "rejected": 1}
    address = f"/v1/batches/{batch['id']}"
    threading.Timer(0.5, site.http.post, [f"{address}/cancel"]).start()
    with site.http.stream("GET", f"{address}/results?follow=1") as answer:
        lines = [orjson.loads(line) for line in answer.iter_lines()]
    assert [line["custom_id"] for line in lines] == ["2", "s11", "s12"]
    assert [line["status"] for line in lines] == ["rejected", "cancelled", "cancelled"]
    assert site.http.get(address).json()["status"] == "ended"

"""Behind a proxy that serves us under a path of its own and strips it, every address that we give begins with it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Limits, ServiceSettings
from store.memory import MemoryStore
from tests.service.samples import REQUEST

STRIPPED, WHOLE = "", "/stats"


@pytest.fixture
def settings() -> ServiceSettings:
    return ServiceSettings(root_path="/stats/", limits=Limits(body_bytes=1_000_000))


def addresses(document: Any) -> Iterator[str]:
    """Every text of a document that is an address of ours."""
    if isinstance(document, dict):
        for value in document.values():
            yield from addresses(value)
    elif isinstance(document, list):
        for value in document:
            yield from addresses(value)
    elif isinstance(document, str) and re.match(r"(/stats)?/(v1|problems)/", document):
        yield document


@pytest.mark.parametrize("asked", [STRIPPED, WHOLE])
def test_every_address_has_the_prefix(client: TestClient, asked: str) -> None:
    submitted = client.post(f"{asked}/v1/fits", json=REQUEST)
    assert submitted.status_code == 202, submitted.text
    fit_id = submitted.json()["id"]
    assert submitted.headers["Location"] == f"/stats/v1/fits/{fit_id}"
    dataset = client.post(f"{asked}/v1/datasets", json=REQUEST["data"])
    assert dataset.headers["Location"] == f"/stats/v1/datasets/{dataset.json()['id']}"
    batch = client.post(
        f"{asked}/v1/batches", json={"fits": [REQUEST, {**REQUEST, "formula": "y ~ 1 + (1 | g)"}]}
    )
    assert batch.headers["Location"] == f"/stats/v1/batches/{batch.json()['id']}", batch.text
    listed = client.get(f"{asked}/v1/fits", params={"limit": 1})
    assert listed.headers["Link"].startswith("</stats/v1/fits?")
    missing = client.get(f"{asked}/v1/fits/fit_none")
    assert missing.json()["type"] == "/stats/problems/fit-not-found"
    assert client.get(missing.json()["type"].removeprefix(WHOLE)).json()["code"] == "fit-not-found"
    for answer in (
        submitted,
        dataset,
        batch,
        listed,
        missing,
        client.get(f"{asked}{submitted.headers['Location'][6:]}"),
    ):
        found = list(addresses(answer.json()))
        assert found
        assert all(address.startswith("/stats/") for address in found)


@pytest.mark.parametrize("asked", [STRIPPED, WHOLE])
def test_the_page_of_documentation_finds_its_parts(client: TestClient, asked: str) -> None:
    page = client.get(f"{asked}/docs")
    assert page.status_code == 200
    parts = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
    assert len(parts) >= 4
    for part in parts:
        assert part.startswith("/stats/"), part
        assert client.get(asked + part.removeprefix("/stats")).status_code == 200, part
    assert client.get(f"{asked}/openapi.json").json()["servers"] == [{"url": "/stats"}]


def test_the_plots_of_a_fit_have_it_too(client: TestClient, finish: Any) -> None:
    fit_id = client.post("/v1/fits", json=REQUEST).json()["id"]
    finish(fit_id)
    found = list(addresses(client.get(f"/v1/fits/{fit_id}/plots").json()))
    assert found
    assert all(address.startswith("/stats/v1/fits/") for address in found)
    assert client.get(found[0].removeprefix(WHOLE)).status_code == 200


@pytest.mark.parametrize("named", [STRIPPED, WHOLE])
@pytest.mark.parametrize("asked", [STRIPPED, WHOLE])
def test_signed_links_open_what_they_name(client: TestClient, fit_id: str, asked: str, named: str) -> None:
    link = client.post("/v1/links", json={"paths": [f"{named}/v1/fits/{fit_id}"]})
    assert link.status_code == 201, link.text
    (address,) = link.json()["addresses"]
    assert address.startswith(f"/stats/v1/fits/{fit_id}?")
    assert list(addresses({**link.json(), "paths": link.json()["paths"]}))
    assert all(found.startswith("/stats/") for found in addresses(link.json()))
    assert client.get(asked + address.removeprefix(WHOLE)).status_code == 200
    other = client.post("/v1/links", json={"paths": [f"/other/v1/fits/{fit_id}"]})
    assert other.json()["errors"][0]["code"] == "unknown-address"


def test_without_a_prefix_there_is_none(store: MemoryStore) -> None:
    assert ServiceSettings().root_path == ""
    assert ServiceSettings().problem_base == "/problems"
    assert ServiceSettings(root_path="/a/b").problem_base == "/a/b/problems"
    assert (
        ServiceSettings(root_path="/a", problem_base="https://x.example").problem_base == "https://x.example"
    )

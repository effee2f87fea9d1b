"""The documentation is served from this host alone; other origins may use the service where that is allowed."""

import re

from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import ServiceSettings
from store.memory import MemoryStore
from store.rates import MemoryRates

ORIGIN = "https://dashboard.example"


def test_the_docs_load_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        assert client.get(address).status_code == 200
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_other_origins_are_strangers_by_default(client: TestClient) -> None:
    answer = client.get("/livez", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_origin_that_is_named_may_read_what_it_needs() -> None:
    app = create_app(
        ServiceSettings(cors_origins=(ORIGIN,)),
        MemoryStore(),
        lambda fit_id, queue: None,
        rates=MemoryRates(),
    )
    with TestClient(app) as client:
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        allowed = client.options("/v1/fits", headers={**asked, "Access-Control-Request-Headers": "prefer"})
        assert allowed.status_code == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
        for name in (
            "Authorization", "Cache-Control", "Content-Encoding", "If-Match", "Last-Event-ID", "X-Request-ID",
            "baggage", "traceparent", "tracestate",
        ):  # fmt: skip
            for method in ("GET", "HEAD", "POST", "DELETE"):
                wanted = {
                    "Access-Control-Request-Headers": name.lower(),
                    "Access-Control-Request-Method": method,
                }
                answer = client.options("/v1/fits", headers={**asked, **wanted})
                assert (answer.status_code, name) == (200, name)
        refused = client.options("/v1/fits", headers={**asked, "Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in refused.headers
        failed = client.get("/v1/fits/none", headers={"Origin": ORIGIN})
        assert failed.headers["Access-Control-Allow-Origin"] == ORIGIN
        exposed = failed.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Location", "Retry-After", "X-Request-ID"} <= set(exposed)

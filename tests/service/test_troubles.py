"""A service whose store answers with errors: changes are put off, what has ended is read, and readiness says so."""

import httpx
import pytest

from tests.service.samples import REQUEST
from tests.service.test_server import Site, await_ready
from tests.service.test_stalls import finished, site  # noqa: F401
from tests.store.troubles import REFUSES_CHANGES, TROUBLES, troubled


def told(answer: httpx.Response) -> str:
    """The detail of a refusal for want of a store."""
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    return str(answer.json()["detail"])


@pytest.mark.parametrize("trouble", TROUBLES)
def test_changes_are_put_off_and_what_has_ended_is_read(site: Site, finished: str, trouble: str) -> None:  # noqa: F811
    summary = f"/v1/fits/{finished}/summary"
    # As long as the store is well, a result that is read lives on.
    before = site.http.get(summary)
    assert before.status_code == 200
    csv = site.http.post("/v1/datasets", content=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"})
    assert csv.is_success
    with troubled(site.settings.redis_url, trouble):
        fresh = {**REQUEST, "cache": False}
        changes = [
            ("POST", "/v1/fits", {"json": fresh}),
            ("POST", "/v1/fits", {"json": fresh, "headers": {"Idempotency-Key": trouble}}),
            ("POST", "/v1/batches", {"json": {"fits": [fresh]}}),
            ("POST", "/v1/datasets", {"content": b"a\n1\n", "headers": {"Content-Type": "text/csv"}}),
            ("DELETE", f"/v1/fits/{finished}", {}),
        ]
        for method, path, rest in changes:
            detail = told(site.http.request(method, path, **rest))  # type: ignore[arg-type]
            assert "lost" in detail
            if trouble in {"MISCONF", "NOREPLICAS", "READONLY"}:
                assert "can be read" in detail
        told(site.http.get("/readyz"))
        assert site.http.get("/livez").status_code == 200
        again = site.http.get(summary)
        assert (again.status_code, again.content) == (200, before.content)
        if trouble in REFUSES_CHANGES:
            for path in (f"/v1/fits/{finished}", "/v1/fits", "/v1/batches"):
                assert site.http.get(path).status_code == 200, path
    await_ready(site.http)
    assert site.http.post("/v1/fits", json=fresh).status_code == 202

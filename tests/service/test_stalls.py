"""A service of its own whose server stops answering: short stalls are outlasted, long ones told within 3 seconds."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import orjson
import psutil
import pytest

from model.results.summary import summarize
from model.spec import FitPlan
from service.settings import ServiceSettings
from service.views import fit_view
from store.codec import pack, unpack
from store.records import Result
from tests.service.samples import REQUEST, make_posterior
from tests.service.test_server import Site, await_ready, serving, submit


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("stalls")) as site:
        yield site


@pytest.fixture
def finished(site: Site) -> str:
    """A fit that a worker has finished."""
    fit_id = submit(site)
    claim = site.store.claim(fit_id, "test", 60.0)
    payload = site.store.payload(fit_id)
    assert claim is not None
    assert payload is not None
    posterior = make_posterior(FitPlan.from_parts(*unpack(payload)))
    artifacts = {
        "posterior": pack(*posterior.to_parts()),
        "summary": orjson.dumps(summarize(posterior), option=orjson.OPT_SERIALIZE_NUMPY),
    }
    assert site.store.finish(claim, Result("collapsed", "exact"), artifacts)
    return fit_id


@contextmanager
def hung(site: Site) -> Iterator[Callable[[], None]]:
    """Let the server hang; gives what lets it go on, which happens at the end in any case."""
    family = [psutil.Process(site.valkey.pid), *psutil.Process(site.valkey.pid).children(recursive=True)]
    server = next(child for child in family if "valkey-server" in " ".join(child.cmdline()))
    server.suspend()
    try:
        yield server.resume
    finally:
        server.resume()
        await_ready(site.http)


def test_a_short_stall_delays_a_read_and_does_not_fail_it(site: Site, finished: str) -> None:
    batch = site.http.post("/v1/batches", json={"fits": [REQUEST]}).json()["links"]["self"]
    for path in (f"/v1/fits/{finished}", "/v1/fits?limit=1", f"/v1/fits/{finished}/summary", batch):
        with hung(site) as resume:
            later = threading.Timer(1.3, resume)
            later.start()
            started = time.monotonic()
            assert site.http.get(path).status_code == 200, path
            assert time.monotonic() - started > 1.0, path
            later.join()


def test_what_was_read_is_readable_while_the_server_hangs(site: Site, finished: str) -> None:
    path = f"/v1/fits/{finished}/summary"
    before = site.http.get(path)
    record = site.store.get(finished)
    assert record is not None
    with hung(site):
        started = time.monotonic()
        again = site.http.get(path)
        assert time.monotonic() - started < 3.0
        assert (again.status_code, again.content) == (200, before.content)
        assert again.headers["ETag"] == before.headers["ETag"]
        cached = site.http.get(path, headers={"If-None-Match": before.headers["ETag"]})
        assert cached.status_code == 304
        fit = site.http.get(f"/v1/fits/{finished}")
        assert fit.json() == orjson.loads(orjson.dumps(fit_view(record, ServiceSettings())))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/fits/fit_" + "a" * 26 + "/summary"),
        ("GET", "/v1/fits?metadata[study]=a"),
        ("GET", "/v1/batches"),
        ("GET", "/v1/batches/bat_" + "a" * 26),
        ("GET", "/v1/batches/bat_" + "a" * 26 + "/results?follow=1"),
        ("DELETE", "/v1/batches/bat_" + "a" * 26),
        ("GET", "/v1/datasets/ds_" + "a" * 26),
        ("POST", "/v1/batches"),
    ],
)
def test_a_server_that_hangs_is_told_within_3_seconds(site: Site, method: str, path: str) -> None:
    body = {"fits": [{**REQUEST, "cache": False} for _ in range(20)]} if method == "POST" else None
    with hung(site):
        started = time.monotonic()
        answer = site.http.request(method, path, json=body)
        assert time.monotonic() - started < 3.0
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
def test_results_that_end_early_look_so(site: Site, media_type: str) -> None:
    fits = [{**REQUEST, "cache": False}, "no member"]
    batch = site.http.post("/v1/batches", json={"fits": fits}).json()
    path = f"{batch['links']['results']}?follow=1"
    headers = {"Accept": media_type, "Accept-Encoding": "identity"}
    with site.http.stream("GET", path, headers=headers) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        assert b"rejected" in first or media_type == "text/csv"
        with hung(site):
            if media_type == "text/csv":
                # Rows say nothing of how many they ought to be.
                with pytest.raises(httpx.RemoteProtocolError):
                    list(pieces)
            else:
                assert list(pieces) == []
                assert orjson.loads(first)["cursor"] < batch["members"]

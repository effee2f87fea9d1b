"""A service that is killed while it answers: another takes its requests over at once, and makes nothing twice."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from stack.valkey import Server, running
from tests.service.samples import REQUEST
from tests.service.test_server import Site, served

MEMBERS = 300
NEW = {**REQUEST, "cache": False}


def abandon(site: Site, path: str, begun: Callable[[], object], **request: Any) -> None:
    """Send a request, and kill the service once it has begun to work on it."""

    def send() -> None:
        with suppress(httpx.TransportError):
            httpx.post(site.http.base_url.join(path), timeout=60, **request)

    sender = threading.Thread(target=send)
    sender.start()
    give_up = time.monotonic() + 30
    while not begun():
        assert time.monotonic() < give_up
        time.sleep(0.01)
    site.process.kill()
    site.process.wait()
    sender.join()


def insist(site: Site, path: str, **request: Any) -> httpx.Response:
    """Send a request again for as long as it is said to be in flight."""
    give_up = time.monotonic() + 3.0
    while (answer := site.http.post(path, **request)).status_code == 409 and time.monotonic() < give_up:
        time.sleep(0.1)
    return answer


def test_keys_that_a_dead_service_held_are_free_at_once(tmp_path: Path) -> None:
    server = Server.of(tmp_path / "valkey", max_memory="100mb")
    with running(server) as valkey:
        with served(server, valkey, tmp_path / "first") as site:
            store = site.store
            held = {"json": NEW, "headers": {"Idempotency-Key": "fit", "Prefer": "wait=30"}}
            abandon(site, "/v1/fits", lambda: store.list("default").records, **held)
        (made,) = store.list("default").records
        with served(server, valkey, tmp_path / "second") as site:
            # The seed of the request is its content, that of its id the key.
            answer = insist(site, "/v1/fits", json=NEW, headers={"Idempotency-Key": "fit"})
            assert (answer.status_code, answer.json()["id"]) == (200, made.id)
            again = site.http.post("/v1/fits", json=NEW, headers={"Idempotency-Key": "fit"})
            assert again.headers["Idempotency-Replayed"] == "true"
            batch = {"json": {"fits": [NEW] * MEMBERS}, "headers": {"Idempotency-Key": "batch"}}
            abandon(site, "/v1/batches", lambda: len(store.list("default").records) > 1, **batch)
        made_before = len(store.list("default", limit=1000).records)
        assert 1 < made_before <= MEMBERS
        with served(server, valkey, tmp_path / "third") as site:
            answer = insist(site, "/v1/batches", **batch)
            assert (answer.status_code, answer.json()["counts"]["queued"]) == (202, MEMBERS)
            assert len(store.list("default", limit=1000).records) == MEMBERS + 1
            assert len(site.http.get("/v1/batches").json()["items"]) == 1

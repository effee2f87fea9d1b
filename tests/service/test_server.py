"""The service as a process of its own, with a real server: large bodies, streams, signals, a hung store."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest

from stack.valkey import Server, running
from store.redis import RedisStore
from store.replies import RedisReplies
from store.settings import StoreSettings
from tests.service.samples import REQUEST

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Site:
    """A running service, its store, and where its log goes."""

    process: subprocess.Popen[bytes]
    http: httpx.Client
    store: RedisStore
    valkey: subprocess.Popen[bytes]
    settings: StoreSettings
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.log.read_bytes().splitlines()]

    def await_line(self, request_id: str) -> dict[str, Any]:
        """Give the line of a request, which may be written a moment after its answer."""
        give_up = time.monotonic() + 20.0
        while time.monotonic() < give_up:
            for line in self.lines():
                if line.get("request_id") == request_id and line["event"] == "request":
                    return line
            time.sleep(0.05)
        raise AssertionError(f"there is no line of {request_id}")


@contextlib.contextmanager
def serving(tmp_path: Path, *before: str, **settings_of: str) -> Iterator[Site]:
    """Run a service of its own; `before` stands before its command, the settings are environment variables."""
    server = Server.of(tmp_path / "valkey", max_memory="100mb")
    with (
        running(server) as valkey,
        served(server, valkey, tmp_path / "log", *before, **settings_of) as site,
    ):
        yield site


@contextlib.contextmanager
def served(
    server: Server, valkey: "subprocess.Popen[bytes]", log: Path, *before: str, **settings_of: str
) -> Iterator[Site]:
    """Run a service over a server that runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "REDIS_URL": server.url, "RANEF_BODY_SECONDS": "2"}
    environment |= settings_of
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "service"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
        settings = StoreSettings(redis_url=server.url)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            try:
                await_ready(http)
                yield Site(process, http, RedisStore(settings), valkey, settings, log)
            finally:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site")) as site:
        yield site


def submit(site: Site, **headers: str) -> str:
    """A fit of its own, for which there is no worker."""
    answer = site.http.post("/v1/fits", json={**REQUEST, "cache": False}, headers=headers)
    assert answer.status_code == 202
    return str(answer.json()["id"])


def await_ready(http: httpx.Client) -> None:
    give_up = time.monotonic() + 90
    while time.monotonic() < give_up:
        with contextlib.suppress(httpx.TransportError):
            if http.get("/readyz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the service is not ready")


def test_a_body_of_200_megabytes_is_refused_and_not_kept(site: Site) -> None:
    process = psutil.Process(site.process.pid)
    before, peak, over = process.memory_info().rss, 0, threading.Event()

    def measure() -> None:
        nonlocal peak
        while not over.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 1_000_000

    watcher = threading.Thread(target=measure)
    watcher.start()
    answer = site.http.post("/v1/fits", content=endless(), headers={"Content-Type": "application/json"})
    over.set()
    watcher.join()
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
    # The limit is 64 MiB, of which one copy may exist.
    assert peak - before < 150_000_000


def test_a_body_that_never_comes_is_not_waited_for(site: Site) -> None:
    url = site.http.base_url
    head = f"POST /v1/fits HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    started = time.monotonic()
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(head.encode() + b"{")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert 1.5 < time.monotonic() - started < 5
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"/problems/body-timeout" in answer


def test_a_stream_ends_with_its_fit_and_resumes(site: Site) -> None:
    fit = submit(site)
    seen: list[dict[str, str]] = []
    threading.Timer(0.7, lambda: site.store.request_cancel(fit)).start()
    with site.http.stream("GET", f"/v1/fits/{fit}/events", headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        for block in stream.read().decode().strip().split("\n\n"):
            seen.append(dict(line.split(": ", 1) for line in block.split("\n")))
    assert [event["event"] for event in seen] == ["status", "status"]
    assert [orjson.loads(event["data"])["status"] for event in seen] == ["queued", "cancelled"]

    headers = {"Accept": "text/event-stream", "Last-Event-ID": seen[0]["id"]}
    again = site.http.get(f"/v1/fits/{fit}/events", headers=headers).text
    assert again.count("data:") == 1
    assert seen[1]["id"] in again

    listed = site.http.get(f"/v1/fits/{fit}/events").json()["items"]
    assert [event["id"] for event in listed] == [event["id"] for event in seen]


def test_an_event_is_told_at_once(site: Site) -> None:
    fit = submit(site)
    other = submit(site)
    times: dict[str, float] = {}

    def wait(name: str) -> None:
        with httpx.Client(base_url=site.http.base_url, timeout=20) as http:
            http.get(f"/v1/fits/{name}", headers={"Prefer": "wait=10"})
        times[name] = time.monotonic()

    waits = [threading.Thread(target=wait, args=(name,)) for name in (fit, other)]
    for thread in waits:
        thread.start()
    time.sleep(1.5)
    ended = time.monotonic()
    site.store.request_cancel(fit)
    site.store.request_cancel(other)
    for thread in waits:
        thread.join()
    assert max(times.values()) - ended < 0.4


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_wait_ends_when_its_client_leaves(site: Site, method: str) -> None:
    fit, url = submit(site), site.http.base_url
    body = orjson.dumps({**REQUEST, "cache": False}) if method == "POST" else b""
    path = "/v1/fits" if method == "POST" else f"/v1/fits/{fit}"
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Prefer: wait=30", f"X-Request-ID: left-{method}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    before = len(site.http.get("/v1/fits?limit=100").json()["items"])
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        assert select.select([connection], [], [], 0.5)[0] == []
    assert len(site.http.get("/v1/fits?limit=100").json()["items"]) == before + (method == "POST")
    assert site.await_line(f"left-{method}")["seconds"] < 10


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        fit = submit(site)
        accept = {"Accept": "text/event-stream"}
        with site.http.stream("GET", f"/v1/fits/{fit}/events", headers=accept) as stream:
            blocks = stream.iter_text()
            assert "queued" in next(blocks)
            asked = time.monotonic()
            site.process.send_signal(signal.SIGTERM)
            assert "".join(blocks) == ""
        site.process.wait(timeout=5)
        assert time.monotonic() - asked < 3


def test_a_store_that_hangs_makes_503_within_3_seconds_and_recovers(site: Site) -> None:
    fit = submit(site)
    server = next(child for child in _tree(site.valkey.pid) if "valkey-server" in " ".join(child.cmdline()))
    server.suspend()
    try:
        for path in (f"/v1/fits/{fit}", "/v1/fits", "/readyz"):
            started = time.monotonic()
            answer = site.http.get(path)
            assert time.monotonic() - started < 3
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
        started = time.monotonic()
        refused = site.http.post("/v1/fits", json={**REQUEST, "sampler": {"seed": 3}})
        assert refused.status_code == 503
        assert time.monotonic() - started < 3
        assert site.http.get("/livez").status_code == 200
    finally:
        server.resume()
    await_ready(site.http)
    assert site.http.get(f"/v1/fits/{fit}").status_code == 200


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def test_the_log_is_json_and_names_requests(site: Site) -> None:
    fit = submit(site, **{"X-Request-ID": "mine"})
    site.http.get(f"/v1/fits/{fit}")
    give_up = time.monotonic() + 10.0
    lines: list[dict[str, Any]] = []
    # A line may be written a moment after the answer that it speaks of.
    while time.monotonic() < give_up and not any(line["path"].endswith(fit) for line in lines):
        lines = [line for line in site.lines() if line["event"] == "request"]
        time.sleep(0.05)
    mine = next(line for line in lines if line["request_id"] == "mine")
    assert (mine["method"], mine["path"], mine["status"]) == ("POST", "/v1/fits", 202)
    assert [line["status"] for line in lines if line["path"] == f"/v1/fits/{fit}"] == [200]


def test_replies_are_kept_on_the_server(site: Site) -> None:
    replies = RedisReplies(site.settings)
    assert replies.reserve("a", b"1", 0.3) is None
    assert replies.reserve("a", b"2", 10.0) == b"1"
    time.sleep(0.4)
    assert replies.reserve("a", b"3", 10.0) is None
    replies.keep("a", b"4", 10.0)
    assert replies.reserve("a", b"5", 10.0) == b"4"
    replies.drop("a")
    assert replies.reserve("a", b"6", 10.0) is None

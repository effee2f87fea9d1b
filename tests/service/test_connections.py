"""Connections that ask nothing, or never stop asking: each has its time, and together they keep nobody out."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.service.test_server import Site, serving

FILES = 256
LIVE = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that may have few files open, of which clients get half."""
    few_files = ("bash", "-c", f'ulimit -n {FILES}; exec "$@"', "bash")
    folder = tmp_path_factory.mktemp("connections")
    with serving(folder, *few_files, RANEF_HEAD_SECONDS="1.5") as site:
        yield site


def connect(site: Site) -> socket.socket:
    url = site.http.base_url
    return socket.create_connection((url.host, url.port or 80), timeout=20)


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_a_connection_that_says_nothing_is_closed(site: Site) -> None:
    with connect(site) as connection:
        started = time.monotonic()
        assert rest_of(connection) == b""
        assert 1.0 < time.monotonic() - started < 15


@pytest.mark.parametrize("before", [b"", LIVE], ids=["the first", "a second"])
def test_a_head_that_never_ends_is_too_slow(site: Site, before: bytes) -> None:
    with connect(site) as connection:
        if before:
            connection.sendall(before)
            answer = b""
            while not answer.endswith(b'{"status":"alive"}'):
                answer += connection.recv(65536)
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        connection.settimeout(0.3)
        received, give_up = b"", time.monotonic() + 15
        # A byte now and then prolongs nothing.
        while not received and time.monotonic() < give_up:
            connection.sendall(b"X-A")
            with suppress(TimeoutError):
                received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"/problems/head-timeout" in received


@pytest.mark.parametrize("piece", [b"X-Header: " + b"a" * 1000 + b"\r\n", b"a" * 1000, b"\r\n" * 500])
def test_a_head_without_end_is_not_kept(site: Site, piece: bytes) -> None:
    with connect(site) as connection:
        connection.sendall(
            b"" if piece.isspace() else b"GET /livez HTTP/1.1\r\n" + piece[:-2].replace(b"\r\n", b"")
        )
        with suppress(ConnectionError):
            for _ in range(300):
                connection.sendall(piece)
        answer = rest_of(connection)
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("begun", [b"", b"GET /livez HTTP/1.1\r\nHost: "], ids=["silent", "begun"])
def test_connections_that_ask_nothing_keep_nobody_out(site: Site, begun: bytes) -> None:
    with ExitStack() as stack:
        idle = []
        for number in range(400):
            connection = stack.enter_context(connect(site))
            connection.sendall(begun)
            idle.append(connection)
            if number % 50 == 49:
                with connect(site) as other:
                    other.sendall(LIVE)
                    assert other.recv(65536).startswith(b"HTTP/1.1 200")
        assert site.http.get("/readyz").status_code == 200
        # The first had to make room, with a word if it had begun to speak.
        answer = rest_of(idle[0])
        assert (b"/problems/too-many-connections" in answer or b"/problems/head-timeout" in answer) == bool(
            begun
        )
    assert site.process.poll() is None


def test_where_all_are_at_work_another_is_told_so(site: Site) -> None:
    fit = site.http.post(
        "/v1/fits",
        json={
            "formula": "y ~ x",
            "data": {"columns": {"y": [1.0, 2.0, 2.5, 4.0, 5.5], "x": [1.0, 2.0, 3.0, 4.0, 6.0]}},
        },
    ).json()["id"]
    follow = f"GET /v1/fits/{fit}/events HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(FILES // 2):
            connection = stack.enter_context(connect(site))
            connection.sendall(follow)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        told = rest_of(stack.enter_context(connect(site)))
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"/problems/too-many-connections" in told
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with suppress(OSError), connect(site) as other:
            other.sendall(LIVE)
            if other.recv(65536).startswith(b"HTTP/1.1 200"):
                return
    raise AssertionError("nobody is let in again")

"""Requests that are meant to harm, or look so: each is refused in words, at once, and the next one is served."""

import contextlib
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from store.jobs import Jobs
from tests.service.samples import REQUEST
from tests.service.test_server import Site, serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("hostile")) as site:
        yield site


def exchange(site: Site, *parts: bytes, pause: float = 0.0, hang_up: bool = False) -> bytes:
    """Send bytes as they are until there is an answer; give all that comes until nothing has for 3 s."""
    url = site.http.base_url
    received = b""
    with socket.create_connection((url.host, url.port or 80), timeout=3) as connection:
        for part in parts:
            connection.sendall(part)
            if select.select([connection], [], [], pause)[0]:
                break
        if hang_up:
            return b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := connection.recv(65536):
                received += chunk
    return received


def head(*lines: str) -> bytes:
    always = ("POST /v1/fits HTTP/1.1", "Host: test", "Content-Type: application/json")
    return "\r\n".join((*always, *lines, "", "")).encode()


@pytest.fixture(autouse=True)
def unharmed(site: Site) -> Iterator[None]:
    yield
    assert site.process.poll() is None
    assert site.http.get("/livez").status_code == 200
    assert site.http.get("/v1/fits").status_code == 200


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_json_of_any_depth_is_refused_at_once(site: Site, opening: str, depth: int) -> None:
    closing = "]" if opening == "[" else "}"
    deep = opening * depth + "1" + closing * depth
    for body in (deep, f'{{"formula": "y ~ x", "data": {deep}}}', opening * depth):
        started = time.monotonic()
        answer = site.http.post("/v1/fits", content=body, headers=JSON)
        assert answer.status_code in (400, 422)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert len(answer.content) < 5_000
        assert time.monotonic() - started < 5


def test_a_formula_of_any_depth_is_refused_at_once(site: Site) -> None:
    formula = "y ~ " + "(" * 5_000 + "x" + ")" * 5_000
    answer = site.http.post("/v1/formulas/check", json={"formula": formula})
    assert answer.status_code == 422


def test_a_body_that_trickles_is_not_waited_for(site: Site) -> None:
    started = time.monotonic()
    answer = exchange(site, head("Content-Length: 1000"), *[b" "] * 20, pause=0.2)
    assert time.monotonic() - started < 12
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: -1",),
        ("Content-Length: ten",),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
    ],
    ids=lambda lines: " ".join(lines),
)
def test_a_length_that_cannot_be_is_a_bad_request(site: Site, lines: tuple[str, ...]) -> None:
    answer = exchange(site, head(*lines), b"{}")
    assert answer.startswith(b"HTTP/1.1 4") or answer == b""
    assert answer.count(b"HTTP/1.1") <= 1


def test_a_body_shorter_than_announced_makes_no_fit(site: Site) -> None:
    before = site.http.get("/v1/fits").json()["items"]
    exchange(site, head("Content-Length: 5000"), b'{"formula": "y ~ x"}', hang_up=True)
    assert site.http.get("/v1/fits").json()["items"] == before


def test_what_follows_a_body_is_no_second_request_of_this_one(site: Site) -> None:
    answer = exchange(site, head("Content-Length: 2"), b'{}{"formula": "y ~ x"}')
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"HTTP/1.1 2" not in answer


def test_fifty_equal_requests_at_once_make_one_run(site: Site) -> None:
    body = {**REQUEST, "sampler": {"seed": 50}}

    def post(_: int) -> httpx.Response:
        return httpx.post(f"http://{site.http.base_url.netloc.decode()}/v1/fits", json=body, timeout=30)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 49}
    (fit_id,) = {answer.json()["id"] for answer in answers}
    assert fit_id in Jobs(site.settings).waiting()
    record = site.store.get(fit_id)
    assert record is not None
    assert len(site.store.events(fit_id)) == 1


def test_long_addresses_and_headers_are_refused(site: Site) -> None:
    long = site.http.get("/v1/fits?cursor=" + "a" * 20_000)
    assert (long.status_code, long.json()["type"]) == (414, "/problems/address-too-long")
    large = site.http.get("/v1/fits", headers={"X-Large": "a" * 40_000})
    assert (large.status_code, large.json()["type"]) == (431, "/problems/headers-too-large")
    many = site.http.get("/v1/fits", headers={f"X-{i}": "a" * 100 for i in range(400)})
    assert many.status_code == 431


def test_a_thousand_parameters_make_a_small_answer(site: Site) -> None:
    answer = site.http.get("/v1/fits?" + "&".join(f"p{i}=1" for i in range(1_000)))
    assert (answer.status_code, answer.json()["errors_total"]) == (422, 1_000)
    assert len(answer.content) < 5_000


def test_head_has_the_headers_of_get_and_no_body(site: Site) -> None:
    for path in ("/v1/fits", "/v1/limits", "/v1/fits/fit_x", "/metrics"):
        get, bare = site.http.get(path), site.http.head(path)
        assert (bare.status_code, bare.content) == (get.status_code, b"")
        assert bare.headers["Content-Type"] == get.headers["Content-Type"]


def test_options_without_an_origin_is_a_method_like_others(site: Site) -> None:
    answer = site.http.options("/v1/fits")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_a_foreign_page_is_allowed_nothing(site: Site) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = site.http.options("/v1/fits", headers=asked)
    assert preflight.status_code == 400
    assert "Access-Control-Allow-Origin" not in preflight.headers
    read = site.http.get("/v1/fits", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in read.headers


def test_idle_connections_keep_nobody_out(site: Site) -> None:
    url = site.http.base_url
    idle = [socket.create_connection((url.host, url.port or 80)) for _ in range(200)]
    try:
        for connection in idle:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: ")
        started = time.monotonic()
        assert site.http.get("/livez").status_code == 200
        assert time.monotonic() - started < 1
    finally:
        for connection in idle:
            connection.close()


def test_none_of_it_is_kept_in_memory(site: Site) -> None:
    process = psutil.Process(site.process.pid)
    before = process.memory_info().rss
    for _ in range(20):
        site.http.post("/v1/fits", content=b"[" * 1_000_000, headers=JSON)
    assert process.memory_info().rss - before < 50_000_000

"""HTTP/1 byte for byte, over sockets to a real server, as RFC 9110 and RFC 9112 have it."""

import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from typing import Any, cast

import orjson
import pytest

from tests.service.samples import REQUEST
from tests.service.test_server import Site, serving, submit

BODY = orjson.dumps({"formula": "y ~ x + (1 | g)"})
CHECK = ("POST /v1/formulas/check HTTP/1.1", "Host: test", "Content-Type: application/json")
LENGTH = f"Content-Length: {len(BODY)}"
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
LAST = "Connection: close"
LIVE = ("GET /livez HTTP/1.1", "Host: test")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("protocol")) as site:
        yield site


@dataclass(frozen=True)
class Answer:
    """One answer of a connection."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def problem(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        return str(orjson.loads(self.body)["type"]).rpartition("/")[2]


def head(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode()


def read(site: Site, *packets: bytes) -> bytes:
    """Send packets one after the other, and give all that comes until the server closes."""
    url = site.http.base_url
    received = b""
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for packet in packets:
            connection.sendall(packet)
        while chunk := connection.recv(65536):
            received += chunk
    return received


class _Kept(io.BytesIO):
    def makefile(self, *_: Any) -> "_Kept":
        return self

    def close(self) -> None:
        """Stay open: the next answer follows."""


def answers(received: bytes, method: str = "GET") -> list[Answer]:
    """Take answers apart as Python's own client does."""
    stream, found = _Kept(received), []
    while stream.tell() < len(received):
        answer = HTTPResponse(cast(Any, stream), method=method)
        answer.begin()
        found.append(Answer(answer.status, answer.headers, answer.read()))
    return found


def ask(site: Site, *packets: bytes, method: str = "GET") -> list[Answer]:
    return answers(read(site, *packets), method)


@pytest.mark.parametrize(
    "packets",
    [
        (head(*CHECK, *H2C, LENGTH) + BODY,),
        (head(*CHECK, *H2C, LENGTH), BODY),
        (head(*CHECK, *H2C, LENGTH), BODY[:5], BODY[5:]),
        (head(*CHECK, *H2C, "Transfer-Encoding: chunked"), b"%x\r\n%b\r\n" % (len(BODY), BODY), b"0\r\n\r\n"),
        (head(*CHECK, "Connection: upgrade", "Upgrade: websocket, h2c", LENGTH) + BODY,),
    ],
)
def test_an_offer_of_another_protocol_costs_neither_body_nor_connection(
    site: Site, packets: tuple[bytes, ...]
) -> None:
    checked, alive = ask(site, *packets, head(*LIVE, LAST))
    assert (checked.status, orjson.loads(checked.body)["formula"]) == (200, "y ~ x + (1 | g)")
    assert alive.status == 200


def test_an_offer_without_a_body_is_declined_too(site: Site) -> None:
    first, second = ask(site, head(*LIVE, *H2C) + head(*LIVE, LAST))
    assert (first.status, second.status) == (200, 200)


def test_a_client_of_http_1_0_gets_no_chunks(site: Site) -> None:
    fit = submit(site)
    site.store.request_cancel(fit)
    streamed = read(site, head(f"GET /v1/fits/{fit}/events HTTP/1.0", "Accept: text/event-stream"))
    top, _, body = streamed.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in top.lower()
    assert b"connection: close" in top.lower()
    assert body.startswith(b"event: status\n")
    assert body.endswith(b"\n\n")
    (listed,) = ask(site, head(f"GET /v1/fits/{fit} HTTP/1.0"))
    assert int(listed.headers["content-length"]) == len(listed.body)


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        (("GET /livez HTTP/1.1",), 400, "bad-request"),
        (("GET /livez HTTP/1.1", "Host: a", "Host: a"), 400, "bad-request"),
        (("GET /livez HTTP/1.1", "Host: a/b"), 400, "bad-request"),
        (("GET /livez HTTP/1.1", "Host : a"), 400, "bad-request"),
        (("GET /livez HTTP/1.1", "Host: a", "X-Folded: a", " b"), 400, "bad-request"),
        (("GET /livez#top HTTP/1.1", "Host: a"), 400, "bad-request"),
        (("GET * HTTP/1.1", "Host: a"), 400, "bad-request"),
        (("GET /livez HTTP/2.0", "Host: a"), 505, "version-not-supported"),
        (("CONNECT a:80 HTTP/1.1", "Host: a:80"), 501, "not-implemented"),
        ((*CHECK, "Transfer-Encoding: gzip, chunked"), 501, "not-implemented"),
        (("POST /v1/fits HTTP/1.0", "Transfer-Encoding: chunked"), 400, "bad-request"),
        ((*CHECK, "Transfer-Encoding: chunked", "Content-Length: 3"), 400, "bad-request"),
        ((*CHECK, "Content-Length: 3", "Content-Length: 3"), 400, "bad-request"),
    ],
    ids=str,
)
def test_a_head_that_http_forbids_is_refused_in_words(
    site: Site, lines: tuple[str, ...], status: int, code: str
) -> None:
    (answer,) = ask(site, head(*lines))
    assert (answer.status, answer.problem) == (status, code)
    assert answer.headers["connection"] == "close"
    assert answer.headers["date"]


@pytest.mark.parametrize("size", [17_000, 65_000, 66_000, 2_000_000])
def test_an_address_of_any_length_is_too_long(site: Site, size: int) -> None:
    (answer,) = ask(site, head(f"GET /v1/fits?cursor={'a' * size} HTTP/1.1", "Host: a", LAST))
    assert (answer.status, answer.problem) == (414, "address-too-long")


@pytest.mark.parametrize(
    "broken",
    [
        head("GET /livez HTTP/1.1"),
        b"nonsense\r\n\r\n",
        head(*CHECK, "Transfer-Encoding: chunked") + b"no size\r\n",
    ],
)
def test_what_is_sound_before_a_broken_request_is_answered(site: Site, broken: bytes) -> None:
    found = ask(site, head(*LIVE) + head(*CHECK, LENGTH) + BODY + broken)
    assert [answer.status for answer in found] == [200, 200, 400]
    assert found[-1].problem == "bad-request"


def test_a_body_that_breaks_off_in_nonsense_is_a_bad_request(site: Site) -> None:
    (answer,) = ask(site, head(*CHECK, "Transfer-Encoding: chunked"), b'5\r\n{"for\r\n', b"no size\r\n")
    assert (answer.status, answer.problem) == (400, "bad-request")


def test_nothing_behind_a_broken_request_is_answered(site: Site) -> None:
    found = ask(site, b"nonsense\r\n\r\n" + head(*LIVE))
    assert [answer.status for answer in found] == [400]


def test_a_client_that_expects_100_gets_it_before_its_body_is_due(site: Site) -> None:
    url = site.http.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(head(*CHECK, LENGTH, "Expect: 100-continue", LAST))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answers(received)[0].status == 200


def test_a_refusal_before_the_body_closes_the_connection(site: Site) -> None:
    refused = ("POST /v1/fits HTTP/1.1", "Host: a", "Content-Type: text/html", "Content-Length: 9")
    (answer,) = ask(site, head(*refused, "Expect: 100-continue"))
    assert (answer.status, answer.headers["connection"]) == (415, "close")
    (answer,) = ask(site, head("GET /livez HTTP/1.0", "Expect: 100-continue"))
    assert answer.status == 200


def test_an_absolute_address_is_a_path(site: Site) -> None:
    (answer,) = ask(site, head("GET http://elsewhere.example/livez HTTP/1.1", "Host: a", LAST))
    assert answer.status == 200
    (answer,) = ask(site, head("GET http://elsewhere.example HTTP/1.1", "Host: a", LAST))
    assert answer.status == 404


def test_a_method_that_a_resource_lacks_is_405_with_those_it_has(site: Site) -> None:
    for method in ("PUT", "PATCH", "TRACE", "OPTIONS", "DELETE"):
        (answer,) = ask(site, head(f"{method} /v1/fits HTTP/1.1", "Host: a", LAST))
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_head_of_a_stream_returns_at_once(site: Site) -> None:
    fit = submit(site)
    lines = (f"HEAD /v1/fits/{fit}/events HTTP/1.1", "Host: a", "Accept: text/event-stream")
    first, second = ask(site, head(*lines), head(*lines, LAST), method="HEAD")
    for answer in (first, second):
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-type"].startswith("text/event-stream")


def test_the_token_of_a_link_is_in_no_log(site: Site) -> None:
    fit = submit(site)
    made = site.http.post("/v1/links", json={"paths": [f"/v1/fits/{fit}", f"/v1/fits/{fit}/events"]}).json()
    for address in (
        *made["addresses"],
        f"/v1/fits?link={made['token']}",
        f"/v1/nothing?link={made['token']}",
    ):
        site.http.get(address, headers={"Accept": "*/*"})
        ask(site, head(f"GET {address} HTTP/1.1"))
    site.http.get(made["addresses"][0], headers={"X-Request-ID": "by-link"})
    assert site.await_line("by-link")["status"] == 200
    assert made["token"].encode() not in site.log.read_bytes()


def test_a_revoked_link_ends_its_stream_for_everybody(site: Site) -> None:
    fit = submit(site)
    made = site.http.post("/v1/links", json={"paths": [f"/v1/fits/{fit}/events"]}).json()
    assert site.http.delete(made["links"]["self"]).status_code == 204
    refused = site.http.get(made["addresses"][0], headers={"Accept": "text/event-stream"})
    assert (refused.status_code, refused.json()["type"]) == (401, "/problems/link-invalid")


def test_a_wait_ends_though_another_request_stands_behind_it(site: Site) -> None:
    fit, url = submit(site), site.http.base_url
    waiting = head(f"GET /v1/fits/{fit} HTTP/1.1", "Host: a", "Prefer: wait=30", "X-Request-ID: pipelined")
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(waiting + head(*LIVE))
    line = site.await_line("pipelined")
    assert line["seconds"] < 10


def test_the_whole_request_survives_an_upgrade(site: Site) -> None:
    body = orjson.dumps({**REQUEST, "cache": False})
    lines = ("POST /v1/fits HTTP/1.1", "Host: a", "Content-Type: application/json", *H2C)
    (answer,) = ask(site, head(*lines, f"Content-Length: {len(body)}"), body, head(*LIVE, LAST))[:1]
    assert answer.status == 202

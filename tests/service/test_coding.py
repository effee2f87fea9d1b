"""Answers packed as Accept-Encoding asks: which, how, with which ETag, and what is never packed."""

import gzip
from collections.abc import Iterator

import orjson
import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.coding import SMALLEST, chosen


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, headers={"Accept-Encoding": "identity"}) as client:
        yield client


def unpack(data: bytes, coding: str | None) -> bytes:
    if coding == "gzip":
        return gzip.decompress(data)
    return pa.CompressedInputStream(pa.BufferReader(data), "zstd").read() if coding == "zstd" else data


def raw(client: TestClient, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """An answer as it came, which the client would unpack by itself."""
    with client.stream("GET", path, headers=headers) as answer:
        return answer.status_code, dict(answer.headers), b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accepted", "coding", "plain_is_refused"),
    [
        ([], None, False),
        ([""], None, False),
        (["gzip"], "gzip", False),
        (["gzip, deflate, br, zstd"], "zstd", False),
        (["zstd;q=0.5, gzip"], "gzip", False),
        (["gzip;q=0, zstd;q=0"], None, False),
        (["GZIP;Q=0.3"], "gzip", False),
        (["x-gzip"], "gzip", False),
        (["br, deflate"], None, False),
        (["*"], "zstd", False),
        (["*;q=0.1, zstd;q=0"], "gzip", False),
        (["identity, gzip;q=0.5"], None, False),
        (["gzip;q=0.5, identity;q=0.1"], "gzip", False),
        (["identity;q=0"], None, True),
        (["*;q=0"], None, True),
        (["*;q=0, identity"], None, False),
        (["gzip, identity;q=0"], "gzip", True),
        (["deflate", "gzip"], "gzip", False),
        (["gzip;q=nonsense"], None, False),
    ],
)
def test_what_is_liked_best_is_chosen(
    accepted: list[str], coding: str | None, plain_is_refused: bool
) -> None:
    assert chosen(accepted) == (coding, plain_is_refused)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("path", ["summary", "draws", "plots/trace.svg", "draws?thin=5", "model", "groups/g"])
def test_an_answer_is_packed_and_the_same_within(
    client: TestClient, finished: str, coding: str, path: str
) -> None:
    address = f"/v1/fits/{finished}/{path}"
    status, plain, body = raw(client, address)
    assert "content-encoding" not in plain
    assert "Accept-Encoding" in plain["vary"].split(", ")
    packed_status, packed, data = raw(client, address, **{"Accept-Encoding": coding})
    assert (status, packed_status, packed["content-encoding"]) == (200, 200, coding)
    assert unpack(data, coding) == body
    assert len(data) < len(body)
    assert "Accept-Encoding" in packed["vary"].split(", ")
    assert int(packed.get("content-length", len(data))) == len(data)
    assert packed["etag"] == f'{plain["etag"][:-1]}-{coding}"'


def test_each_etag_saves_the_body_whatever_the_coding(client: TestClient, finished: str) -> None:
    address = f"/v1/fits/{finished}/summary"
    tags = {
        coding: client.get(address, headers={"Accept-Encoding": coding}).headers["ETag"]
        for coding in ("identity", "gzip", "zstd")
    }
    assert len(set(tags.values())) == 3
    for own, tag in tags.items():
        for coding in tags:
            headers = {"If-None-Match": f'"another", {tag}', "Accept-Encoding": coding}
            answer = client.get(address, headers=headers)
            assert (answer.status_code, answer.content) == (304, b"")
            if own == coding:
                assert answer.headers["ETag"] == tag
        assert client.get(address, headers={"If-Match": tag}).status_code == 200
    assert client.get(address, headers={"If-None-Match": '"x-gzip"'}).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_small_answers_pictures_of_dots_and_streams_are_not_packed(
    client: TestClient, finished: str, coding: str
) -> None:
    headers = {"Accept-Encoding": coding}
    for path, accept in (
        ("/livez", "*/*"),
        (f"/v1/fits/{finished}/plots/trace.png", "*/*"),
        (f"/v1/fits/{finished}/events", "text/event-stream"),
        (f"/v1/fits/{finished}/draws", "application/vnd.apache.parquet"),
    ):
        answer = client.get(path, headers={**headers, "Accept": accept})
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers


def test_who_takes_nothing_plain_gets_all_packed_or_406(client: TestClient, finished: str) -> None:
    status, headers, data = raw(client, "/livez", **{"Accept-Encoding": "gzip, identity;q=0"})
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert orjson.loads(gzip.decompress(data)) == {"status": "alive"}
    for refused in ("identity;q=0", "*;q=0", "br, identity;q=0"):
        answer = client.get("/livez", headers={"Accept-Encoding": refused})
        assert (answer.status_code, answer.json()["type"]) == (406, "/problems/not-acceptable")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_head_says_what_get_would(client: TestClient, finished: str, coding: str) -> None:
    address, headers = f"/v1/fits/{finished}/summary", {"Accept-Encoding": coding}
    _, got, _ = raw(client, address, **headers)
    bare = client.head(address, headers=headers)
    for name in ("content-length", "content-encoding", "etag", "vary"):
        assert bare.headers[name] == got[name]


def test_problems_are_packed_too(client: TestClient) -> None:
    path = "/v1/fits?" + "&".join(f"parameter_that_is_not_there_{i}=1" for i in range(30))
    _, headers, data = raw(client, path, **{"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    unpacked = gzip.decompress(data)
    assert len(unpacked) > SMALLEST
    assert orjson.loads(unpacked)["errors_total"] == 30

"""Bodies as they are really sent: in any charset, of many gzip members, under the names that programs give them."""

import gzip

import orjson
import pytest
from fastapi.testclient import TestClient

from tests.service.samples import REQUEST
from tests.service.test_datasets import CSV, refused, upload

TEXT = "größe,ort\n1.5,Köln\n2.5,Düren\n"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("codec", "parameter"),
    [
        ("utf-8", "; charset=UTF-8"),
        ("utf-8", ';charset="utf8"'),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16", "; charset=utf-16"),
        ("utf-16-le", "; charset=UTF-16LE"),
        ("utf-16-be", "; charset=utf-16be"),
        ("utf-32", ""),
        ("latin-1", "; charset=latin1"),
        ("latin-1", "; charset=iso-8859-1"),
        ("latin-1", '; charset="ISO_8859-1"'),
        ("cp1252", "; header=present; charset=windows-1252"),
        ("cp1252", "; charset=CP1252"),
        ("iso-8859-15", "; charset=ISO-8859-15"),
        ("mac-roman", "; charset=macintosh"),
        ("cp850", "; charset=ibm850"),
    ],
)
def test_text_is_read_in_the_charset_it_is_in(client: TestClient, codec: str, parameter: str) -> None:
    expected = upload(client, TEXT).id
    assert upload(client, TEXT.encode(codec), {"Content-Type": f"text/csv{parameter}"}).id == expected


def test_browsers_latin1_is_windows_1252(client: TestClient) -> None:
    levels = (
        upload(client, b"v\n\x80uro\n", {"Content-Type": "text/csv; charset=iso-8859-1"}).columns[0].levels
    )
    assert levels == ["€uro"]


def test_what_is_not_in_its_charset_is_refused_with_the_place(client: TestClient) -> None:
    problem = refused(client, "v\nö\n".encode("latin-1"))
    assert problem.type == "/problems/invalid-csv"
    assert "Byte 2" in problem.errors[0].message
    assert "charset" in problem.errors[0].message
    wrong = refused(client, b"v\n\x81\n", {"Content-Type": "text/csv; charset=windows-1252"})
    assert wrong.type == "/problems/invalid-text"
    for name in ("klingon", "utf-7", "rot13", "unicode_escape"):
        assert refused(client, b"v\n1\n", {"Content-Type": f"text/csv; charset={name}"}).status == 415


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_json_may_begin_with_a_byte_order_mark(client: TestClient, codec: str) -> None:
    text = orjson.dumps(REQUEST).decode()
    mark = "\ufeff" if codec == "utf-16-be" else ""
    answer = client.post("/v1/formulas/check", content=(mark + text).encode(codec), headers=JSON)
    assert answer.status_code == 200, answer.text


def test_lines_may_begin_with_a_byte_order_mark(client: TestClient) -> None:
    line = orjson.dumps({**REQUEST, "custom_id": "a"})
    headers = {"Content-Type": "application/x-ndjson"}
    answer = client.post("/v1/batches", content=b"\xef\xbb\xbf" + line + b"\n", headers=headers)
    assert answer.json()["counts"] == {"queued": 1}


def test_gzip_may_have_many_members(client: TestClient) -> None:
    expected = upload(client, TEXT).id
    members = gzip.compress(TEXT[:12].encode()) + gzip.compress(b"") + gzip.compress(TEXT[12:].encode())
    for name in ("gzip", "x-gzip", "GZIP"):
        assert upload(client, members, {**CSV, "Content-Encoding": name}).id == expected
    packed = {**CSV, "Content-Encoding": "gzip"}
    for broken in (members[:-1], members + b"rest", members[:-8] + bytes(8), b""):
        assert refused(client, broken, packed).type == "/problems/invalid-gzip"


@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.ms-excel", "application/csv", "text/x-csv", "text/comma-separated-values", "TEXT/CSV"],
)
def test_programs_call_csv_by_many_names(client: TestClient, media_type: str) -> None:
    assert upload(client, TEXT, {"Content-Type": media_type}).id == upload(client, TEXT).id


XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize(
    ("media_type", "content", "advice"),
    [
        (XLSX, b"PK\x03\x04", "as CSV"),
        ("application/vnd.oasis.opendocument.spreadsheet", b"PK\x03\x04", "as CSV"),
        ("application/vnd.ms-excel", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "as CSV"),
        ("application/vnd.ms-excel", b"PK\x03\x04", "as CSV"),
        ("text/csv", b"PK\x03\x04", "as CSV"),
        ("text/csv", gzip.compress(b"v\n1\n"), "Content-Encoding"),
        ("text/csv", b"PAR1", "application/vnd.apache.parquet"),
        ("application/json", b"ARROW1", "application/vnd.apache.arrow.stream"),
        ("text/csv; header=absent", b"1\n", "must name the columns"),
    ],
)
def test_what_is_no_text_is_refused_with_what_to_do(
    client: TestClient, media_type: str, content: bytes, advice: str
) -> None:
    problem = refused(client, content, {"Content-Type": media_type})
    assert (problem.status, problem.type) == (415, "/problems/unsupported-media-type")
    assert advice in (problem.detail or "")


@pytest.mark.parametrize("marks", [2, 3])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le"])
def test_a_mark_that_is_written_again_is_no_part_of_a_name(
    client: TestClient, marks: int, codec: str
) -> None:
    content = ("\ufeff" * marks + "y,x\n1,2\n").encode(codec)
    answer = client.post("/v1/datasets", content=content, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 201, answer.text
    assert [column["name"] for column in answer.json()["columns"]] == ["y", "x"]


@pytest.mark.parametrize(
    ("label", "codec"), [("x-cp1252", "cp1252"), ("ucs-2", "utf-16-le"), ("unicode-1-1-utf-8", "utf-8")]
)
def test_labels_of_browsers_are_known(client: TestClient, label: str, codec: str) -> None:
    headers = {"Content-Type": f"text/csv; charset={label}"}
    answer = client.post("/v1/datasets", content="y,g\n1,ö\n".encode(codec), headers=headers)
    assert answer.json()["columns"][1]["levels"] == ["ö"], answer.text


def test_utf_16_without_a_mark_is_told_as_that(client: TestClient) -> None:
    headers = {"Content-Type": "text/csv"}
    answer = client.post("/v1/datasets", content="y,g\n1,öä\n".encode("utf-16-le"), headers=headers)
    assert "charset=utf-16le" in answer.json()["errors"][0]["message"]

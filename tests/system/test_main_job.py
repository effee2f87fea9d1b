"""The main job, end to end: real data over HTTP through a real server, store, queue and worker, against references."""

import contextlib
import http.client
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.reference.cases import compare_moments, load
from tests.system.conftest import eventually
from tests.system.test_stack import start, stop

WAIT = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a whole stack whose worker is warm."""
    stack = start(tmp_path_factory.mktemp("stack") / "data")
    eventually(lambda: stack.answers("/readyz?workers=1") == 200, 120.0)
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=60.0) as client:
        yield client
    stop(stack, signal.SIGTERM)


def submit(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    """Submit a fit and wait until it is finished."""
    answer = client.post("/v1/fits", json=body, headers=WAIT)
    assert answer.status_code in (200, 201), answer.text
    fit: dict[str, Any] = answer.json()
    assert fit["status"] == "succeeded", fit
    return fit


@pytest.mark.parametrize("name", ["classroom", "sleepstudy", "sleepstudy_uncorrelated", "dyestuff", "pastes"])
def test_a_fit_over_http_matches_its_reference(client: httpx.Client, name: str) -> None:
    case = load(name)
    fit = submit(client, case.request())
    assert (fit["method"], fit["rows"]) == ("collapsed", case.facts["n_used"])
    summary = client.get(f"/v1/fits/{fit['id']}/summary").raise_for_status().json()
    rows = {f"b[{row['name']}]": row for row in summary["population"]}
    for factor, group in summary["groups"].items():
        rows |= {f"sd[{factor}][{row['name']}]": row for row in group["sd"]}
        rows |= {f"cor[{factor}][{','.join(row['names'])}]": row for row in group["correlation"]}
    rows |= {row["name"]: row for row in summary["family_parameters"]}
    reference = case.facts["reference"]["parameters"]
    assert set(rows) == set(reference)
    wrong = []
    for parameter, row in rows.items():
        wrong += compare_moments(parameter, row["mean"], row["sd"], row["mcse_mean"], reference[parameter])
    assert wrong == []
    assert summary["diagnostics"]["r_hat_max"] < 1.01


def test_predictions_over_http_match_their_reference(client: httpx.Client) -> None:
    case = load("classroom")
    fit = submit(client, case.request())
    rows = case.facts["predictions"]["rows"]
    body = {"data": {"records": [row["row"] for row in rows]}, "new_levels": "sample", "kind": "epred"}
    answer = client.post(f"/v1/fits/{fit['id']}/predictions", json=body).raise_for_status().json()
    wrong = []
    for i, row in enumerate(rows):
        reference = row["expected_with_groups"]
        mcse = reference["sd"] / 50
        wrong += compare_moments(
            f"row {i}", answer["mean"][i], answer["sd"][i], mcse, reference | {"mcse_mean": mcse}
        )
    assert wrong == []


def test_the_second_fit_of_a_shape_compiles_nothing(client: httpx.Client) -> None:
    body = load("classroom").request(draws=500)
    submit(client, body)
    columns = body["data"]["columns"]
    rng = np.random.default_rng(2)
    score = np.array(columns["student_reading_score"])
    for _ in range(3):
        columns["student_reading_score"] = (score + rng.normal(0, 5, len(score))).tolist()
        fit = submit(client, body)
        assert fit["timing"]["compile"] == 0.0
        assert fit["timing"]["sample"] > 0.0


def test_the_same_request_again_is_the_same_fit(client: httpx.Client) -> None:
    body = load("sleepstudy").request(draws=300)
    first, again = submit(client, body), client.post("/v1/fits", json=body)
    assert again.status_code == 200
    assert again.json()["id"] == first["id"]


def status_before_body(client: httpx.Client, headers: dict[str, str]) -> int:
    """Send the head of a submission without any body, and give the status of the answer."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=10.0)
    connection.putrequest("POST", "/v1/fits")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_bad_requests_get_a_clear_problem_and_harm_nothing(client: httpx.Client) -> None:
    case = load("classroom")

    def refused(status: int, code: str, **request: Any) -> dict[str, Any]:
        answer = client.post("/v1/fits", **request)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = answer.json()
        assert problem["type"].endswith(code), problem
        assert problem["request_id"]
        return problem

    typo = case.request() | {"formula": "student_reading_score ~ student_agee + (1 | teacher_id)"}
    problem = refused(422, "unknown-column", json=typo)
    assert problem["errors"][0]["position"] == 24
    assert "student_age_s" in problem["errors"][0]["message"]

    uneven = case.request()
    uneven["data"]["columns"] = {**uneven["data"]["columns"], "student_age_s": [1.0, 2.0]}
    problem = refused(422, "unequal-lengths", json=uneven)
    assert problem["errors"][0]["pointer"] == "/data/columns/student_age_s"

    refused(400, "invalid-json", content=b"{not json", headers={"Content-Type": "application/json"})

    # A body of 200 MB is refused by what it says of itself, or when it has become too long.
    headers = {"Content-Type": "application/json"}
    assert status_before_body(client, {**headers, "Content-Length": str(200 * 2**20)}) == 413

    def endless() -> Iterator[bytes]:
        yield b'{"formula": "y ~ x", "data": {"columns": {"y": ['
        for _ in range(200):
            yield b"1.0," * 262_144

    with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):
        refused(413, "body-too-large", content=endless(), headers=headers)

    fit = submit(client, case.request(draws=200))
    assert fit["status"] == "succeeded"


def test_one_scrape_shows_the_service_its_queue_and_its_worker(client: httpx.Client) -> None:
    submit(client, {**load("dyestuff").request(), "cache": False})

    def told() -> dict[str, float]:
        lines = client.get("/metrics").raise_for_status().text.splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    def total(name: str) -> float:
        return sum(value for sample, value in told().items() if sample.partition("{")[0] == name)

    # A worker tells of itself at its next beat.
    eventually(lambda: total("ranef_compile_hits_total") + total("ranef_compile_misses_total") >= 1)
    found = told()
    assert found['ranef_http_requests_total{method="POST",route="/v1/fits",status="201"}'] >= 1
    assert found['ranef_fits_total{method="collapsed",status="succeeded"}'] >= 1
    assert found['ranef_queue_depth{queue="interactive"}'] == 0
    assert total("ranef_sampling_seconds_total") > 0
    assert total("ranef_worker_warm") == 1
    assert total("ranef_worker_peak_memory_bytes") > 50_000_000
    assert found["ranef_store_up"] == 1

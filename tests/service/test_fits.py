"""The life of a fit as a client sees it: submitted, waited for, listed, cancelled, deleted."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.answers.common import Problem
from service.answers.fits import EventList, Fit, FitList
from store.base import StoreUnavailable
from store.memory import MemoryStore
from store.records import Failure
from tests.service.samples import COLUMNS, REQUEST

LATER = {"Prefer": "wait=5"}


def after(seconds: float, action: Callable[[], Any]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def test_a_new_fit_is_accepted_and_queued(client: TestClient, queued: list[tuple[str, str]]) -> None:
    answer = client.post("/v1/fits", json=REQUEST)
    assert answer.status_code == 202
    fit = Fit.model_validate(answer.json(), strict=False)
    assert answer.headers["Location"] == f"/v1/fits/{fit.id}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Cache-Control"] == "no-store"
    assert fit.status == "queued"
    assert fit.formula == "y ~ x + (1 + x | g)"
    assert (fit.rows, fit.dropped_rows) == (24, 0)
    assert fit.family.model_dump() == {"name": "gaussian", "link": "identity"}
    assert fit.created_at.endswith("Z")
    assert queued == [(fit.id, "interactive")]


def test_the_same_model_and_data_are_the_same_fit(client: TestClient, queued: list[tuple[str, str]]) -> None:
    first = client.post("/v1/fits", json=REQUEST)
    records = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    again = {"data": {"records": records}, "formula": "y~x+(1+x|g)", "family": {"name": "gaussian"}}
    second = client.post("/v1/fits", json=again)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len(queued) == 1


def test_equal_requests_at_once_share_one_run(client: TestClient, queued: list[tuple[str, str]]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/fits", json=REQUEST), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [202]
    assert len({answer.json()["id"] for answer in answers}) == len(queued) == 1


def test_without_cache_each_request_is_a_fit(client: TestClient, queued: list[tuple[str, str]]) -> None:
    ids = {client.post("/v1/fits", json={**REQUEST, "cache": False}).json()["id"] for _ in range(2)}
    assert len(ids) == len(queued) == 2


def test_another_seed_is_another_fit(client: TestClient) -> None:
    ids = {client.post("/v1/fits", json={**REQUEST, "sampler": {"seed": s}}).json()["id"] for s in (1, 2)}
    assert len(ids) == 2


def test_metadata_come_back_and_do_not_identify(client: TestClient) -> None:
    first = client.post("/v1/fits", json={**REQUEST, "metadata": {"study": "2026-a"}}).json()
    second = client.post("/v1/fits", json=REQUEST).json()
    assert first["metadata"] == {"study": "2026-a"}
    assert first["id"] == second["id"]


def test_waiting_gives_the_finished_fit(
    client: TestClient, queued: list[tuple[str, str]], finish: Callable[..., Any]
) -> None:
    def work() -> None:
        while not queued:
            time.sleep(0.01)
        finish(queued[0][0])

    after(0.0, work)
    answer = client.post("/v1/fits", json=REQUEST, headers={"Prefer": "respond-async, wait=20"})
    assert answer.status_code == 201
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert "Prefer" in answer.headers["Vary"].split(", ")
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_fit_that_is_deleted_while_its_client_waits_is_gone(
    client: TestClient, store: MemoryStore, method: str
) -> None:
    fit_id = client.post("/v1/fits", json=REQUEST).json()["id"]
    after(0.3, lambda: store.delete(fit_id))
    path = "/v1/fits" if method == "POST" else f"/v1/fits/{fit_id}"
    answer = client.request(method, path, json=REQUEST if method == "POST" else None, headers=LATER)
    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/fit-gone")


def test_a_wait_that_is_over_gives_the_fit_as_it_is(client: TestClient) -> None:
    started = time.monotonic()
    answer = client.post("/v1/fits", json=REQUEST, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert 0.9 < time.monotonic() - started < 3


def test_a_long_wait_is_cut(client: TestClient, finished: str) -> None:
    answer = client.get(f"/v1/fits/{finished}", headers={"Prefer": "wait=99999"})
    assert answer.headers["Preference-Applied"] == "wait=30"


@pytest.mark.parametrize("preference", ["wait=soon", "wait", "wait=-1", "return=minimal"])
def test_what_is_not_a_wait_is_not_applied(client: TestClient, fit_id: str, preference: str) -> None:
    answer = client.get(f"/v1/fits/{fit_id}", headers={"Prefer": preference})
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers


def test_get_can_wait_too(client: TestClient, fit_id: str, finish: Callable[..., Any]) -> None:
    after(0.2, lambda: finish(fit_id))
    answer = client.get(f"/v1/fits/{fit_id}", headers=LATER)
    assert answer.json()["status"] == "succeeded"


def test_a_finished_fit_can_be_kept(client: TestClient, finished: str) -> None:
    answer = client.get(f"/v1/fits/{finished}")
    Fit.model_validate(answer.json())
    assert answer.json()["links"]["summary"] == f"/v1/fits/{finished}/summary"
    assert "max-age" in answer.headers["Cache-Control"]
    tag = answer.headers["ETag"]
    assert tag.startswith('"')
    for condition in (tag, f'"other", W/{tag}', "*"):
        again = client.get(f"/v1/fits/{finished}", headers={"If-None-Match": condition})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["ETag"] == tag
    assert client.get(f"/v1/fits/{finished}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_fit_that_may_change_is_not_kept(client: TestClient, fit_id: str) -> None:
    answer = client.get(f"/v1/fits/{fit_id}")
    assert "ETag" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_failed_fit_says_why(client: TestClient, store: MemoryStore, fit_id: str) -> None:
    claim = store.claim(fit_id, "test", 60.0)
    assert claim is not None
    issue = {"code": "no-variation", "message": "y does not vary.", "column": "y"}
    store.fail(claim, Failure("invalid-model", "Invalid model", "The data will not do.", (issue,)))
    fit = Fit.model_validate(client.get(f"/v1/fits/{fit_id}").json())
    assert fit.failure is not None
    assert (fit.failure.type, fit.failure.status) == ("/problems/invalid-model", 422)
    assert fit.failure.errors[0].column == "y"
    for path in ("summary", "groups/g"):
        answer = client.get(f"/v1/fits/{fit_id}/{path}")
        assert answer.status_code == 409
        assert Problem.model_validate(answer.json()).type == "/problems/fit-failed"


def test_pages_of_fits_are_complete_and_newest_first(client: TestClient) -> None:
    ids = [client.post("/v1/fits", json={**REQUEST, "sampler": {"seed": s}}).json()["id"] for s in range(5)]
    seen, address = [], "/v1/fits?limit=2"
    while address:
        answer = client.get(address)
        seen += [fit.id for fit in FitList.model_validate(answer.json()).items]
        address = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == ids[::-1]


def test_fits_are_listed_by_status(client: TestClient, finished: str) -> None:
    assert [fit["id"] for fit in client.get("/v1/fits?status=succeeded").json()["items"]] == [finished]
    assert client.get("/v1/fits?status=queued").json() == {"items": [], "next_cursor": None}


def submit_with(client: TestClient, seed: int, **metadata: str) -> str:
    body = {**REQUEST, "sampler": {"seed": seed}, "metadata": metadata}
    return str(client.post("/v1/fits", json=body).json()["id"])


def test_fits_are_listed_by_metadata_and_status_together(client: TestClient) -> None:
    a = [
        submit_with(client, seed, study="2026-a", **({"arm": "x y"} if seed % 2 else {})) for seed in range(4)
    ]
    submit_with(client, 4, study="2026-b")
    submit_with(client, 5)

    def listed(query: str) -> list[str]:
        answer = client.get(f"/v1/fits?{query}")
        assert answer.status_code == 200, answer.text
        return [fit["id"] for fit in answer.json()["items"]]

    assert listed("metadata[study]=2026-a") == a[::-1]
    assert listed("metadata%5Bstudy%5D=2026-a&metadata[arm]=x%20y") == [a[3], a[1]]
    assert listed("metadata[study]=2026-c") == listed("metadata[nothing]=2026-a") == []
    client.post(f"/v1/fits/{a[2]}/cancel")
    assert listed("metadata[study]=2026-a&status=queued") == [a[3], a[1], a[0]]
    assert listed("metadata[study]=2026-a&status=cancelled") == [a[2]]


def test_pages_of_a_filtered_list_carry_the_filter(client: TestClient) -> None:
    ids = [submit_with(client, seed, study="ünï&c=de") for seed in range(3)]
    submit_with(client, 3, study="other")
    seen, address = [], "/v1/fits?limit=1&status=queued&metadata[study]=%C3%BCn%C3%AF%26c%3Dde"
    while address:
        answer = client.get(address)
        seen += [fit.id for fit in FitList.model_validate(answer.json()).items]
        address = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == ids[::-1]


def test_a_page_looks_at_no_more_than_its_share_of_fits(client: TestClient, store: MemoryStore) -> None:
    wanted = submit_with(client, 0, study="rare")
    for seed in range(1, 8):
        submit_with(client, seed)
    store._policy = replace(store._policy, scan_limit=3)
    pages, address = [], "/v1/fits?metadata[study]=rare"
    while address:
        answer = client.get(address)
        pages.append([fit["id"] for fit in answer.json()["items"]])
        address = answer.links["next"]["url"] if "next" in answer.links else ""
    assert pages == [[], [], [wanted]]


@pytest.mark.parametrize(
    "query",
    ["metadata=x", "metadata[a]=1&metadata[a]=2", "metadata[a", "colour[a]=1", "status[a]=queued"],
)
def test_a_filter_that_is_none_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/fits?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-parameter")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "status=lost", "colour=red", "limit=2&limit=3", "cursor=nonsense"],
)
def test_a_bad_list_query_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/fits?{query}")
    assert answer.status_code == 422
    assert Problem.model_validate(answer.json()).type in {
        "/problems/invalid-parameter",
        "/problems/invalid-cursor",
    }


def test_a_queued_fit_is_cancelled_at_once(client: TestClient, fit_id: str) -> None:
    answer = client.post(f"/v1/fits/{fit_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert client.post(f"/v1/fits/{fit_id}/cancel").status_code == 200
    refusal = client.get(f"/v1/fits/{fit_id}/summary")
    assert (refusal.status_code, refusal.json()["type"]) == (409, "/problems/fit-cancelled")


def test_a_running_fit_is_asked_to_stop(client: TestClient, store: MemoryStore, fit_id: str) -> None:
    assert store.claim(fit_id, "test", 60.0) is not None
    answer = client.post(f"/v1/fits/{fit_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")


def test_a_deleted_fit_is_gone(client: TestClient, finished: str) -> None:
    client.get(f"/v1/fits/{finished}/summary")
    assert client.delete(f"/v1/fits/{finished}").status_code == 204
    for answer in (
        client.get(f"/v1/fits/{finished}"),
        client.get(f"/v1/fits/{finished}/summary"),
        client.delete(f"/v1/fits/{finished}"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (410, "/problems/fit-gone")
    assert client.post("/v1/fits", json=REQUEST).status_code == 202


@pytest.mark.parametrize("fit", ["fit_" + "a" * 26, "fit_x", "..%2F..%2Fetc", "%00", "%ED%A0%80", "{fit}"])
def test_an_unknown_fit_is_not_found(client: TestClient, fit: str) -> None:
    for answer in (client.get(f"/v1/fits/{fit}"), client.post(f"/v1/fits/{fit}/cancel")):
        assert answer.status_code == 404
        Problem.model_validate(answer.json())


def test_another_tenants_fit_is_not_found(client: TestClient, store: MemoryStore, fit_id: str) -> None:
    other = "fit_" + "b" * 26
    found = store.get(fit_id)
    assert found is not None
    store.create(replace(found, id=other, tenant="someone"), b"")
    assert client.get(f"/v1/fits/{other}").json()["type"] == "/problems/fit-not-found"
    assert client.delete(f"/v1/fits/{other}").status_code == 404
    assert other not in client.get("/v1/fits").text


def test_a_fit_whose_message_is_lost_is_accepted(client: TestClient, app: Any) -> None:
    def unreachable(fit_id: str, queue: str) -> None:
        raise StoreUnavailable("no broker")

    app.state.services.enqueue = unreachable
    assert client.post("/v1/fits", json=REQUEST).status_code == 202


def test_the_history_is_listed(client: TestClient, finished: str) -> None:
    history = EventList.model_validate(client.get(f"/v1/fits/{finished}/events").json()).items
    assert [event.status for event in history] == ["queued", "running", "succeeded"]
    rest = client.get(f"/v1/fits/{finished}/events", headers={"Last-Event-ID": history[0].id}).json()
    assert [event["id"] for event in rest["items"]] == [event.id for event in history[1:]]


@pytest.mark.parametrize("last", ["W}X)", "-1", "$", "1-", "9" * 30])
def test_what_is_no_event_id_is_refused(client: TestClient, finished: str, last: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-parameter")


def test_a_stream_of_a_finished_fit_ends(client: TestClient, finished: str) -> None:
    answer = client.get(f"/v1/fits/{finished}/events", headers={"Accept": "text/event-stream"})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.text.count("event: status") == 3
    assert client.get(f"/v1/fits/{finished}/events", headers={"Accept": "text/csv"}).status_code == 406


@pytest.mark.parametrize(
    ("kind", "status"), [("internal", 202), ("worker_lost", 202), ("invalid_model", 200)]
)
def test_a_passing_failure_is_not_handed_out_again(
    client: TestClient, store: MemoryStore, queued: list[tuple[str, str]], fit_id: str, kind: str, status: int
) -> None:
    claim = store.claim(fit_id, "test", 60.0)
    assert claim is not None
    store.fail(claim, Failure(kind, "It failed", "It did."))
    kept = client.get(f"/v1/fits/{fit_id}").headers["Cache-Control"]
    assert ("max-age=0" in kept) == (status == 202)
    again = client.post("/v1/fits", json=REQUEST)
    assert (again.status_code, again.json()["id"]) == (status, fit_id)
    assert again.json()["status"] == ("queued" if status == 202 else "failed")
    assert [name for name, _ in queued] == [fit_id] * (2 if status == 202 else 1)


def test_a_cancelled_fit_begins_anew(client: TestClient, fit_id: str, finish: Callable[..., Any]) -> None:
    client.post(f"/v1/fits/{fit_id}/cancel")
    again = client.post("/v1/fits", json=REQUEST)
    assert (again.status_code, again.json()["status"]) == (202, "queued")
    finish(fit_id)
    assert client.get(f"/v1/fits/{fit_id}/summary").status_code == 200


def test_reading_a_result_lets_it_live_on(store: MemoryStore, client: TestClient, finished: str) -> None:
    now = time.time()
    store._clock = lambda: now + 2 * 24 * 3600.0
    before = store.get(finished)
    assert client.get(f"/v1/fits/{finished}").status_code == 200
    assert store.get(finished) == before, "its record is not its result"
    assert client.get(f"/v1/fits/{finished}/summary").status_code == 200
    after = store.get(finished)
    assert before is not None
    assert after is not None
    assert (after.expires_at or 0) - (before.expires_at or 0) > 24 * 3600


@pytest.mark.parametrize("beyond", [0, 1, 10**17])
def test_a_stream_that_has_nothing_more_to_tell_is_204(
    client: TestClient, finished: str, beyond: int
) -> None:
    listed = client.get(f"/v1/fits/{finished}/events").json()["items"]
    number, dash, rest = listed[-1]["id"].partition("-")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": f"{int(number) + beyond}{dash}{rest}"}
    answer = client.get(f"/v1/fits/{finished}/events", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    headers["Last-Event-ID"] = listed[-2]["id"]
    assert client.get(f"/v1/fits/{finished}/events", headers=headers).text.count("data:") == 1


def test_a_stream_that_is_ahead_of_its_fit_ends_with_it(
    client: TestClient, fit_id: str, store: MemoryStore
) -> None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "9" * 17}
    after(0.3, lambda: store.request_cancel(fit_id))
    answer = client.get(f"/v1/fits/{fit_id}/events", headers=headers)
    assert (answer.status_code, answer.text.count("data:")) == (200, 1)


def test_a_deletion_holds_to_its_condition(client: TestClient, finished: str) -> None:
    address = f"/v1/fits/{finished}"
    tag = client.get(address).headers["ETag"]
    for header, value in (("If-Match", '"another"'), ("If-Match", f"W/{tag}"), ("If-None-Match", "*")):
        refused = client.delete(address, headers={header: value})
        assert (refused.status_code, refused.json()["type"]) == (412, "/problems/precondition-failed")
    assert client.get(address, headers={"If-Match": '"another"'}).status_code == 412
    assert client.get(address, headers={"If-Match": tag}).status_code == 200
    assert client.delete(address, headers={"If-Match": f'"another", {tag}'}).status_code == 204


def test_a_fit_that_may_change_has_no_etag_to_match(client: TestClient, fit_id: str) -> None:
    assert client.delete(f"/v1/fits/{fit_id}", headers={"If-Match": '"any"'}).status_code == 412
    assert client.delete(f"/v1/fits/{fit_id}", headers={"If-Match": "*"}).status_code == 204
    assert client.delete(f"/v1/fits/{fit_id}", headers={"If-Match": "*"}).status_code == 410

"""What only a real server can show: times to live, segments, a hung, full or absent server."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from stack.valkey import Server, running
from store.base import StoreFull, StoreUnavailable
from store.jobs import Jobs
from store.keys import Keys
from store.records import Progress, WorkerState
from store.redis import RedisStore
from store.replies import RedisReplies
from store.settings import StoreSettings
from tests.store.conftest import Kit
from tests.store.examples import FAILURE, RESULT, record
from tests.store.troubles import REFUSES_CHANGES, TROUBLES, troubled


def lives_for_ever(raw: redis.Redis) -> set[str]:
    return {key.decode() for key in raw.scan_iter() if raw.pttl(key) == -1}


def test_only_what_is_queued_or_running_has_no_time_to_live(raw: redis.Redis, redis_kit: Kit) -> None:
    store = redis_kit.store
    store.beat(WorkerState("one", warm=True, busy=False), 5.0)
    store.lead("one", 5.0)
    claims = {}
    for name in ("fit_succeeds", "fit_fails", "fit_is_cancelled", "fit_is_deleted", "fit_dies"):
        store.create(record(name), bytes(3000))
        claims[name] = store.claim(name, "worker", 0.01)
        store.progress(claims[name], Progress("sampling"))  # type: ignore[arg-type]
    assert any("fit_dies" in key for key in lives_for_ever(raw))
    store.finish(claims["fit_succeeds"], RESULT, {"posterior": bytes(3000)})  # type: ignore[arg-type]
    store.fail(claims["fit_fails"], FAILURE)  # type: ignore[arg-type]
    store.request_cancel("fit_is_cancelled")
    store.cancelled(claims["fit_is_cancelled"], RESULT, {"posterior": bytes(3000)})  # type: ignore[arg-type]
    store.delete("fit_is_deleted")
    for _ in range(3):
        time.sleep(0.02)
        store.claim("fit_dies", "worker", 0.01)
    assert lives_for_ever(raw) == set()
    time.sleep(1.0)
    store.create(record("fit_new"), b"")
    left = {key.decode() for key in raw.scan_iter()}
    assert not any("succeeds" in key or "dies" in key for key in left)


def test_segments_of_an_upload_that_nobody_published_expire(
    raw: redis.Redis, settings: StoreSettings
) -> None:
    store = RedisStore(settings.model_copy(update={"upload_ttl": 5.0}))
    store.create(record(), b"")
    old = store.claim("fit_a", "worker", 0.01)
    time.sleep(0.02)
    new = store.claim("fit_a", "other", 5.0)
    assert old is not None
    assert new is not None
    before = set(raw.scan_iter())
    assert not store.finish(old, RESULT, {"posterior": bytes(5000)})
    assert set(raw.scan_iter()) == before
    assert store.finish(new, RESULT, {"posterior": bytes(5000)})
    segments = set(raw.scan_iter()) - before
    assert sorted(raw.strlen(key) for key in segments if b"blob" in key) == [1000] * 5


def test_only_the_last_of_what_was_saved_takes_room(raw: redis.Redis, settings: StoreSettings) -> None:
    store = RedisStore(settings.model_copy(update={"checkpoint_ttl": 5.0}))
    store.create(record(), b"")
    claim = store.claim("fit_a", "worker", 5.0)
    assert claim is not None
    before = set(raw.scan_iter())
    for size in (5000, 2500):
        assert store.save_checkpoint(claim, bytes(size))
    segments = set(raw.scan_iter()) - before
    assert sorted(raw.strlen(key) for key in segments) == [500, 1000, 1000]
    assert all(0 < raw.pttl(key) <= 5000 for key in segments)
    store.finish(claim, RESULT, {})
    assert not segments & set(raw.scan_iter())


def test_a_lost_claim_publishes_nothing_however_many_try(settings: StoreSettings, raw: redis.Redis) -> None:
    store = RedisStore(settings)
    store.create(record(), b"")
    claims = []
    for _ in range(3):
        claim = store.claim("fit_a", "worker", 0.001)
        assert claim is not None
        claims.append(claim)
        time.sleep(0.005)
    with ThreadPoolExecutor(3) as pool:
        results = [replace(RESULT, method=str(i)) for i in range(3)]
        published = list(pool.map(lambda i: store.finish(claims[i], results[i], {"p": b"%d" % i}), range(3)))
    assert published == [False, False, True]
    assert store.artifact("fit_a", "p") == b"2"


def test_an_absent_server_is_said_to_be_unavailable_at_once(tmp_path: Path) -> None:
    store = RedisStore(StoreSettings(redis_url=f"unix://{tmp_path}/none.sock"))
    began = time.monotonic()
    for call in (store.ping, lambda: store.get("fit_a"), lambda: store.create(record(), b"")):
        with pytest.raises(StoreUnavailable):
            call()
    assert time.monotonic() - began < 0.5


def test_a_hung_server_is_said_to_be_unavailable_within_three_seconds(
    server: Server, raw: redis.Redis
) -> None:
    store = RedisStore(StoreSettings(redis_url=server.url))
    store.ping()
    process = int(raw.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    try:
        for call in (lambda: store.get("fit_a"), lambda: store.create(record(), b""), store.workers):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                call()
            assert time.monotonic() - began < 3.0
    finally:
        os.kill(process, signal.SIGCONT)
    deadline = time.monotonic() + 5.0
    while True:
        try:
            store.ping()
            break
        except StoreUnavailable:
            assert time.monotonic() < deadline


def test_a_write_that_was_not_answered_is_not_made_again(server: Server, raw: redis.Redis) -> None:
    store = RedisStore(StoreSettings(redis_url=server.url, event_interval=0.0))
    store.create(record(), b"")
    claim = store.claim("fit_a", "worker", 60.0)
    assert claim is not None
    before = len(store.events("fit_a"))
    process = int(raw.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            store.progress(claim, Progress("sampling", 0.5))
    finally:
        os.kill(process, signal.SIGCONT)
    time.sleep(0.2)
    # The server found it when it came back; a client that tries again by itself would have it twice.
    assert len(store.events("fit_a")) == before + 1


def test_a_port_that_answers_nothing_is_said_to_be_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = RedisStore(StoreSettings(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.get("fit_a")
        assert time.monotonic() - began < 3.0


def test_a_full_server_refuses_new_fits_and_still_looks_after_the_running(folder: Path) -> None:
    server = Server.of(folder, max_memory="8mb")
    with running(server), redis.Redis.from_url(server.url) as raw:
        store = RedisStore(StoreSettings(redis_url=server.url))
        store.create(record(), b"data")
        claim = store.claim("fit_a", "worker", 5.0)
        assert claim is not None
        with contextlib.suppress(redis.exceptions.OutOfMemoryError):
            for i in range(1000):
                raw.set(f"filler:{i}", bytes(100_000), ex=100)
        began = time.monotonic()
        with pytest.raises(StoreFull) as refused:
            store.create(record("fit_b"), b"data")
        assert time.monotonic() - began < 0.2
        assert refused.value.scope == "store"
        assert store.renew(claim, 5.0).held
        assert store.progress(claim, Progress("sampling", 0.5)).held
        with pytest.raises(StoreFull):
            store.finish(claim, RESULT, {"posterior": bytes(2_000_000)})
        assert store.fail(claim, FAILURE)
        assert raw.info("stats")["evicted_keys"] == 0


def test_nothing_acknowledged_is_lost_with_the_server_killed(folder: Path) -> None:
    server = Server.of(folder)
    store = RedisStore(StoreSettings(redis_url=server.url))
    with running(server) as process:
        store.create(record(), b"data")
        time.sleep(1.2)  # the log is written out each second
        process.kill()
        process.wait()
    with running(server):
        assert store.payload("fit_a") == b"data"
        assert store.claim("fit_a", "worker", 5.0) is not None


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_server_that_says_it_cannot_is_unavailable_and_then_not(
    raw: redis.Redis, settings: StoreSettings, trouble: str
) -> None:
    RedisStore(settings).create(record(), b"data")
    with troubled(settings.redis_url, trouble):
        store, jobs, replies = RedisStore(settings), Jobs(settings), RedisReplies(settings)
        changes: list[Callable[[], object]] = [
            lambda: store.create(record("fit_b"), b"data"),
            lambda: store.claim("fit_a", "worker", 5.0),
            lambda: store.create_many([(record(f"fit_{i}"), b"data") for i in range(3)]),
            lambda: replies.reserve("a", b"", 1.0),
            lambda: jobs.enqueue("fit_a", "batch"),
        ]
        # A connection to the broker that another of these tests had opened was cut before.
        for change in (store.ping, *changes[: -1 if trouble == "NOAUTH" else None]):
            with pytest.raises(StoreUnavailable) as caught:
                change()
            assert caught.value.refusal in {trouble, "READONLY" if trouble == "MASTERDOWN" else trouble}
        if trouble in REFUSES_CHANGES:
            assert store.get("fit_a") is not None
            assert store.payload("fit_a") == b"data"
        else:
            with pytest.raises(StoreUnavailable):
                store.get("fit_a")
    store.ping()
    for change in changes:
        change()


def test_a_server_that_is_full_still_takes_what_looks_after_fits(raw: redis.Redis, redis_kit: Kit) -> None:
    raw.config_set("maxmemory", "1")
    try:
        redis_kit.store.ping()
    finally:
        raw.config_set("maxmemory", "100mb")


def test_a_mistake_of_ours_is_none_of_the_server_s(raw: redis.Redis, redis_kit: Kit) -> None:
    raw.set(Keys("ranef").record("fit_a"), "no hash")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        redis_kit.store.get("fit_a")

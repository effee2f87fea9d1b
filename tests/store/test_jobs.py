"""The queue's contract, on a real server."""

import os
import signal
import time
from pathlib import Path

import pytest
import redis

from stack.valkey import Server, running
from store.base import StoreFull, StoreUnavailable
from store.jobs import QUEUES, Jobs
from store.settings import StoreSettings


def test_a_message_goes_to_its_queue_alone_and_names_its_fit(
    raw: redis.Redis, settings: StoreSettings
) -> None:
    jobs = Jobs(settings)
    assert jobs.waiting() == frozenset()
    jobs.enqueue("fit_a", "batch")
    jobs.enqueue("fit_b.c", "interactive")
    assert [raw.llen(queue) for queue in QUEUES] == [1, 1]
    assert jobs.waiting() == {"fit_a", "fit_b.c"}


def test_a_message_carries_the_id_and_no_data(raw: redis.Redis, settings: StoreSettings) -> None:
    Jobs(settings).enqueue("fit_a", "batch")
    (message,) = raw.lrange("batch", 0, -1)
    assert len(message) < 1000
    assert b"pickle" not in message


def test_an_unknown_queue_is_refused(settings: StoreSettings) -> None:
    with pytest.raises(ValueError, match="no such queue"):
        Jobs(settings).enqueue("fit_a", "express")


def test_an_absent_server_is_said_to_be_unavailable_at_once(tmp_path: Path) -> None:
    jobs = Jobs(StoreSettings(redis_url=f"unix://{tmp_path}/none.sock"))
    for call in (lambda: jobs.enqueue("fit_a", "batch"), jobs.waiting, lambda: jobs.hold("tag")):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            call()
        assert time.monotonic() - began < 0.5


def test_holding_prolongs_only_what_a_worker_has_taken(raw: redis.Redis, settings: StoreSettings) -> None:
    jobs = Jobs(settings)
    raw.zadd("unacked_index", {"taken": 1.0})
    jobs.hold("taken")
    jobs.hold("acknowledged")
    assert raw.zscore("unacked_index", "taken") == pytest.approx(time.time(), abs=5.0)
    assert raw.zscore("unacked_index", "acknowledged") is None


def test_messages_that_nobody_has_taken_are_counted(raw: redis.Redis, settings: StoreSettings) -> None:
    jobs = Jobs(settings)
    assert jobs.lengths() == {"interactive": 0, "batch": 0}
    jobs.enqueue("fit_a", "batch")
    jobs.enqueue("fit_b", "batch")
    assert jobs.lengths() == {"interactive": 0, "batch": 2}


def test_a_hung_server_is_said_to_be_unavailable_within_three_seconds(
    server: Server, raw: redis.Redis, settings: StoreSettings
) -> None:
    jobs = Jobs(settings)
    jobs.enqueue("fit_a", "batch")
    process = int(raw.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            jobs.enqueue("fit_b", "batch")
        assert time.monotonic() - began < 3.0
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_full_server_refuses_a_message_at_once(tmp_path: Path) -> None:
    server = Server.of(tmp_path, max_memory="8mb")
    with running(server), redis.Redis.from_url(server.url) as raw:
        jobs = Jobs(StoreSettings(redis_url=server.url))
        jobs.enqueue("fit_a", "batch")
        raw.set("filler", bytes(2_000_000), ex=100)
        raw.config_set("maxmemory", "1mb")
        began = time.monotonic()
        with pytest.raises(StoreFull):
            jobs.enqueue("fit_b", "batch")
        assert time.monotonic() - began < 0.5
        assert jobs.waiting() == {"fit_a"}

"""Callbacks of real workers to a real receiver: told once though processes die, under one id if told twice."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import psutil
import pytest
import redis

from store.callbacks import FIT_EVENTS, Callback, CallbackState
from store.records import FitStatus
from store.redis_callbacks import RedisCallbacks
from store.settings import StoreSettings
from store.signing import new_secret
from tests.system.conftest import Plant, eventually
from tests.worker.receiver import Receiver, receiving

SECRET = new_secret()


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the workers are told: this machine may be called, and time is short."""
    given = {
        "SECRETS": f"acme {SECRET}",
        "NETWORKS": '["127.0.0.0/8"]',
        "HTTP": "true",
        "INTERVAL": "0.1",
        "LEASE": "2",
        "DELAYS": "[0.3, 0.3]",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"RANEF_CALLBACK_{name}", value)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def callbacks(plant: Plant) -> RedisCallbacks:
    return RedisCallbacks(StoreSettings(redis_url=plant.server.url))


def register(plant: Plant, fit_id: str, receiver: Receiver) -> Callback:
    return callbacks(plant).register(fit_id, "acme", receiver.url, FIT_EVENTS, [fit_id])


def await_state(plant: Plant, fit_id: str, state: CallbackState) -> Callback:
    eventually(lambda: callbacks(plant).of(fit_id)[0].state is state)
    return callbacks(plant).of(fit_id)[0]


def test_every_end_of_a_fit_is_told_once(plant: Plant, receiver: Receiver) -> None:
    plant.submit("fit_cancelled")
    register(plant, "fit_cancelled", receiver)
    plant.store.request_cancel("fit_cancelled")
    plant.start_worker()
    plant.start_worker()
    plant.submit("fit_succeeds", seconds=0.5)
    register(plant, "fit_succeeds", receiver)
    plant.submit("fit_fails", issue="two columns are the same")
    register(plant, "fit_fails", receiver)
    for fit_id in ("fit_cancelled", "fit_succeeds", "fit_fails"):
        await_state(plant, fit_id, CallbackState.DELIVERED)
    told = [message.verified(SECRET) for message in receiver.messages]
    assert sorted((content["data"]["id"], content["type"]) for content in told) == [
        ("fit_cancelled", "fit.cancelled"),
        ("fit_fails", "fit.failed"),
        ("fit_succeeds", "fit.succeeded"),
    ]


def test_a_receiver_that_is_away_is_told_when_it_is_back(plant: Plant, receiver: Receiver) -> None:
    receiver.statuses = [503, 200]
    plant.start_worker()
    plant.submit("fit_a")
    register(plant, "fit_a", receiver)
    delivered = await_state(plant, "fit_a", CallbackState.DELIVERED)
    assert (delivered.attempts, len({message.id for message in receiver.messages})) == (2, 1)


def test_a_message_whose_sender_was_killed_is_sent_by_another_under_the_same_id(
    plant: Plant, receiver: Receiver
) -> None:
    hold = threading.Event()
    receiver.respond = lambda handler: (hold.wait(10.0), None)[1]
    sender = plant.start_worker()
    plant.submit("fit_a")
    register(plant, "fit_a", receiver)
    eventually(lambda: receiver.messages)
    sender.kill()
    sender.wait()
    receiver.respond = None
    hold.set()
    plant.start_worker()
    delivered = await_state(plant, "fit_a", CallbackState.DELIVERED)
    assert delivered.attempts == 2
    first, second = receiver.messages
    assert first.id == second.id == delivered.id
    assert first.verified(SECRET) == second.verified(SECRET)


def test_what_is_due_survives_the_server_and_all_workers(
    plant: Plant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANEF_CALLBACK_THREADS", "0")
    worker = plant.start_worker()
    plant.submit("fit_a")
    register(plant, "fit_a", receiver)
    plant.await_status("fit_a", FitStatus.SUCCEEDED)
    worker.kill()
    worker.wait()
    time.sleep(1.2)  # the log is written out each second
    with redis.Redis.from_url(plant.server.url) as client:
        psutil.Process(client.info("server")["process_id"]).kill()
    time.sleep(0.5)
    again = subprocess.Popen([sys.executable, "-m", "stack.child", "--", *plant.server.command])
    try:
        plant.server.wait(again)
        assert await_state(plant, "fit_a", CallbackState.PENDING).attempts == 0
        monkeypatch.setenv("RANEF_CALLBACK_THREADS", "2")
        plant.start_worker()
        await_state(plant, "fit_a", CallbackState.DELIVERED)
        assert len(receiver.messages) == 1
    finally:
        again.terminate()
        again.wait()


def test_a_tenant_whose_receiver_hangs_keeps_no_other_waiting(
    plant: Plant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SECRETS": f"acme {SECRET}; greedy {new_secret()}",
        "THREADS": "2",
        "TIMEOUT": "1",
    }.items():
        monkeypatch.setenv(f"RANEF_CALLBACK_{name}", value)
    hold = threading.Event()
    with receiving() as hanging:
        hanging.respond = lambda handler: (hold.wait(10.0), None)[1]
        before = list[int]()

        def respond(handler: BaseHTTPRequestHandler) -> None:
            before.append(len(hanging.messages))
            handler.send_response(204)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        receiver.respond = respond
        try:
            for i in range(12):
                plant.submit(f"fit_{i}", tenant="greedy")
                callbacks(plant).register(f"fit_{i}", "greedy", hanging.url, FIT_EVENTS, [f"fit_{i}"])
                plant.store.request_cancel(f"fit_{i}")
            plant.submit("fit_a")
            register(plant, "fit_a", receiver)
            plant.store.request_cancel("fit_a")
            plant.start_worker()
            await_state(plant, "fit_a", CallbackState.DELIVERED)
            # Those that were due before would have taken six seconds.
            assert before[0] <= 4
        finally:
            hold.set()

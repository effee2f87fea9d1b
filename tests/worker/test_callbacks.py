"""Callbacks on their way: signed as the specification has it, retried, and never sent where they may not go.

The receiver is a real server; the callbacks are the twin in memory, whose clock is told the time.
"""

import ipaddress
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from service.answers.callbacks import CallbackMessage
from store.callbacks import FIT_EVENTS, Callback, CallbackState, MemoryCallbacks
from store.destinations import Destinations
from store.memory import MemoryStore
from store.signing import InvalidSecrets, Secrets, new_secret
from tests.store.examples import RESULT, record
from tests.worker.receiver import Receiver, make_certificate, receiving
from worker.callbacks import Courier, message, send_next, verdict
from worker.delivery import Undelivered, post, resolve
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
SECRET = new_secret()
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
OPEN: dict[str, Any] = {
    "callback_secrets": f"acme {SECRET}",
    "callback_networks": LOOPBACK,
    "callback_http": True,
    "callback_timeout": 0.5,
    "callback_interval": 0.02,
}
PRIVATE = "The host is not in the public internet."


@dataclass
class Office:
    """Where callbacks are sent from."""

    store: MemoryStore
    callbacks: MemoryCallbacks
    settings: WorkerSettings
    now: list[float]

    def due(self, url: str, fit_id: str = "fit_a") -> Callback:
        """Let a fit succeed whose end is to be told."""
        self.store.create(record(fit_id), b"data")
        claim = self.store.claim(fit_id, "worker", 5.0)
        assert claim is not None
        callback = self.callbacks.register(fit_id, "acme", url, FIT_EVENTS, [fit_id])
        assert self.store.finish(claim, RESULT, {})
        return callback

    def send(self) -> bool:
        return send_next(self.callbacks, Secrets.of(self.settings), self.settings)

    def told(self, fit_id: str = "fit_a") -> Callback:
        (callback,) = self.callbacks.of(fit_id)
        return callback


def office(**changes: Any) -> Office:
    settings = WorkerSettings(**(OPEN | changes))
    now = [1_800_000_000.0]
    store = MemoryStore(settings, lambda: now[0])
    return Office(store, MemoryCallbacks(store, settings, lambda: now[0]), settings, now)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_a_message_says_what_happened_and_is_signed(receiver: Receiver) -> None:
    here = office()
    callback = here.due(f"{receiver.url}?run=17&x=%20")
    assert here.send()
    (message,) = receiver.messages
    assert message.verified(SECRET) == {
        "type": "fit.succeeded",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {
            "id": "fit_a",
            "status": "succeeded",
            "links": {"self": "/v1/fits/fit_a", "summary": "/v1/fits/fit_a/summary"},
        },
    }
    assert message.path == "/hook?run=17&x=%20"
    assert message.id == callback.id
    assert message.headers["content-type"] == "application/json"
    assert message.headers["host"] == receiver.url.split("/")[2]
    assert abs(int(message.headers["webhook-timestamp"]) - time.time()) < 5
    told = here.told()
    assert (told.state, told.status, told.error, told.attempts) == (CallbackState.DELIVERED, 204, None, 1)
    assert not here.send()


@pytest.mark.parametrize("event", [*FIT_EVENTS, "batch.ended"])
def test_a_message_is_as_the_contract_has_it(event: str) -> None:
    subject = "bat_a" if event == "batch.ended" else "fit_a"
    callback = Callback(
        "msg_a", "acme", subject, "https://example.org", (event,), event=event, happened_at=1.5
    )
    content = CallbackMessage.model_validate_json(message(callback))
    assert (content.type, content.timestamp) == (event, "1970-01-01T00:00:01.500Z")
    assert content.data.links["self"] == f"/v1/{'batches' if subject == 'bat_a' else 'fits'}/{subject}"
    assert ("summary" in content.data.links) == (event == "fit.succeeded")


def test_another_s_secret_or_another_body_does_not_verify(receiver: Receiver) -> None:
    here = office()
    here.due(receiver.url)
    here.send()
    (message,) = receiver.messages
    with pytest.raises(WebhookVerificationError):
        message.verified(new_secret())
    with pytest.raises(WebhookVerificationError):
        replace(message, body=message.body.replace(b"fit_a", b"fit_b")).verified(SECRET)
    with pytest.raises(WebhookVerificationError):
        replace(message, headers=message.headers | {"webhook-id": "msg_other"}).verified(SECRET)


def test_while_a_secret_is_changed_both_verify(receiver: Receiver) -> None:
    new = new_secret()
    here = office(callback_secrets=f"acme {new}; acme {SECRET}; globex {new_secret()}")
    here.due(receiver.url)
    here.send()
    (message,) = receiver.messages
    assert message.verified(new) == message.verified(SECRET)
    assert len(message.headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_whatever_is_no_2xx_is_tried_again_under_the_same_id(receiver: Receiver, status: int) -> None:
    here = office()
    here.due(receiver.url)
    receiver.statuses = [status, 200]
    receiver.location = f"{receiver.url}/elsewhere"
    assert here.send()
    told = here.told()
    assert (told.state, told.status, told.attempts) == (CallbackState.PENDING, status, 1)
    assert not here.send()
    here.now[0] += 10
    assert here.send()
    assert here.told().state is CallbackState.DELIVERED
    first, second = receiver.messages
    assert (first.id, first.body, first.path) == (second.id, second.body, second.path)


def test_410_ends_it(receiver: Receiver) -> None:
    here = office()
    here.due(receiver.url)
    receiver.statuses = [410]
    here.send()
    assert (here.told().state, here.told().status) == (CallbackState.FAILED, 410)
    here.now[0] += 86_400
    assert not here.send()


def test_it_is_given_up_after_nine_attempts_in_more_than_a_day(receiver: Receiver) -> None:
    here = office()
    here.due(receiver.url)
    receiver.statuses = [500]
    started = here.now[0]
    while here.told().state is CallbackState.PENDING:
        here.now[0] = max(here.now[0], (here.told().due_at or 0.0) + 1e-3)
        assert here.send()
    assert (here.told().state, here.told().attempts) == (CallbackState.FAILED, 9)
    assert len(receiver.messages) == 9
    assert 86_400 < here.now[0] - started < here.settings.callback_ttl
    assert here.callbacks.outcomes() == {"retried": 8, "failed": 1}


def test_the_pauses_grow_and_are_not_the_same_for_all() -> None:
    settings = WorkerSettings()
    callback = Callback("msg_a", "acme", "fit_a", "https://example.org", FIT_EVENTS, status=500)
    pauses = [
        [verdict(replace(callback, attempts=attempt), settings)[1] or 0.0 for _ in range(50)]
        for attempt in range(1, 9)
    ]
    assert all(len(set(drawn)) > 40 for drawn in pauses)
    means = [statistics.fmean(drawn) for drawn in pauses]
    assert means == sorted(means)


def dribble(handler: BaseHTTPRequestHandler) -> None:
    """Answer one byte at a time, each soon enough for a timeout that begins again with each."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        pass


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Answer well, and never stop."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(65_536))
    except OSError:
        pass


def flood(handler: BaseHTTPRequestHandler) -> None:
    """Answer with headers without end."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X: y\r\n" * 1000)
    except OSError:
        pass


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close without an answer."""


@pytest.mark.parametrize(
    ("respond", "status", "said"),
    [
        (dribble, None, "There was no answer within 0.5 s."),
        (endless, 200, None),
        (flood, None, "The connection broke before there was an answer."),
        (hang_up, None, "The connection broke before there was an answer."),
    ],
)
def test_an_answer_is_bounded_in_time_and_size(
    receiver: Receiver, respond: Any, status: int | None, said: str | None
) -> None:
    here = office()
    here.due(receiver.url)
    receiver.respond = respond
    began = time.monotonic()
    assert here.send()
    assert time.monotonic() - began < 5.0
    assert (here.told().status, here.told().error) == (status, said)


def test_a_receiver_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here = office()
    here.due(f"http://127.0.0.1:{port}/")
    here.send()
    assert here.told().error == "The host cannot be connected to."


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("private.example", ["10.0.0.7"]),
        ("metadata.example", ["169.254.169.254"]),
        ("loopback.example", ["127.0.0.1", "::1"]),
        ("mapped.example", ["::ffff:127.0.0.1"]),
        ("tunnel.example", ["2002:7f00:1::1", "64:ff9b::a00:1"]),
        ("link.example", ["fe80::1"]),
    ],
)
def test_a_name_that_stands_for_a_private_address_is_refused_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch, name: str, addresses: list[str]
) -> None:
    resolving(monkeypatch, addresses)
    here = office(callback_networks=())
    here.due(f"https://{name}/")
    here.send()
    assert (here.told().state, here.told().error) == (CallbackState.PENDING, PRIVATE)


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have names resolved to these addresses, one answer after the other; gives the names that were asked for."""
    asked: list[str] = []
    given = [*answers]

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = given.pop(0) if len(given) > 1 else given[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr("worker.delivery.socket.getaddrinfo", getaddrinfo)
    return asked


def test_what_was_checked_is_what_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """A name that is public at the first look and private at the second has no second."""
    port = int(receiver.url.split(":")[2].split("/")[0])
    rules = Destinations(plain_http=True, networks=())
    destination = rules.read(f"http://rebinding.example:{port}/")
    with monkeypatch.context() as patch:
        asked = resolving(patch, ["203.0.114.1"], ["127.0.0.1"])
        addresses = resolve(destination, rules)
        assert [str(address) for address in addresses] == ["203.0.114.1"]
        assert asked == ["rebinding.example"]
    with pytest.raises(Undelivered, match="cannot be connected"):
        post(destination, addresses, {}, b"", 0.3)
    assert receiver.messages == []


def test_a_resolver_that_does_not_answer_takes_no_longer_than_an_attempt_may(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    answers = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        answers.wait(30.0)
        raise OSError

    here = office()
    here.due("http://slow.example/")
    with monkeypatch.context() as patch:
        patch.setattr("worker.delivery.socket.getaddrinfo", hang)
        began = time.monotonic()
        here.send()
        assert time.monotonic() - began < 5.0
        answers.set()
    assert here.told().error == "The name of the host could not be looked up within 0.5 s."


def test_of_several_addresses_only_the_allowed_are_tried(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    with monkeypatch.context() as patch:
        resolving(patch, ["10.0.0.7", "127.0.0.1", "127.0.0.1"])
        destination = Destinations(True, LOOPBACK).read(receiver.url.replace("127.0.0.1", "both.example"))
        addresses = resolve(destination, Destinations(True, LOOPBACK))
    assert [str(address) for address in addresses] == ["127.0.0.1"]
    assert post(destination, addresses, {}, b"{}", 1.0) == 204
    assert receiver.messages[0].headers["host"].startswith("both.example:")


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"])
def test_no_spelling_of_loopback_is_sent_to(receiver: Receiver, host: str) -> None:
    here = office(callback_networks=())
    here.due(receiver.url.replace("127.0.0.1", host))
    here.send()
    assert here.told().error == PRIVATE
    assert receiver.messages == []


def test_a_redirect_to_a_private_address_is_not_followed(receiver: Receiver) -> None:
    with receiving() as inner:
        here = office()
        here.due(receiver.url)
        receiver.statuses, receiver.location = [307], inner.url
        here.send()
        assert inner.messages == []
    assert here.told().status == 307


def test_rules_that_have_changed_hold_for_what_was_registered_before(receiver: Receiver) -> None:
    here = office(callback_http=False)
    here.due(receiver.url)
    here.send()
    assert "plain HTTP is not allowed" in (here.told().error or "")
    assert receiver.messages == []


def test_without_a_secret_nothing_is_sent_yet(receiver: Receiver) -> None:
    here = office(callback_secrets="")
    here.due(receiver.url)
    here.send()
    assert (here.told().state, here.told().error) == (
        CallbackState.PENDING,
        "There is no secret to sign with.",
    )
    assert receiver.messages == []


@pytest.mark.parametrize(
    ("names", "status", "said"),
    [("IP:127.0.0.1", 204, None), ("DNS:other.example", None, "The certificate of the host is not valid")],
)
def test_tls_is_judged_by_the_name_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str, status: int | None, said: str | None
) -> None:
    certificate = tmp_path / "certificate"
    make_certificate(certificate, names)
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.pem")
    with receiving(certificate) as receiver:
        here = office(callback_http=False)
        here.due(receiver.url)
        here.send()
        assert here.told().status == status
        assert (here.told().error or "").startswith(said or "")
        assert len(receiver.messages) == (status is not None)


def test_a_slow_receiver_holds_up_no_other(receiver: Receiver) -> None:
    here = office(callback_timeout=10.0)
    with receiving() as slow:
        release = threading.Event()
        slow.respond = lambda handler: (release.wait(20.0), None)[1]
        here.due(slow.url, "fit_slow")
        for i in range(5):
            here.due(receiver.url, f"fit_{i}")
        courier = Courier(here.callbacks, Secrets.of(here.settings), here.settings)
        courier.start()
        give_up = time.monotonic() + 8.0
        while len(receiver.messages) < 5 and time.monotonic() < give_up:
            time.sleep(0.01)
        courier.stop()
        release.set()
    assert len({message.id for message in receiver.messages}) == 5


@pytest.mark.parametrize(
    "line",
    ["acme", "acme whsec_", f"ACME {SECRET}", "acme whsec_dG9vIHNob3J0", f"acme {SECRET} x", "acme plain"],
    ids=["no secret", "an empty one", "no tenant", "a short one", "a third word", "no prefix"],
)
def test_secrets_that_cannot_be_read_are_named_by_their_line_and_not_shown(line: str) -> None:
    with pytest.raises(InvalidSecrets, match=r"RANEF_CALLBACK_SECRETS, line 2:") as wrong:
        Secrets.of(WorkerSettings(callback_secrets=f"# ours\n{line}\n"))
    assert SECRET not in str(wrong.value)


def test_secrets_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text(f"acme {SECRET}\nglobex {new_secret()}  # theirs\n")
    found = Secrets.of(WorkerSettings(callback_secrets_file=tmp_path / "secrets"))
    assert [name in found for name in ("acme", "globex", "initech")] == [True, True, False]
    assert SECRET not in repr(found)


def test_a_worker_whose_secrets_cannot_be_read_does_not_start() -> None:
    environment = {**os.environ, "RANEF_CALLBACK_SECRETS": "acme"}
    command = [sys.executable, "-m", "worker"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "RANEF_CALLBACK_SECRETS, line 1" in run.stderr
    assert "Traceback" not in run.stderr

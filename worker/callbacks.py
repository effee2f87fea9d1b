"""Sends callbacks: threads in the main process of each worker take what is due, sign it, post it and note the end.

A message whose sender dies is due again when its lease is over, so each is sent at least once, under one id.
"""

import logging
import random
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from model.errors import RanefError
from store.callbacks import BATCH_EVENT, Callback, Callbacks, CallbackState
from store.destinations import Destinations
from store.signing import Secrets
from worker.delivery import post, resolve
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)
_GONE = 410
_JITTER = 0.2
_PAUSE_AFTER_ERROR = 5.0


def message(callback: Callback, root_path: str = "") -> bytes:
    """Write what a callback says: what happened, when, to which fit or batch, and where more of it is."""
    address = f"{root_path}/v1/{'batches' if callback.event == BATCH_EVENT else 'fits'}/{callback.subject}"
    status = (callback.event or "").partition(".")[2]
    links = {"self": address}
    if callback.event == BATCH_EVENT:
        links["results"] = f"{address}/results"
    elif status == "succeeded":
        links["summary"] = f"{address}/summary"
    happened = datetime.fromtimestamp(callback.happened_at or 0.0, UTC).isoformat(timespec="milliseconds")
    content: dict[str, Any] = {
        "type": callback.event,
        "timestamp": happened.replace("+00:00", "Z"),
        "data": {"id": callback.subject, "status": status, "links": links},
    }
    return orjson.dumps(content)


def attempt(callback: Callback, secrets: Secrets, settings: WorkerSettings) -> Callback:
    """Send a callback once; what comes back has the status of the answer, or the error for which there is none."""
    body, now, rules = message(callback, settings.root_path), int(time.time()), Destinations.of(settings)
    if callback.tenant not in secrets:
        return replace(callback, error="There is no secret to sign with.")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ranef",
        "webhook-id": callback.id,
        "webhook-timestamp": str(now),
        "webhook-signature": secrets.sign(callback.tenant, callback.id, now, body),
    }
    try:
        # The rules may have changed since it was registered.
        destination = rules.read(callback.url)
        began, timeout = time.monotonic(), settings.callback_timeout
        addresses = resolve(destination, rules, timeout)
        spent = time.monotonic() - began
        return replace(callback, status=post(destination, addresses, headers, body, timeout, spent))
    except RanefError as error:
        return replace(callback, error=str(error))


def verdict(sent: Callback, settings: WorkerSettings) -> tuple[CallbackState, float | None]:
    """Say what becomes of a callback after an attempt, and in how many seconds the next one is."""
    if sent.status is not None and 200 <= sent.status < 300:
        return CallbackState.DELIVERED, None
    if sent.status == _GONE or sent.attempts > len(settings.callback_delays):
        return CallbackState.FAILED, None
    delay = settings.callback_delays[sent.attempts - 1]
    # Many that failed together are not to come back together.
    return CallbackState.PENDING, delay * random.uniform(1 - _JITTER, 1 + _JITTER)


def send_next(callbacks: Callbacks, secrets: Secrets, settings: WorkerSettings) -> bool:
    """Send one callback that is due; False if there is none."""
    taken = callbacks.take(settings.callback_lease)
    if taken is None:
        return False
    sent = attempt(taken, secrets, settings)
    state, retry_in = verdict(sent, settings)
    callbacks.settle(sent, state, retry_in)
    # The path may hold a token.
    host = urlsplit(sent.url).hostname
    log.info(
        "%s, %s of %s to %s: %s at attempt %d: %s",
        *(sent.id, sent.event, sent.subject, host, state, sent.attempts, sent.status or sent.error),
    )
    return True


class Courier:
    """The threads that send callbacks, so that a slow receiver keeps only one of them."""

    def __init__(self, callbacks: Callbacks, secrets: Secrets, settings: WorkerSettings) -> None:
        self._callbacks = callbacks
        self._secrets = secrets
        self._settings = settings
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, name=f"courier-{i}", daemon=True)
            for i in range(settings.callback_threads)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing new."""
        self._ended.set()

    def _repeat(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            try:
                sent = send_next(self._callbacks, self._secrets, self._settings)
                pause = 0.0 if sent else self._settings.callback_interval
            except RanefError as error:
                log.warning("no callback is sent: %s", error)
                pause = _PAUSE_AFTER_ERROR
            except Exception:
                log.exception("a callback was not sent")
                pause = _PAUSE_AFTER_ERROR

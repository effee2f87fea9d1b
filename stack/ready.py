"""`python -m stack.ready`: say when the service can be used and where, as a part of the stack, and then stay silent."""

import os
import signal
import socket
import time

from service.settings import ServiceSettings
from stack.waiting import Start, look
from store.base import Store, StoreUnavailable
from store.redis import RedisStore
from store.settings import StoreSettings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_PAUSE = 0.25
_AGAIN = 10.0
"""Seconds after which it is said once more what is waited for."""


def main() -> None:
    """Follow the start to its end; the process lives on, since one that ends would end the stack."""
    settings, store = ServiceSettings(), RedisStore(StoreSettings())
    host = _EVERYWHERE.get(settings.host, settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    began = time.monotonic()
    told, told_at, start = "", 0.0, Start()
    while awaited := start.awaited:
        if awaited != told or time.monotonic() - told_at > _AGAIN:
            where = f" ({url})" if start.answers else ""
            print(f"After {time.monotonic() - began:.0f} s: {awaited}{where} …", flush=True)
            told, told_at = awaited, time.monotonic()
        time.sleep(_PAUSE)
        # Each request has a line in the log, so there are no more of them than need be.
        if start.answers or look(host, settings.port).answers:
            start = _workers(store)
    print(f"ranef is ready. It answers at {url} (documentation: {url}/docs); Ctrl-C stops it.", flush=True)
    signal.pause()


def _workers(store: Store) -> Start:
    """What a service that answers has for workers, without those of this machine that have ended.

    For some seconds the store remembers those of the last start.
    """
    try:
        states = [state for state in store.workers() if _lives(state.id)]
    except StoreUnavailable:
        states = []
    return Start(True, len(states), sum(state.warm for state in states))


def _lives(worker: str) -> bool:
    host, _, number = worker.rpartition(":")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


if __name__ == "__main__":
    main()

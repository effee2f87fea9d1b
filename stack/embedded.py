"""`python -m stack.embedded FOLDER`: run the embedded server until told to stop, as a part of the stack.

Told to stop, it first waits for its clients to leave, so that they can put their affairs in order.
"""

import signal
import sys
import threading
import time
from pathlib import Path

import redis

from stack.valkey import Server, ServerError, running

_PATIENCE = 3.0


def serve(server: Server) -> None:
    """Run a server until SIGTERM or SIGINT; raises ServerError if it ends by itself."""
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    with running(server) as process:
        while not told_to_stop.wait(0.2):
            if (status := process.poll()) is not None:
                raise ServerError(f"the embedded server ended by itself, with status {status}")
        _await_clients(server)


def _await_clients(server: Server) -> None:
    give_up = time.monotonic() + _PATIENCE
    with redis.Redis(unix_socket_path=str(server.socket), socket_timeout=1.0) as client:
        while len(client.client_list()) > 1 and time.monotonic() < give_up:
            time.sleep(0.05)


if __name__ == "__main__":
    try:
        serve(Server.of(Path(sys.argv[1])))
    except ServerError as error:
        raise SystemExit(f"ranef: {error}") from error

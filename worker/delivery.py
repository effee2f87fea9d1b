"""One POST to an address that was checked: what was resolved is what is connected to, and it ends in time.

No redirect is followed, no proxy asked, and of an answer little more is read than its status.
"""

import http.client
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from model.errors import RanefError
from store.destinations import Destination, Destinations
from store.special_addresses import Address

# Read so that the other side is not cut off while it writes, and dropped.
_MOST_OF_AN_ANSWER = 16_384
_LOOKING_UP = threading.BoundedSemaphore(32)
_NOT_LOOKED_UP = "The name of the host could not be looked up within {:g} s."


class Undelivered(RanefError):
    """There is no answer; the message says why, in words that the receiver's owner may read."""


def resolve(destination: Destination, rules: Destinations, seconds: float = 10.0) -> tuple[Address, ...]:
    """Give the addresses of a host that a message may be sent to, best first.

    Takes at most so many seconds. Raises Undelivered if there is none.
    """
    found = _looked_up(destination.host, destination.port, seconds)
    addresses = dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found)
    allowed = tuple(address for address in addresses if rules.permit(address))
    if not allowed:
        raise Undelivered("The host is not in the public internet.")
    return allowed


def _looked_up(host: str, port: int, seconds: float) -> Sequence[Any]:
    """Ask the resolver in a thread of its own: it has no time limit, and may take minutes where no server answers."""
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)
        finally:
            _LOOKING_UP.release()

    give_up = time.monotonic() + seconds
    # Those that are given up go on until the resolver returns.
    if not _LOOKING_UP.acquire(timeout=seconds):
        raise Undelivered(_NOT_LOOKED_UP.format(seconds))
    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        found = answer.get(timeout=max(give_up - time.monotonic(), 0.01))
    except queue.Empty:
        raise Undelivered(_NOT_LOOKED_UP.format(seconds)) from None
    if isinstance(found, Exception):
        raise Undelivered("The name of the host is not known.")
    return found  # type: ignore[no-any-return]


def post(
    destination: Destination,
    addresses: Sequence[Address],
    headers: Mapping[str, str],
    body: bytes,
    seconds: float,
    spent: float = 0.0,
) -> int:
    """Send a body to the first of some addresses that can be reached, and give the status of the answer.

    All together takes at most so many seconds, some of which may be `spent` already. Raises Undelivered.
    """
    give_up = time.monotonic() + seconds - spent
    raw = _connect(addresses, destination.port, give_up)
    if destination.scheme == "https":
        context = ssl.create_default_context()
        raw = context.wrap_socket(raw, server_hostname=destination.host, do_handshake_on_connect=False)
    with raw as connected, _cut_off(connected, give_up) as too_late:
        try:
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            return _exchange(connected, destination, headers, body)
        except ssl.SSLCertVerificationError as error:
            raise Undelivered(f"The certificate of the host is not valid: {error.verify_message}.") from None
        except (OSError, http.client.HTTPException):
            if too_late.is_set():
                raise Undelivered(f"There was no answer within {seconds:g} s.") from None
            raise Undelivered("The connection broke before there was an answer.") from None


def _exchange(
    connected: socket.socket, destination: Destination, headers: Mapping[str, str], body: bytes
) -> int:
    connection = http.client.HTTPConnection(destination.host, destination.port)
    # With a socket in place it makes none of its own, which would resolve the name a second time.
    connection.sock = connected
    named = {"Host": destination.authority, "Connection": "close", **headers}
    connection.request("POST", destination.target, body, named)
    answer = connection.getresponse()
    with suppress(OSError, http.client.HTTPException):
        answer.read(_MOST_OF_AN_ANSWER)
    return answer.status


def _connect(addresses: Sequence[Address], port: int, give_up: float) -> socket.socket:
    for address in addresses:
        rest = give_up - time.monotonic()
        with suppress(OSError):
            return socket.create_connection((str(address), port), timeout=max(rest / len(addresses), 0.1))
    raise Undelivered("The host cannot be connected to.")


@contextmanager
def _cut_off(connected: socket.socket, give_up: float) -> Iterator[threading.Event]:
    """End a connection when its time is over, however it is used: a timeout of a socket is for each read alone."""
    too_late = threading.Event()

    def cut() -> None:
        too_late.set()
        with suppress(OSError):
            # Of the socket below TLS, which is not to say goodbye first.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    rest = max(give_up - time.monotonic(), 0.0)
    connected.settimeout(rest + 1.0)
    timer = threading.Timer(rest, cut)
    timer.daemon = True
    timer.start()
    try:
        yield too_late
    finally:
        timer.cancel()

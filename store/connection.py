"""A client of the server that the settings name, and its errors in the words of the store."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from store.base import StoreFull, StoreUnavailable
from store.settings import StoreSettings

SCRIPTS = Path(__file__).parent / "scripts"
_OWN = (SCRIPTS / "own.lua").read_text()
# The words of errors that speak of the command, and of no state that will pass.
_OF_THE_COMMAND = frozenset({"ERR", "WRONGTYPE", "NOSCRIPT", "NOPROTO", "CROSSSLOT", "UNKNOWN", "INVALIDOBJ"})
# What a script says of the state in which it could not go on, and the word for it outside of scripts.
_IN_SCRIPTS = {"Script killed by user": "KILLED", "ACL failure in script": "NOPERM"}
_CAPITALS = re.compile(r"[A-Z]{2,}\b")
Value = TypeVar("Value")
Command = tuple[str | bytes | int, ...]


def connect(settings: StoreSettings, timeout: float) -> redis.Redis:
    """Make a client that waits `timeout` seconds for an answer; nothing is sent before its first command."""
    return redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=settings.socket_timeout,
        # A write that is sent again after a timeout may happen twice.
        retry=Retry(NoBackoff(), 0),
        # After a change of roles the address may lead to another server, but a connection that is open does not.
        retry_on_error=[redis.exceptions.ReadOnlyError],
    )


def read(client: redis.Redis, *command: str | bytes | int) -> object:
    """Run a command that changes nothing, once more if the server does not answer or had closed the connection."""
    return _twice(lambda: client.execute_command(*command))  # type: ignore[no-untyped-call]


def read_all(client: redis.Redis, commands: Sequence[Command]) -> list[Any]:
    """Run many commands that change nothing in one exchange, as `read` does one."""
    if not commands:
        return []

    def run() -> list[Any]:
        with client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipe.execute()

    return _twice(run)


def own(key: str, tenant: str) -> Command:
    """Give the command that reads a hash if its field `tenant` says so; its answer is for `pairs`.

    Whose it is is found out where it lies, so that it takes no longer to be refused what exists.
    """
    return ("EVAL", _OWN, 1, key, tenant)


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Put the fields of a hash and their values together, as a script gives them."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _twice(run: Callable[[], Value]) -> Value:
    try:
        return run()
    # A server that writes its log to a slow disk may be silent for longer than one timeout.
    except (redis.ConnectionError, redis.TimeoutError):
        return run()


@contextmanager
def translated() -> Iterator[None]:
    """Raise the store's errors instead of the client's."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        known = in_our_words(error)
        if known is None:
            raise
        raise known from error


def in_our_words(error: Exception) -> StoreFull | StoreUnavailable | None:
    """Give the store's error for one of the client's; None for one that is a mistake of ours.

    A server says in one word what state it is in that keeps it from doing what it is asked: a full disk, a script that
    does not end, too few replicas, a change of its role. There is no complete list of these words, so all but those
    that speak of the command itself are taken for one.
    """
    if isinstance(error, redis.RedisError) and (word := _word(error)) is not None:
        if word == "OOM":
            return StoreFull("the store's memory is spent")
        return None if word in _OF_THE_COMMAND else StoreUnavailable(f"the store refuses: {word}", word)
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError):
        return StoreUnavailable("the store does not answer")
    return None


def _word(error: redis.RedisError) -> str | None:
    """Give the word with which the server begins an error; None if it is not the server's."""
    text = str(error).rpartition("of pipeline caused error: ")[2]
    for said, word in _IN_SCRIPTS.items():
        if said in text:
            return word
    if error.status_code:
        # The client has taken it off the text.
        return str(error.status_code)
    found = _CAPITALS.match(text)
    return found[0] if found else None

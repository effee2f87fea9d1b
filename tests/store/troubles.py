"""States in which a real server answers, but with errors: how it is brought into each, and out of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

Change = Callable[[redis.Redis], object]
REFUSES_CHANGES = ("MISCONF", "NOREPLICAS", "READONLY", "NOPERM")
"""Those in which what is there can be read."""
TROUBLES = (*REFUSES_CHANGES, "MASTERDOWN", "BUSY", "NOAUTH")


@contextmanager
def troubled(url: str, trouble: str) -> Iterator[None]:
    """Keep a server in a state while the context lasts."""
    with redis.Redis.from_url(url, socket_timeout=5.0) as client:
        # A connection of its own, which stays what it is.
        client.ping()
        begin, end = {
            "MISCONF": (_break_the_disk, _mend_the_disk),
            "NOREPLICAS": (_set("min-replicas-to-write", "1"), _set("min-replicas-to-write", "0")),
            "READONLY": (_demote, _promote),
            "NOPERM": (_acl("-@write"), _acl("+@all")),
            "MASTERDOWN": (_lose_the_primary, _promote),
            "BUSY": (_keep_busy, _kill_the_script),
            "NOAUTH": (_lock, _set("requirepass", "")),
        }[trouble]
        begin(client)
        try:
            yield
        finally:
            end(client)


def _set(name: str, value: str) -> Change:
    return lambda client: client.config_set(name, value)


def _acl(rule: str) -> Change:
    return lambda client: client.execute_command("ACL", "SETUSER", "default", rule)  # type: ignore[no-untyped-call]


def _lock(client: redis.Redis) -> None:
    client.config_set("requirepass", "secret")
    # Connections that are open stay trusted.
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]


def _break_the_disk(client: redis.Redis) -> None:
    """Let a snapshot fail, as on a full disk: where it is to lie there is a folder with something in it."""
    _snapshot(client).joinpath("x").mkdir(parents=True)
    client.config_set("save", "3600 1000000")
    client.bgsave()
    give_up = time.monotonic() + 10.0
    while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
        assert time.monotonic() < give_up
        time.sleep(0.02)


def _mend_the_disk(client: redis.Redis) -> None:
    _snapshot(client).joinpath("x").rmdir()
    _snapshot(client).rmdir()
    client.config_set("save", "")


def _snapshot(client: redis.Redis) -> Path:
    return Path(str(client.config_get("dir")["dir"])) / "dump.rdb"


def _demote(client: redis.Redis) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")


def _lose_the_primary(client: redis.Redis) -> None:
    client.config_set("replica-serve-stale-data", "no")
    _demote(client)


def _promote(client: redis.Redis) -> None:
    client.execute_command("REPLICAOF", "NO", "ONE")
    client.config_set("replica-serve-stale-data", "yes")


def _keep_busy(client: redis.Redis) -> None:
    client.config_set("busy-reply-threshold", "50")
    options = {"unix_socket_path": client.get_connection_kwargs()["path"], "socket_timeout": 60.0}

    def loop() -> None:
        with redis.Redis(**options) as other, suppress(redis.RedisError):
            other.eval("while true do end", 0)

    threading.Thread(target=loop, daemon=True).start()
    _await(client, answers=False)


def _kill_the_script(client: redis.Redis) -> None:
    client.script_kill()
    _await(client, answers=True)


def _await(client: redis.Redis, *, answers: bool) -> None:
    give_up = time.monotonic() + 10.0
    while time.monotonic() < give_up:
        try:
            client.ping()
            if answers:
                return
        except redis.ResponseError:
            if not answers:
                return
        time.sleep(0.02)
    raise AssertionError("the script did not begin, or end")

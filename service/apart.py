"""Work done apart from the process that answers: in processes whose memory and time are bounded.

Whoever asks waits in a thread and the event loop goes on, whatever the work does to its own process: hold its
interpreter, fill its memory, or crash.
"""

import os
import pickle
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import structlog

from model.errors import InvalidModel, Issue, RanefError
from service.settings import ServiceSettings

Ask = Callable[..., Any]
"""`ask(name, *arguments)`: have the process that answers do something, such as read the store."""
Work = Callable[..., Any]
"""`work(ask, body, *arguments)`: a function of a module, which the other process finds by its name."""

_LENGTH = struct.Struct("<Q")
_ROOT = Path(__file__).parent.parent
_WORN = 128 << 20
"""Bytes that a process may have grown by before another takes its place: memory that is freed is not all given back."""
log = structlog.get_logger()


class Apart:
    """Some processes for large work, each of which does one thing at a time."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._bytes, self._seconds = settings.check_bytes, settings.check_seconds
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._source: subprocess.Popen[bytes] | None = None
        self._idle: list[_Other] = []

    def fork(self) -> None:
        """Begin with a copy of this process, which must not have threads yet; else a new one is begun when needed."""
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            ours.close()
            _fork_when_told(theirs)
        theirs.close()
        self._control = ours

    def do(
        self,
        work: Work,
        body: bytes,
        *arguments: Any,
        asked: Mapping[str, Ask],
        most_bytes: int | None = None,
    ) -> Any:
        """Do some work in another process and give what it gives; `asked` are the questions that it may have meanwhile.

        Raises what the work raises, and InvalidModel where it takes more memory or time than it may.
        """
        other = self._take()
        try:
            most = min(most_bytes or self._bytes, self._bytes)
            value, good_as_new = other.do((work, arguments, most, self._seconds), body, asked)
        except _Finished as finished:
            self._put(other, finished.good_as_new)
            raise finished.error from None
        except BaseException:
            other.kill()
            raise
        self._put(other, good_as_new)
        return value

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            control, self._control = self._control, None
            idle, self._idle = self._idle, []
        for other in idle:
            other.close()
        if control is not None:
            control.close()
        if self._source is not None:
            self._source.wait()

    def _take(self) -> "_Other":
        with self._lock:
            while self._idle:
                other = self._idle.pop()
                if other.alive():
                    return other
                other.close()
            try:
                return self._begin()
            except OSError:
                # The process that others are copied from is gone; the next is no copy of this one, which has threads.
                log.warning("the source of the processes for large work is gone; another is started")
                self._control = None
                return self._begin()

    def _begin(self) -> "_Other":
        if self._control is None:
            ours, theirs = socket.socketpair()
            command = [sys.executable, "-m", "service.apart", str(theirs.fileno())]
            self._source = subprocess.Popen(command, cwd=_ROOT, pass_fds=[theirs.fileno()])
            theirs.close()
            self._control = ours
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [b"1"], [theirs.fileno()])
        finally:
            theirs.close()
        return _Other(ours)

    def _put(self, other: "_Other", good_as_new: bool) -> None:
        if not good_as_new:
            other.close()
            return
        with self._lock:
            self._idle.append(other)


class _Finished(Exception):
    """The work raised an error; its process is fine."""

    def __init__(self, error: Exception, good_as_new: bool) -> None:
        super().__init__()
        self.error = error
        self.good_as_new = good_as_new


class _Other:
    """One of the processes, seen from this side."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._pid: int | None = None

    def do(
        self, task: tuple[Work, tuple[Any, ...], int, float], body: bytes, asked: Mapping[str, Ask]
    ) -> tuple[Any, bool]:
        give_up = time.monotonic() + 4 * task[3] + 30.0
        try:
            self._pid = self._pid or int(pickle.loads(self._receive(give_up)))
            _send(self._link, pickle.dumps(task))
            _send(self._link, body)
            while True:
                kind, *rest = pickle.loads(self._receive(give_up))
                if kind == "ask":
                    self._answer(asked[rest[0]], rest[1])
                elif kind == "done":
                    return rest[0], rest[1]
                elif kind == "invalid":
                    raise _Finished(InvalidModel(rest[0]), rest[1])
                elif kind == "raised":
                    raise _Finished(rest[0], rest[1])
                elif kind == "exhausted":
                    raise InvalidModel(_too_dear(f"more than {task[2] >> 20} MiB of memory"))
                else:
                    raise RuntimeError(f"in another process:\n{rest[0]}")
        except (EOFError, ConnectionError, TimeoutError):
            # The kernel has ended it: for its time, for its memory, or because it crashed.
            log.warning("a process for large work has ended before its work")
            raise InvalidModel(
                _too_dear(f"more memory, or more than {task[3]:g} seconds of computing,")
            ) from None

    def alive(self) -> bool:
        """Whether it waits for work: what can be read of one that does is its first word, or nothing."""
        return self._pid is not None and not select.select([self._link], [], [], 0)[0]

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._link.close()

    def close(self) -> None:
        """Let it end by itself."""
        self._link.close()

    def _answer(self, ask: Ask, arguments: tuple[Any, ...]) -> None:
        try:
            answer = ("given", ask(*arguments))
        except InvalidModel as error:
            answer = ("invalid", error.issues)
        _send(self._link, pickle.dumps(answer))

    def _receive(self, give_up: float) -> bytes:
        if not select.select([self._link], [], [], max(0.0, give_up - time.monotonic()))[0]:
            raise TimeoutError
        return _receive(self._link)


def _too_dear(what: str) -> Issue:
    return Issue("limit-exceeded", f"To read and check this request takes {what} than one request may use.")


def _send(link: socket.socket, data: bytes) -> None:
    link.sendall(_LENGTH.pack(len(data)))
    link.sendall(data)


def _receive(link: socket.socket) -> bytes:
    length = _LENGTH.unpack(_exactly(link, _LENGTH.size))[0]
    return _exactly(link, length)


def _exactly(link: socket.socket, length: int) -> bytes:
    data = link.recv(length, socket.MSG_WAITALL) if length else b""
    while len(data) < length:
        more = link.recv(length - len(data), socket.MSG_WAITALL)
        if not more:
            raise EOFError
        data += more
    return data


def _fork_when_told(control: socket.socket) -> NoReturn:
    """Become the process of which others are copies: one for each socket that comes; end when `control` is closed."""
    # What stops the service closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    children: set[int] = set()
    while True:
        told, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not told:
            break
        link = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            control.close()
            _work_when_told(link)
        link.close()
        children.add(pid)
        for child in [*children]:
            if os.waitpid(child, os.WNOHANG)[0]:
                children.discard(child)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    os._exit(0)


def _work_when_told(link: socket.socket) -> NoReturn:
    """Do what comes through a socket, one thing after the other, until it is closed."""
    # Of two processes that fill the memory the kernel should end this one.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    forgo_pandas()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with suppress(EOFError, ConnectionError):
        _send(link, pickle.dumps(os.getpid()))
        fresh = _resident()
        while True:
            work, arguments, most_bytes, seconds = pickle.loads(_receive(link))
            _limit(most_bytes, seconds)
            answer = _answer_of(work, link, arguments)
            good_as_new = _resident() - fresh < _WORN
            _send(link, pickle.dumps((*answer, good_as_new)))
            del answer
    os._exit(0)


class _WithoutPandas(MetaPathFinder):
    """Finds no pandas."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("Nothing here needs pandas.", name=fullname)


def forgo_pandas() -> None:
    """Let Arrow do without pandas: it would load it, where it is installed, for conversions that nothing here needs."""
    sys.meta_path.insert(0, _WithoutPandas())


def _answer_of(work: Work, link: socket.socket, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    def ask(name: str, *questions: Any) -> Any:
        _send(link, pickle.dumps(("ask", name, questions)))
        kind, value = pickle.loads(_receive(link))
        if kind == "invalid":
            raise InvalidModel(value)
        return value

    try:
        return "done", work(ask, _receive(link), *arguments)
    except InvalidModel as error:
        return "invalid", error.issues
    except RanefError as error:
        return "raised", error
    except MemoryError:
        return "exhausted", None
    except (EOFError, ConnectionError):
        raise
    except Exception:
        return "failed", traceback.format_exc()


def _limit(most_bytes: int, seconds: float) -> None:
    """Let this process have so much more memory than now, and so many seconds of computing."""
    with suppress(OSError, ValueError):
        # What may be written to; addresses that an allocator only reserves do not count.
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        resource.setrlimit(
            resource.RLIMIT_DATA, (pages * resource.getpagesize() + most_bytes, resource.RLIM_INFINITY)
        )
    spent = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + seconds) + 1, resource.RLIM_INFINITY))


def _resident() -> int:
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def main(arguments: list[str]) -> None:
    """Be the process of which others are copies; the argument is the number of its socket."""
    import service.app  # noqa: F401 (what the copies need, loaded once)
    from store.threads import one_blas_thread

    one_blas_thread()
    _fork_when_told(socket.socket(fileno=int(arguments[0])))


if __name__ == "__main__":
    # Functions are found by the names of their modules, of which this one is not `__main__`.
    from service.apart import main as run

    run(sys.argv[1:])

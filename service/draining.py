"""What happens when a signal tells the process to stop: streams and waits end, readiness is withdrawn.

Servers wait for open answers before they shut down; without this an event stream would hold one for ever.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def told_of_signals(drain: Callable[[], None]) -> Iterator[None]:
    """Call `drain` first when the process is told to stop; the server's own handlers follow."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        drain()
        following = before[signal.Signals(number)]
        if callable(following):
            following(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

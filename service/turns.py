"""Requests that are worked on at once: some, in the order in which they came; those that wait for something are not.

An event loop runs what is ready in turn, and waits for its interpreter behind every thread that computes, so that each
request would wait for a step of every other one.
"""

from asyncio import Semaphore, TimerHandle, get_running_loop
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

AT_ONCE = 6
PATIENCE = 0.05
"""Seconds after which a request gives its place to another: it waits for something, such as a store that hangs."""
_ALWAYS = frozenset({"/livez"})
_KEY = "turn"


class Turn:
    """A request's place among those that are worked on."""

    def __init__(self, places: Semaphore) -> None:
        self._places = places
        self._held = False
        self._patience: TimerHandle | None = None

    async def take(self) -> None:
        """Wait for a place."""
        await self._places.acquire()
        self._held = True
        self._patience = get_running_loop().call_later(PATIENCE, self.give)

    def give(self) -> bool:
        """Give the place to another; tells whether there was one to give."""
        held, self._held = self._held, False
        if held:
            self._places.release()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        return held


class Turns:
    """Let requests wait for their turn; what asks whether the process is alive need not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.places = Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self.app(scope, receive, send)
            return
        turn = Turn(self.places)
        scope.setdefault("state", {})[_KEY] = turn

        async def receive_aside() -> Message:
            held = turn.give()
            message = await receive()
            if held:
                await turn.take()
            return message

        async def send_and_give(message: Message) -> None:
            # What is still to come may be a stream.
            turn.give()
            await send(message)

        await turn.take()
        try:
            await self.app(scope, receive_aside, send_and_give)
        finally:
            turn.give()


@asynccontextmanager
async def aside(request: Request) -> AsyncIterator[None]:
    """Let others be worked on while this request waits."""
    turn: Turn = request.scope["state"][_KEY]
    held = turn.give()
    yield
    if held:
        await turn.take()

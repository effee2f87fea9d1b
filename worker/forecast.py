"""How far a fit is and when it ends: by what was measured, and before by what is expected.

Compiling and sampling are timed apart, so that seconds in the compiler never count as the pace of the sampler.
"""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping

from model.spec import ASSUMED_COMPILATION, Method

_REMEMBERED = 16
"""Compilations of each method that are remembered."""
_OVERDUE = 0.25
"""What takes longer than was expected is expected to take this share of its time longer."""
_GUESS = 0.005
"""The share of the work that the expected pace is worth beside the measured one, so that a first step alone does not
decide."""
_MOST_POINTS = 256


class CompileTimes:
    """Seconds that fits of each method have spent in the compiler of this process; threads may share it."""

    def __init__(self) -> None:
        self._seconds: dict[Method, deque[float]] = {}

    def record(self, method: Method, seconds: float) -> None:
        """Remember what a fit has compiled."""
        self._seconds.setdefault(method, deque(maxlen=_REMEMBERED)).append(seconds)

    def expected(self, method: Method) -> float:
        """The median of what was measured, or what is assumed."""
        return self.measured().get(method, ASSUMED_COMPILATION[method])

    def measured(self) -> Mapping[Method, float]:
        """The medians by method, of those that were compiled here."""
        return {method: statistics.median(seconds) for method, seconds in list(self._seconds.items())}


COMPILE_TIMES = CompileTimes()


class Forecast:
    """Of one fit: fed with what its sampler reports, asked for what its clients are told."""

    def __init__(
        self, times: CompileTimes = COMPILE_TIMES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._times, self._clock = times, clock
        self._phase, self._noted, self._in_phase = "", clock(), 0.0
        self._sampled = 0.0
        self._points: list[tuple[float, float]] = []
        """Seconds of sampling at which more of the work was done than before, and the share that was."""
        self._waits = False
        self._compiling: float | None = None
        self._sampling: float | None = None

    def expect(self, method: Method, sampling: float) -> None:
        """Take note of what comes: a sampler, and its estimated seconds; a second one begins its work from nothing."""
        self._pass_time()
        self._compiling, self._sampling = self._times.expected(method), sampling
        self._in_phase, self._sampled, self._points, self._waits = 0.0, 0.0, [], False

    def note(self, phase: str, share: float | None) -> None:
        """Take note of a report: `share` is that of the sampler's work which is done."""
        self._pass_time()
        if phase != self._phase:
            self._phase, self._in_phase = phase, 0.0
        if share is None or not _samples(phase):
            return
        if share <= self._share:
            # More is left than was known: what was told stays until it is true again.
            self._waits = True
            return
        if self._waits and (pace := self._pace()) is not None:
            # Work was done meanwhile that no share tells of.
            self._sampling, self._points = 1 / pace, []
        self._waits = False
        self._points.append((self._sampled, share))
        if len(self._points) > _MOST_POINTS:
            self._points = [*self._points[:-1:2], self._points[-1]]

    def now(self) -> tuple[float | None, float | None]:
        """The share of the sampler's work that is done, and the seconds until the fit ends; None what is not known."""
        self._pass_time()
        if self._phase == "summarizing":
            return 1.0, _OVERDUE * self._in_phase
        return max(self._share, 0.0), self._left()

    @property
    def _share(self) -> float:
        return self._points[-1][1] if self._points else -1.0

    def _left(self) -> float | None:
        if self._phase == "compiling" and self._compiling is not None and self._sampling is not None:
            return _rest(self._compiling, self._in_phase) + self._sampling
        if not _samples(self._phase):
            return None
        if (pace := self._pace()) is not None:
            at, share = self._points[-1]
            return _rest((1 - share) / pace, self._sampled - at)
        return None if self._sampling is None else _rest(self._sampling, self._sampled)

    def _pace(self) -> float | None:
        """Work in a second, over the later half of the sampling: a warm-up has a pace of its own."""
        if not self._points:
            return None
        at, done = self._points[-1]
        half = (self._points[0][0] + at) / 2
        seconds, share = next((p for p in reversed(self._points) if p[0] <= half), self._points[0])
        work, took = done - share, at - seconds
        if self._sampling is not None:
            work, took = work + _GUESS, took + _GUESS * self._sampling
        return work / took if work > 0 and took > 0 else None

    def _pass_time(self) -> None:
        now = self._clock()
        seconds, self._noted = now - self._noted, now
        self._in_phase += seconds
        if _samples(self._phase):
            self._sampled += seconds


def _samples(phase: str) -> bool:
    return phase not in ("", "preparing", "compiling", "summarizing")


def _rest(expected: float, spent: float) -> float:
    return max(expected - spent, _OVERDUE * spent)

"""What a sampler may say and ask while it runs; it knows neither the queue nor the store behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from model.errors import RanefError

if TYPE_CHECKING:
    import numpy as np

    from model.spec import Method
    from worker.fitting import FitResult


@dataclass(frozen=True, slots=True)
class Saved:
    """What a sampler needs to go on where it was: plain JSON, and arrays by name."""

    meta: Mapping[str, Any]
    arrays: "Mapping[str, np.ndarray[Any, Any]]"


class Monitor(Protocol):
    """The sampler's only way out; no method raises, and all but `save` and `saved` are cheap."""

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        """Say what the fit does, and what share of the sampler's work is done, in [0, 1], where it can be known.

        To be called at least once a second while it samples, and once when a phase begins.
        """
        ...

    def expect(self, method: "Method", seconds: float) -> None:
        """Say by which method sampling is about to begin, and how many seconds it may take without compiling."""
        ...

    def cancelled(self) -> bool:
        """Tell whether to stop: somebody asked, or the fit has been given to another worker."""
        ...

    def leaving(self) -> bool:
        """Tell whether the process is to end: who can save how far the fit is does so, and raises HandedBack."""
        ...

    def defers(self) -> bool:
        """Tell whether others are to go first, now that this fit proves slow: the sampler then raises HandedBack."""
        ...

    def save(self, progress: Saved) -> None:
        """Keep what the fit needs to go on from here should this process die; what is too large is not kept."""
        ...

    def saved(self) -> Saved | None:
        """Give what another process had saved of this fit; None if none had."""
        ...


class Cancelled(RanefError):
    """Raised by a sampler that stopped because it was asked to; `partial` has the draws so far."""

    def __init__(self, partial: "FitResult | None" = None) -> None:
        super().__init__("the fit was cancelled")
        self.partial = partial


class HandedBack(RanefError):
    """Raised by a sampler that stopped so that another process goes on with the fit."""

    def __init__(self) -> None:
        super().__init__("the fit is handed back")

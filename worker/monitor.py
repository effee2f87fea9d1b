"""What a sampler may say and ask while it runs; it knows neither the queue nor the store behind it."""

from typing import TYPE_CHECKING, Protocol

from model.errors import RanefError

if TYPE_CHECKING:
    from worker.fitting import FitResult


class Monitor(Protocol):
    """The sampler's only way out; both methods are cheap and never raise."""

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        """Say how far the fit is: `fraction` in [0, 1] of the whole; to be called at least once a second."""
        ...

    def cancelled(self) -> bool:
        """Tell whether to stop: somebody asked, or the fit has been given to another worker."""
        ...


class Cancelled(RanefError):
    """Raised by a sampler that stopped because it was asked to; `partial` has the draws so far."""

    def __init__(self, partial: "FitResult | None" = None) -> None:
        super().__init__("the fit was cancelled")
        self.partial = partial

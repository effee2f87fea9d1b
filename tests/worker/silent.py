"""A monitor that nobody listens to."""

from model.spec import Method
from worker.monitor import Saved


class Silent:
    """Hears reports and never stops a fit."""

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        """Nobody listens."""

    def expect(self, method: Method, seconds: float) -> None:
        """Nobody waits."""

    def cancelled(self) -> bool:
        """Nobody stops it."""
        return False

    def leaving(self) -> bool:
        """The process stays."""
        return False

    def defers(self) -> bool:
        """Nobody waits."""
        return False

    def save(self, progress: Saved) -> None:
        """Nothing is kept."""

    def saved(self) -> Saved | None:
        """Nothing was."""
        return None

"""A worker with a sampler that only counts: a process like the real one, for the tests of what surrounds it.

The payload says what happens: `{"seconds": 3}` takes so long in steps, `{"stuck": 60}` without looking up.
"""

import os
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from model.errors import InvalidModel, Issue, Notice
from worker.application import make_app
from worker.monitor import Cancelled, HandedBack, Monitor
from worker.settings import WorkerSettings


@dataclass(frozen=True)
class Draws:
    values: np.ndarray[Any, Any]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        return {"names": ["b"]}, {"b": self.values}


@dataclass(frozen=True)
class Counted:
    posterior: Draws
    summary: dict[str, Any] = field(default_factory=lambda: {"prob": 0.95})
    method: str = "counting"
    method_reason: str = "it is quick"
    warnings: tuple[Notice, ...] = (Notice("counted", "Nothing was sampled."),)
    timing: dict[str, float] = field(default_factory=lambda: {"sample": 0.1})


class CountingSampler:
    def fit(self, payload: bytes, monitor: Monitor) -> Any:
        wish = orjson.loads(payload)
        if "issue" in wish:
            raise InvalidModel(Issue("singular", wish["issue"], pointer="/formula"))
        if "bug" in wish:
            raise ZeroDivisionError(wish["bug"])
        if "crash" in wish:
            os.abort()
        if "slow" in wish and monitor.defers():
            raise HandedBack
        time.sleep(wish.get("stuck", 0))
        steps = round(wish.get("seconds", 0) / 0.05)
        for step in range(steps):
            time.sleep(0.05)
            monitor.report("sampling", step / steps, draws=step)
            if monitor.cancelled():
                raise Cancelled(Counted(Draws(np.arange(float(step)))) if wish.get("keeps") else None)
        return Counted(Draws(np.arange(float(steps))))

    def warm_up(self, settings: WorkerSettings) -> None:
        pass


settings = WorkerSettings()
app = make_app("tests.worker.stand_in", settings, CountingSampler)

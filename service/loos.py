"""Leave-one-out estimates of finished fits, computed when they are first asked for and kept within a budget of bytes.

They take seconds where a fit has many rows, and a comparison asks again for what a check has shown.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from model.criticism.loo import Loo, loo
from model.frame.design import Design
from model.results.posterior import Posterior
from store.records import FitRecord

_Key = tuple[str, float | None]


class Loos:
    """Leave-one-out estimates by fit; safe to use from many threads."""

    def __init__(self, max_bytes: int, most_rows: int) -> None:
        self._max_bytes = max_bytes
        self._most_rows = most_rows
        self._kept: OrderedDict[_Key, Loo] = OrderedDict()
        self._lock = Lock()
        self._computing: dict[_Key, Lock] = {}

    def get(self, record: FitRecord, load: Callable[[], tuple[Posterior, Design]]) -> Loo:
        """Give the estimates of a fit; many requests for one fit load it, with the design of its data, once."""
        # The same id with another end is a fit that was deleted and made anew.
        key = (record.id, record.finished_at)
        with self._lock:
            computing = self._computing.setdefault(key, Lock())
        with computing:
            try:
                return self._find(key) or self._keep(key, loo(*load(), self._most_rows))
            finally:
                with self._lock:
                    self._computing.pop(key, None)

    def _find(self, key: _Key) -> Loo | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: _Key, found: Loo) -> Loo:
        with self._lock:
            self._kept[key] = found
            while sum(one.nbytes for one in self._kept.values()) > self._max_bytes:
                self._kept.popitem(last=False)
        return found

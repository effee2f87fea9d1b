"""How many connections there may be: as many as settings and the system allow, and of those that ask nothing the oldest
makes room for another.
"""

import resource
from contextlib import suppress
from typing import Protocol

from service.settings import ServiceSettings

_OTHER_FILES = 128
"""Open files that are no clients: the store's connections, pipes, logs, and clients on the point of being refused."""


_FEWEST = 16


class Connection(Protocol):
    """What has to be known of a connection."""

    def asks_nothing(self) -> bool:
        """Whether no request has come whole, or all that have are answered."""
        ...

    def make_room(self) -> None:
        """Close, with a word if a request has begun."""
        ...


class Connections:
    """The connections of a server, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Connection, None] = {}

    def admit(self, connection: Connection) -> bool:
        """Take in a connection; False if there is no room and none of the others asks nothing."""
        if len(self._open) >= self._most:
            idle = next((other for other in self._open if other.asks_nothing()), None)
            if idle is None:
                return False
            del self._open[idle]
            idle.make_room()
        self._open[connection] = None
        return True

    def forget(self, connection: Connection) -> None:
        """Say that a connection is closed."""
        self._open.pop(connection, None)


def most_connections(settings: ServiceSettings) -> int:
    """Give how many connections the open files of this process leave room for; their limit is raised if it can be."""
    files, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        files = hard
    if files == resource.RLIM_INFINITY:
        return settings.max_connections
    return max(_FEWEST, min(settings.max_connections, files - _OTHER_FILES))

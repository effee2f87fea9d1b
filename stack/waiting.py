"""How far a service is with its start, asked over HTTP past any proxy that the environment names."""

import http.client
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """What is there already: an answer, so many sampling processes, and of them those that have compiled."""

    answers: bool = False
    alive: int = 0
    warm: int = 0

    @property
    def awaited(self) -> str:
        """What is still waited for, in words; empty when nothing is."""
        if not self.answers:
            return "the store and the HTTP service start"
        if not self.alive:
            return "the service answers and takes fits; the worker loads JAX"
        if not self.warm:
            return "the service answers and takes fits; the worker compiles its first programs"
        return ""


def look(host: str, port: int) -> Start:
    """Ask `/readyz` once; a service that is not there is one that does not answer."""
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            return Start()
        workers = json.loads(body)["workers"]
        return Start(True, workers["alive"], workers["warm"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return Start()
    finally:
        connection.close()

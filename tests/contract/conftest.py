"""A whole deployment as its clients meet it: a Valkey server, a worker, the service, and keys of two tenants."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.keys import Scope, new_key
from tests.system.conftest import eventually
from tests.system.test_stack import Stack, start, stop


@dataclass(frozen=True)
class Deployment:
    """Where the service answers, and a key of each of two tenants."""

    url: str
    token: str
    other_token: str
    stack: Stack

    @contextmanager
    def client(self, token: str | None = None) -> Iterator[httpx.Client]:
        """Give a client of the first tenant, or of whom the token says."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=60.0) as client:
            yield client


@contextmanager
def deployed(folder: Path, **environment: str) -> Iterator[Deployment]:
    """Run a deployment whose worker is warm while the context lasts."""
    (token, key), (other_token, other_key) = (new_key(name, Scope.ADMIN) for name in ("acme", "globex"))
    stack = start(folder / "data", RANEF_KEYS=f"{key};{other_key}", RANEF_RATE_QUOTA="0", **environment)

    def warm() -> bool:
        # Asking is work too, and the worker is about to compile.
        time.sleep(0.3)
        return stack.answers("/readyz?workers=1") == 200

    try:
        eventually(warm, 120.0)
        yield Deployment(f"http://127.0.0.1:{stack.port}", token, other_token, stack)
    finally:
        stop(stack, signal.SIGTERM)


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that tests share and none harms."""
    with deployed(tmp_path_factory.mktemp("contract")) as deployment:
        yield deployment


@pytest.fixture
def client(deployment: Deployment) -> Iterator[httpx.Client]:
    """A client of the first tenant."""
    with deployment.client() as client:
        yield client


@pytest.fixture
def other(deployment: Deployment) -> Iterator[httpx.Client]:
    """A client of the second tenant."""
    with deployment.client(deployment.other_token) as client:
        yield client

"""The scripts about one fit: their source, the keys they are given, and how they are run."""

from typing import Any

import redis

from store.connection import SCRIPTS, translated
from store.keys import Keys
from store.policy import Policy
from store.settings import StoreSettings

ALLOW_OOM = "#!lua flags=allow-oom\n"
_SHARED = ("callback", "fit")
_NAMES = (
    "create",
    "claim",
    "renew",
    "progress",
    "checkpoint",
    "hand_back",
    "conclude",
    "cancel",
    "recover",
    "extend",
    "delete",
)


class FitScripts:
    """The scripts by name; each stands behind what all of them share."""

    def __init__(self, client: redis.Redis, settings: StoreSettings) -> None:
        self._redis = client
        self._keys = Keys(settings.key_prefix)
        self._policy = Policy.of(settings).to_json()
        shared = "".join((SCRIPTS / f"{name}.lua").read_text() for name in _SHARED)
        self._scripts = {}
        for name in _NAMES:
            source = shared + (SCRIPTS / f"{name}.lua").read_text()
            # A server without room refuses new fits, but never the small writes by which a fit is looked after.
            allowed = source if name == "create" else ALLOW_OOM + source
            self._scripts[name] = client.register_script(allowed)

    def run(self, script: str, fit_id: str, tenant: str, *args: str | bytes | float) -> Any:
        """Run a script and give its answer; raises StoreUnavailable and StoreFull."""
        with translated():
            return self.send(self._redis, script, fit_id, tenant, *args)

    def send(
        self, client: redis.Redis, script: str, fit_id: str, tenant: str, *args: str | bytes | float
    ) -> Any:
        """Run a script by a client, or add it to what a pipeline will run."""
        keys = self._keys
        names = [
            keys.record(fit_id),
            keys.events(fit_id),
            keys.due,
            keys.tenant_fits(tenant),
            keys.tenant_expiry(tenant),
            keys.tenant_bytes(tenant),
            keys.tombstone(fit_id),
            keys.waiting,
            keys.outcomes,
            keys.places(fit_id),
            keys.watchers(fit_id),
            keys.outbox,
        ]
        run = self._scripts[script]
        return run(keys=names, args=[self._policy, fit_id, keys.blob(fit_id), *args], client=client)

"""The names of all keys in Redis; what belongs to one fit shares the hash tag `{fit_id}`."""

import re
from dataclasses import dataclass

TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""A tenant's name: a part of keys, and of nothing else there."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The names under one prefix."""

    prefix: str

    def record(self, fit_id: str) -> str:
        """The hash of a fit."""
        return f"{self.prefix}:{{{fit_id}}}:record"

    def events(self, fit_id: str) -> str:
        """The stream of a fit's events."""
        return f"{self.prefix}:{{{fit_id}}}:events"

    def blob(self, fit_id: str) -> str:
        """What the names of a fit's segments begin with; a tag and a number follow."""
        return f"{self.prefix}:{{{fit_id}}}:blob"

    def places(self, fit_id: str) -> str:
        """The batches that wait for a fit, and how many members of each it is."""
        return f"{self.prefix}:{{{fit_id}}}:places"

    def watchers(self, fit_id: str) -> str:
        """The callbacks that wait for a fit's end."""
        return f"{self.prefix}:{{{fit_id}}}:watchers"

    def callbacks(self, subject: str) -> str:
        """The callbacks of a fit or batch by time of registration."""
        return f"{self.prefix}:{{{subject}}}:callbacks"

    def callback(self, message: str) -> str:
        """The hash of a callback."""
        return f"{self.prefix}:callback:{message}"

    @property
    def outbox(self) -> str:
        """Callbacks by the time from which they are due."""
        return f"{self.prefix}:outbox"

    @property
    def callback_outcomes(self) -> str:
        """How many attempts ended in which way."""
        return f"{self.prefix}:callback_outcomes"

    def tombstone(self, fit_id: str) -> str:
        """The tenant of a fit that is or will be gone."""
        return f"{self.prefix}:{{{fit_id}}}:tombstone"

    def tenant_fits(self, tenant: str) -> str:
        """The tenant's fits by time of creation."""
        return f"{self.prefix}:tenant:{tenant}:fits"

    def tenant_expiry(self, tenant: str) -> str:
        """The tenant's fits by time of expiry; infinity while they are queued or running."""
        return f"{self.prefix}:tenant:{tenant}:expiry"

    def tenant_bytes(self, tenant: str) -> str:
        """Bytes by fit, and their sum in the field `total`."""
        return f"{self.prefix}:tenant:{tenant}:bytes"

    def tenant_rate(self, tenant: str) -> str:
        """How many requests the tenant has made in the present window."""
        return f"{self.prefix}:tenant:{tenant}:rate"

    def link(self, link_id: str) -> str:
        """The hash of a signed link."""
        return f"{self.prefix}:link:{link_id}"

    def tenant_links(self, tenant: str) -> str:
        """The tenant's signed links by time of creation."""
        return f"{self.prefix}:tenant:{tenant}:links"

    def dataset(self, dataset_id: str) -> str:
        """The hash of a data set."""
        return f"{self.prefix}:{{{dataset_id}}}:dataset"

    def tenant_datasets(self, tenant: str) -> str:
        """The tenant's data sets by time of upload."""
        return f"{self.prefix}:tenant:{tenant}:datasets"

    def tenant_dataset_bytes(self, tenant: str) -> str:
        """Bytes by data set, and their sum in the field `total`."""
        return f"{self.prefix}:tenant:{tenant}:dataset_bytes"

    @property
    def waiting(self) -> str:
        """Queued fits by the time since when; a queue's name follows."""
        return f"{self.prefix}:waiting"

    @property
    def outcomes(self) -> str:
        """How many fits have ended, by status and method."""
        return f"{self.prefix}:outcomes"

    def batch(self, batch_id: str) -> str:
        """The hash of a batch."""
        return f"{self.prefix}:{{{batch_id}}}:batch"

    def batch_tally(self, batch_id: str) -> str:
        """How many members of a batch have which status; the scripts make the name in the same way."""
        return f"{self.batch(batch_id)}:tally"

    def batch_order(self, batch_id: str) -> str:
        """The fits of a batch in the order in which they ended, and how; likewise."""
        return f"{self.batch(batch_id)}:order"

    def tenant_batches(self, tenant: str) -> str:
        """The tenant's batches by time of creation."""
        return f"{self.prefix}:tenant:{tenant}:batches"

    def tenant_batch_bytes(self, tenant: str) -> str:
        """Bytes by batch, and their sum in the field `total`."""
        return f"{self.prefix}:tenant:{tenant}:batch_bytes"

    @property
    def due(self) -> str:
        """Queued and running fits by the time from which something is wrong with them."""
        return f"{self.prefix}:due"

    @property
    def leader(self) -> str:
        """The id of the worker that reconciles."""
        return f"{self.prefix}:leader"

    @property
    def probe(self) -> str:
        """What is written to see whether the server lets itself be written to."""
        return f"{self.prefix}:probe"

    @property
    def workers(self) -> str:
        """Ids of workers by the time their last beat expires."""
        return f"{self.prefix}:workers"

    def worker(self, worker_id: str) -> str:
        """A worker's last beat."""
        return f"{self.prefix}:worker:{worker_id}"

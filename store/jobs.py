"""The queue's contract: Celery's configuration, which both sides share, and the sending of a fit's id.

A message carries the id alone; the record says what became of it, so a message twice or never is harmless.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import kombu.exceptions
import redis
from celery import Celery
from kombu.entity import Exchange, Queue

from store.base import StoreUnavailable
from store.connection import in_our_words
from store.records import QUEUES
from store.settings import StoreSettings

FIT_TASK = "fit"


class Jobs:
    """The queue on the server that the settings name; every method may raise StoreUnavailable."""

    def __init__(self, settings: StoreSettings) -> None:
        self.app = celery_app(settings)
        # A consumer waits for the server to come back; who sends is told at once, by default it takes 6 s.
        at_once = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}
        self.app.conf.broker_transport_options |= at_once

    def enqueue(self, fit_id: str, queue: str) -> None:
        """Send a fit's id to a queue: `interactive` or `batch`."""
        if queue not in QUEUES:
            raise ValueError(f"no such queue: {queue}")
        with _translated():
            self.app.send_task(
                FIT_TASK,
                kwargs={"fit_id": fit_id},
                queue=queue,
                # Names the fit to `waiting`, and is unique as Celery wants it.
                task_id=f"{fit_id}.{secrets.token_hex(4)}",
                retry=False,
                ignore_result=True,
            )

    def waiting(self) -> frozenset[str]:
        """Give the ids of fits with a message that waits or that a worker has taken."""
        with _translated(), self.app.connection_for_write() as connection:
            channel = connection.default_channel
            with channel.conn_or_acquire() as client:
                queued: list[bytes] = []
                for queue in QUEUES:
                    queued += client.lrange(queue, 0, -1)
                taken: list[bytes] = client.hvals(channel.unacked_key)
        messages = [json.loads(entry) for entry in queued] + [json.loads(entry)[0] for entry in taken]
        return frozenset(message["headers"]["id"].rpartition(".")[0] for message in messages)

    def lengths(self) -> Mapping[str, int]:
        """Count the messages that no worker has taken, by queue."""
        with _translated(), self.app.connection_for_write() as connection:
            channel = connection.default_channel
            with channel.conn_or_acquire() as client:
                return {queue: client.llen(queue) for queue in QUEUES}

    def hold(self, delivery_tag: str) -> None:
        """Keep a taken message from being given to another worker for one more visibility timeout."""
        with _translated(), self.app.connection_for_write() as connection:
            channel = connection.default_channel
            with channel.conn_or_acquire() as client:
                client.zadd(channel.unacked_index_key, {delivery_tag: time.time()}, xx=True)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (kombu.exceptions.OperationalError, redis.RedisError, OSError) as error:
        # Kombu wraps the server's errors in its own.
        known = in_our_words(error.__cause__ if isinstance(error.__cause__, Exception) else error)
        raise known or StoreUnavailable("the queue does not answer") from error


def celery_app(settings: StoreSettings, **configuration: Any) -> Celery:
    """Make the Celery application with everything that concerns the broker and the messages."""
    # Each queue needs a routing key of its own, or a message for one is delivered to both.
    fits = Exchange("fits", type="direct")  # type: ignore[no-untyped-call]
    queues = [Queue(name, fits, routing_key=name) for name in QUEUES]  # type: ignore[no-untyped-call]
    app = Celery("ranef", broker=settings.broker_url)
    app.conf.update(
        task_queues=queues,
        task_default_queue=QUEUES[0],
        task_create_missing_queues=False,
        task_serializer="json",
        accept_content=["json"],
        # Our record is the truth; a result backend on a dead server would block the sender for 19 s.
        result_backend=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": settings.visibility_timeout,
            # By default abandoned messages are looked for each 100 s, and a dead sweeper blocks it for 300.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": 30,
            "socket_timeout": settings.publish_timeout,
            "socket_connect_timeout": settings.publish_timeout,
        },
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        task_send_sent_event=False,
        **configuration,
    )
    return app

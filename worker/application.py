"""How a worker is made: how fits are taken from the queue, and what starts with each of its processes.

The main process needs Celery alone; the sampler is made in the pool's child.
"""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from celery.worker import state

from store.jobs import FIT_TASK, Jobs, celery_app
from store.redis import RedisStore
from store.redis_callbacks import RedisCallbacks
from store.signing import Secrets
from worker.callbacks import Courier
from worker.leaving import LEAVE
from worker.process import Sampler, SamplingProcess
from worker.reconciler import Reconciler
from worker.settings import WorkerSettings
from worker.watchdog import Consumer, Watchdog


def make_app(module: str, settings: WorkerSettings, make_sampler: Callable[[], Sampler]) -> Celery:
    """Make the application; `module` holds it under the name `app`, so that a fresh child finds it there.

    Raises InvalidSecrets and OSError: what callbacks are signed with cannot be read.
    """
    app = celery_app(
        settings,
        imports=[module],
        # A message is done when its fit is; one whose process died is sent again, at most twice.
        task_acks_late=True,
        task_acks_on_timeout=True,
        task_reject_on_worker_lost=False,
        task_retry_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_pool="prefork",
        # A process forked from one that has used JAX deadlocks.
        worker_pool_start_method="spawn",
        worker_proc_alive_timeout=60,
        worker_concurrency=settings.concurrency,
        task_soft_time_limit=settings.fit_timeout,
        task_time_limit=settings.fit_timeout + 30,
        # What the server answers in a bad state is no reason to end either: a full disk, a change of its role.
        broker_channel_error_retry=True,
        # True lost the fit each time the server restarted.
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )

    secrets = Secrets.of(settings)

    @cache
    def process() -> SamplingProcess:
        return SamplingProcess(settings, RedisStore(settings), Jobs(settings), make_sampler())

    # The message of a dead process is of use when its lease is dead too.
    @app.task(name=FIT_TASK, bind=True, max_retries=2, default_retry_delay=settings.lease_seconds)  # type: ignore[untyped-decorator]
    def fit(task: Any, fit_id: str) -> None:
        request = task.request
        process().fit(fit_id, request.delivery_info["routing_key"], request.properties["delivery_tag"])

    # Celery keeps no reference to a receiver unless told to.
    @worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def begin_process(**_: object) -> None:
        process().start()

    @worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def begin_looking_after(sender: Any, **_: object) -> None:
        reconciler = Reconciler(RedisStore(settings), Jobs(settings), settings)
        courier = Courier(RedisCallbacks(settings), secrets, settings)
        consumer = _consumer(sender)
        watchdog = Watchdog(RedisStore(settings), Jobs(settings), consumer, settings)
        threads = (reconciler, courier, watchdog)
        for thread in threads:
            thread.start()

        def stop(*_: object) -> None:
            for thread in threads:
                thread.stop()
            # Each fit is now over, or handed back, in `soft_shutdown` seconds at most.
            for process in consumer.processes():
                with suppress(ProcessLookupError):
                    os.kill(process, LEAVE)
            # Celery takes nothing more and waits for its children; what it does of itself upon these signals is to
            # wait for a fixed time, and then to end them in a way that they may not heed.
            state.should_stop = os.EX_OK

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, stop)

    return app


def _consumer(consumer: Any) -> Consumer:
    return Consumer(
        socket.gethostname(),
        processes=lambda: list(consumer.pool.info["processes"]),
        taken=lambda: int(state.all_total_count[0]),
        running=lambda: len(state.active_requests),
    )

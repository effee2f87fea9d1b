"""`/metrics` for Prometheus: one scrape of the service shows requests, queues, fits and every worker.

What is not this process's own is read from the store at each scrape; without the store `ranef_store_up` is 0.
"""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from service.deps import Administrator, Here, Services
from service.documentation import answers
from service.negotiation import accepted_media_type
from service.posteriors import Posteriors
from store.base import Store, StoreUnavailable
from store.callbacks import Callbacks

router = APIRouter(tags=["service"])
_FORMATS = ("text/plain", "application/openmetrics-text")


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Metrics",
    responses=answers(
        (200, "Prometheus's text format, or OpenMetrics where it is accepted.", None),
        others=_FORMATS,
    ),
    response_class=Response,
)
def get_metrics(request: Request, here: Here, tenant: Administrator) -> Response:
    """Give the state of the service, its queues and its workers to Prometheus; it takes the scope admin."""
    accepted_media_type(request, *_FORMATS)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(
        encode(_Scrape(here)), headers={"Content-Type": content_type, "Cache-Control": "no-store"}
    )


class _Scrape:
    """All metrics at this moment."""

    def __init__(self, here: Services) -> None:
        self._here = here

    def collect(self) -> Iterator[Metric]:
        yield from self._here.metrics.registry.collect()
        yield from _of_posteriors(self._here.posteriors)
        try:
            found, up = [*_of_store(self._here.store), *_of_callbacks(self._here.callbacks)], 1
        except StoreUnavailable:
            found, up = [], 0
        yield GaugeMetricFamily("ranef_store_up", "Whether the store answers.", value=up)
        yield from found


def _of_posteriors(posteriors: Posteriors) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "ranef_posterior_cache_hits", "Results found decoded in this process.", value=posteriors.hits
    )
    yield CounterMetricFamily(
        "ranef_posterior_cache_misses", "Results read from the store.", value=posteriors.misses
    )


def _of_store(store: Store) -> Iterator[Metric]:
    depth = GaugeMetricFamily("ranef_queue_depth", "Fits that wait.", labels=("queue",))
    age = GaugeMetricFamily("ranef_queue_age_seconds", "How long the first of them has.", labels=("queue",))
    for queue, state in store.queues().items():
        depth.add_metric((queue,), state.depth)
        age.add_metric((queue,), state.age)
    fits = CounterMetricFamily("ranef_fits", "Fits that have ended.", labels=("status", "method"))
    for ended, count in store.outcomes().items():
        fits.add_metric(ended, count)
    yield from (depth, age, fits)
    yield from _of_workers(store)


def _of_callbacks(callbacks: Callbacks) -> Iterator[Metric]:
    backlog = callbacks.backlog()
    yield GaugeMetricFamily(
        "ranef_callback_queue_depth", "Callbacks that are to be sent or sent again.", value=backlog.depth
    )
    yield GaugeMetricFamily(
        "ranef_callback_queue_age_seconds", "For how long the first of them has been due.", value=backlog.age
    )
    attempts = CounterMetricFamily(
        "ranef_callback_attempts", "Attempts to send a callback, by how they ended.", labels=("outcome",)
    )
    for outcome, count in callbacks.outcomes().items():
        attempts.add_metric((outcome,), count)
    yield attempts


def _of_workers(store: Store) -> Iterator[Metric]:
    label = ("worker",)
    warm = GaugeMetricFamily("ranef_worker_warm", "Whether its common programs are compiled.", labels=label)
    busy = GaugeMetricFamily("ranef_worker_busy", "Whether it runs a fit.", labels=label)
    memory = GaugeMetricFamily("ranef_worker_peak_memory_bytes", "Its largest resident size.", labels=label)
    hits = CounterMetricFamily("ranef_compile_hits", "Fits that found their programs compiled.", labels=label)
    misses = CounterMetricFamily("ranef_compile_misses", "Fits that waited for the compiler.", labels=label)
    seconds = CounterMetricFamily("ranef_sampling_seconds", "Seconds spent sampling.", labels=label)
    for worker in store.workers():
        name = (worker.id,)
        warm.add_metric(name, worker.warm)
        busy.add_metric(name, worker.busy)
        memory.add_metric(name, worker.peak_memory_bytes)
        hits.add_metric(name, worker.compile_hits)
        misses.add_metric(name, worker.compile_misses)
        seconds.add_metric(name, worker.sampling_seconds)
    yield from (warm, busy, memory, hits, misses, seconds)

"""The application, put together: the only place where settings, store, queue and routes are wired."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service import (
    VERSION,
    batches,
    callbacks,
    checks,
    comparisons,
    datasets,
    drawings,
    draws,
    effects,
    estimates,
    events,
    fits,
    formulas,
    health,
    metrics,
    models,
    predictions,
    problems,
    signed_links,
)
from service.addresses import Prefixed
from service.apart import Apart
from service.coding import Coded
from service.deps import Enqueue, Services, only_known_parameters
from service.draining import told_of_signals
from service.keys import KeyRing
from service.link_tokens import LinkTokens
from service.loos import Loos
from service.metering import Metered, Metrics
from service.middleware import BoundedHead, HeadAsGet, LastResort, RequestLog
from service.negotiation import accepts_json
from service.openapi import describe
from service.posteriors import Posteriors
from service.rates import RateHeaders
from service.settings import ServiceSettings
from service.turns import Turns
from service.watching import Watch
from store.base import Store
from store.batches import Batches
from store.callbacks import Callbacks
from store.datasets import Datasets
from store.jobs import Jobs
from store.links import Links
from store.rates import Rates, RedisRates
from store.redis import RedisStore
from store.redis_batches import RedisBatches
from store.redis_callbacks import RedisCallbacks
from store.redis_datasets import RedisDatasets
from store.redis_links import RedisLinks
from store.replies import RedisReplies, Replies
from store.settings import StoreSettings
from store.signing import Secrets

# What our operations read, and what clients in browsers add: EventSource in its replacements, OpenTelemetry.
_ALLOWED = [
    "Accept",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "X-Request-ID",
    "baggage",
    "traceparent",
    "tracestate",
]
_EXPOSED = [
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "Ranef-Warnings",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
]


def create_app(
    settings: ServiceSettings | None = None,
    store: Store | None = None,
    enqueue: Enqueue | None = None,
    replies: Replies | None = None,
    dataset_store: Datasets | None = None,
    batch_store: Batches | None = None,
    keys: KeyRing | None = None,
    rates: Rates | None = None,
    budgets: StoreSettings | None = None,
    callback_store: Callbacks | None = None,
    apart: Apart | None = None,
    link_store: Links | None = None,
) -> FastAPI:
    """Make the application; what is not given comes from the environment."""
    settings = settings or ServiceSettings()
    budgets = budgets or StoreSettings()
    store = store or RedisStore(budgets)
    replies = replies or RedisReplies(budgets)
    dataset_store = dataset_store or RedisDatasets(budgets)
    batch_store = batch_store or RedisBatches(budgets)
    enqueue = enqueue or Jobs(budgets).enqueue
    posteriors = Posteriors(store, settings.posterior_cache_bytes)
    keys = keys or KeyRing.of(settings)
    rates = rates or RedisRates(budgets)
    callback_store = callback_store or RedisCallbacks(budgets)
    metering = Metrics()
    services = Services(
        settings,
        store,
        enqueue,
        posteriors,
        Loos(settings.loo_cache_bytes, settings.limits.loo_rows),
        Watch(store),
        replies,
        dataset_store,
        batch_store,
        keys,
        rates,
        metering,
        budgets,
        callback_store,
        Secrets.of(budgets),
        apart or Apart(settings),
        link_store or RedisLinks(budgets),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        def drain() -> None:
            services.drain()
            loop.call_soon_threadsafe(services.watch.wake)

        with told_of_signals(drain):
            async with services.watch.running():
                yield
        services.drain()
        if apart is None:
            services.apart.close()

    # The pages of /docs come from this host, not from somewhere in the network.
    app = FastAPIOffline(
        title="ranef",
        version=VERSION,
        description="Bayesian mixed models over HTTP.",
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/static",
        separate_input_output_schemas=False,
        redirect_slashes=False,
        middleware=[
            Middleware(Prefixed, root_path=settings.root_path),
            Middleware(Turns),
            # Before all others that read a request, so that none sees the token of a link.
            Middleware(LinkTokens),
            Middleware(RequestLog),
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.cors_origins),
                allow_methods=["GET", "HEAD", "POST", "DELETE"],
                allow_headers=_ALLOWED,
                expose_headers=_EXPOSED,
            ),
            Middleware(BoundedHead, settings=settings),
            Middleware(RateHeaders, settings=settings),
            Middleware(LastResort),
            Middleware(HeadAsGet),
            Middleware(Coded),
            Middleware(Metered, metrics=metering),
        ],
        dependencies=[Depends(only_known_parameters)],
    )
    app.state.services = services
    problems.install(app)
    # The first are found first, and whoever asks for these asks often.
    for resource in (health, fits, datasets, callbacks, signed_links, models, checks, comparisons, formulas):
        app.include_router(resource.router, dependencies=[Depends(accepts_json)])
    # These say for themselves which formats they have.
    for resource in (estimates, effects, predictions, draws, drawings, batches, events, metrics):
        app.include_router(resource.router)
    describe(app)
    return app

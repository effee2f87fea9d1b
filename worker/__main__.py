"""`python -m worker`: take fits from the queue until told to stop."""

import os

if __name__ == "__main__":
    # Before Celery is imported: SIGTERM then gives a running fit its time to end.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    import warnings

    from celery.platforms import SecurityWarning
    from celery.worker import state

    from store.environment import start_with
    from store.signing import InvalidSecrets
    from worker.settings import WorkerSettings
    from worker.watchdog import DEAF

    start_with(WorkerSettings)
    try:
        from worker.app import app, settings
    except InvalidSecrets as error:
        raise SystemExit(f"The secrets of callbacks cannot be read: {error}") from None

    try:
        # Celery warns that root should not unpickle messages; ours are JSON and nothing else is read.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        app.worker_main(
            ["--quiet", "worker", "--loglevel", settings.log_level, "--without-gossip", "--without-mingle"]
        )
    except SystemExit as end:
        # Whatever made it end, it did not do so because it was told to.
        if not end.code and state.should_stop is None and state.should_terminate is None:
            raise SystemExit(DEAF) from end
        raise

"""`python -m worker`: take fits from the queue until told to stop."""

import os

if __name__ == "__main__":
    # Before Celery is imported: SIGTERM then gives a running fit its time to end.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    from store.signing import InvalidSecrets

    try:
        from worker.app import app, settings
    except InvalidSecrets as error:
        raise SystemExit(f"The secrets of callbacks cannot be read: {error}") from None

    app.worker_main(["worker", "--loglevel", settings.log_level, "--without-gossip", "--without-mingle"])

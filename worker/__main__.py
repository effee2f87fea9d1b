"""`python -m worker`: take fits from the queue until told to stop."""

import os

if __name__ == "__main__":
    # Before Celery is imported: SIGTERM then gives a running fit its time to end.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    from worker.app import app, settings

    app.worker_main(["worker", "--loglevel", settings.log_level, "--without-gossip", "--without-mingle"])

"""The Celery application of the worker, as `celery --app worker.app` and the pool's children find it."""

from worker.application import make_app
from worker.process import JaxSampler
from worker.settings import WorkerSettings

settings = WorkerSettings()
app = make_app("worker.app", settings, JaxSampler)

"""The worker with a sampler that only counts, made to listen to remote control: so a test can make it deaf."""

from tests.worker.stand_in import CountingSampler
from worker.application import make_app
from worker.settings import WorkerSettings

settings = WorkerSettings()
app = make_app("tests.worker.deaf", settings, CountingSampler)
app.conf.worker_enable_remote_control = True

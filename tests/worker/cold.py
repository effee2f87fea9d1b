"""A worker with the real sampler, which is ready at once: it compiles when the first fit comes."""

from worker.application import make_app
from worker.process import JaxSampler
from worker.settings import WorkerSettings


class ColdSampler(JaxSampler):
    def warm_up(self, settings: WorkerSettings) -> None:
        pass


settings = WorkerSettings()
app = make_app("tests.worker.cold", settings, ColdSampler)

"""BLAS takes one thread in libraries that are loaded already and in those that come later."""

import json
import os
import subprocess
import sys

import pytest

COUNT = """
import json
import numpy
from threadpoolctl import threadpool_info
from store.threads import one_blas_thread
one_blas_thread()
import scipy.linalg
print(json.dumps([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]))
"""


@pytest.mark.parametrize(("told", "expected"), [(None, 1), ("2", min(2, os.cpu_count() or 1))])
def test_blas_takes_one_thread_unless_told_otherwise(told: str | None, expected: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {"OPENBLAS_NUM_THREADS": told} if told else {}
    threads = json.loads(subprocess.check_output([sys.executable, "-c", COUNT], env=environment, timeout=60))
    assert len(threads) >= 2
    assert set(threads) == {expected}

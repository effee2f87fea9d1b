"""The arrows between the folders, and what each side must never load."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loaded_by(module: str) -> set[str]:
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_service_loads_no_jax() -> None:
    loaded = loaded_by("service.app")
    assert "fastapi" in loaded
    assert not loaded & {"jax", "jaxlib", "numpyro", "worker"}


def test_the_main_process_of_a_worker_loads_no_jax() -> None:
    loaded = loaded_by("worker.app")
    assert "celery" in loaded
    assert not loaded & {"jax", "jaxlib", "numpyro", "fastapi", "service"}


def test_the_model_loads_no_transport() -> None:
    loaded = loaded_by("model.spec, model.predictions.predict, model.results.summary")
    assert "numpy" in loaded
    assert not loaded & {
        "jax",
        "numpyro",
        "redis",
        "celery",
        "fastapi",
        "pydantic",
        "store",
        "service",
        "worker",
    }


def test_the_arrows_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout

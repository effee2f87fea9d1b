"""What schemathesis makes of the document is sent to the running service: it must find nothing.

It invents requests, well formed and malformed, follows the links from each answer to the next, and holds every
answer against what the document says of it.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from service.openapi import OPENAPI_JSON, ROOT
from tests.contract.conftest import Deployment, deployed

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment of its own: what other tests leave behind would make one run unlike another."""
    with deployed(tmp_path_factory.mktemp("schemathesis")) as deployment:
        yield deployment


def ids_of_fits(client: httpx.Client) -> list[str]:
    """Make the fit of the examples, and one that is cancelled; give their ids."""
    paths = orjson.loads(OPENAPI_JSON.read_bytes())["paths"]
    example = paths["/v1/fits"]["post"]["requestBody"]["content"]["application/json"]["example"]
    made = client.post("/v1/fits", json=example, headers={"Prefer": "wait=30"})
    assert made.json()["status"] == "succeeded", made.text
    long = {"method": "nuts", "chains": 1, "warmup": 100_000, "draws": 100_000, "seed": 2}
    other = client.post("/v1/fits", json=example | {"sampler": long}).json()["id"]
    cancelled = client.post(f"/v1/fits/{other}/cancel")
    assert cancelled.status_code in (200, 202), cancelled.text
    return [made.json()["id"], other]


def configure(deployment: Deployment, folder: Path) -> Path:
    """Write the configuration of a run beside what it names."""
    with deployment.client() as client:
        fits = ids_of_fits(client)
    (folder / "fits.dict").write_text("".join(f'"{fit}"\n' for fit in fits))
    keys = {"acme": deployment.token, "globex": deployment.other_token}
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}
        for name, token in keys.items()
    ]
    (folder / "keys.json").write_bytes(orjson.dumps({"auth": users}))
    return Path(shutil.copy(HERE / "schemathesis.toml", folder))


def run(deployment: Deployment, folder: Path, *options: str, seconds: float) -> str:
    """Let schemathesis try everything; gives what it reports."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file",
        str(configure(deployment, folder)),
    ]
    arguments = ["run", f"{deployment.url}/openapi.json", "--no-color", "--continue-on-failure", *options]
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds,
        errors="replace",
    )
    # Addresses that it makes up may have many thousand characters.
    report = re.sub(r"(.{1000}).+", r"\1…", done.stdout + done.stderr)
    assert done.returncode == 0, report
    return report


def examples_tried(report: str) -> int:
    found = re.search(r"(\d+) generated", report)
    assert found, report
    return int(found[1])


@pytest.mark.timeout(900)
def test_it_finds_nothing(deployment: Deployment, tmp_path: Path) -> None:
    report = run(deployment, tmp_path, "--max-examples=10", seconds=600)
    document = orjson.loads(OPENAPI_JSON.read_bytes())
    operations = sum(len(path) for path in document["paths"].values())
    assert f"Tested: {operations}" in report
    assert examples_tried(report) > 50 * operations
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in report


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_finds_nothing_however_long_it_looks(deployment: Deployment, tmp_path: Path, seed: int) -> None:
    report = run(deployment, tmp_path, "--max-examples=300", f"--seed={seed}", seconds=3000)
    assert examples_tried(report) > 10_000

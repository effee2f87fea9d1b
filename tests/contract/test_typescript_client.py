"""A client that openapi-typescript generates from the committed document, with its defaults, does the main job.

The program that uses it is node/client.ts; the compiler holds it to the document under --strict.
"""

import shutil
import subprocess
from pathlib import Path

import orjson
import pytest

from service.openapi import OPENAPI_JSON
from stack.demo import FORMULA, NEW_ROWS, classroom
from tests.contract.conftest import Deployment

NODE = Path(__file__).parent / "node"
COMPILER = [
    "--strict",
    "--noEmitOnError",
    "--skipLibCheck",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
    "--module",
    "nodenext",
]


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a client that was generated and compiled just now."""
    folder = tmp_path_factory.mktemp("typescript")
    tools = NODE / "node_modules" / ".bin"
    assert (tools / "openapi-typescript").exists(), "run `make node`"
    (folder / "node_modules").symlink_to(NODE / "node_modules", target_is_directory=True)
    shutil.copy(NODE / "client.ts", folder)
    run(folder, str(tools / "openapi-typescript"), str(OPENAPI_JSON), "--output", "schema.ts")
    run(folder, str(tools / "tsc"), *COMPILER, "client.ts")
    return folder


def test_it_submits_waits_reads_a_summary_and_predicts(compiled: Path, deployment: Deployment) -> None:
    columns, new_rows = orjson.dumps(classroom()).decode(), orjson.dumps(NEW_ROWS).decode()
    told = run(compiled, "node", "client.js", deployment.url, deployment.token, FORMULA, columns, new_rows)
    found = orjson.loads(told)
    assert (found["status"], found["names"]) == ("succeeded", ["Intercept", "student_age_s"])
    assert (found["predicted"], found["problem"]) == (4, "/problems/fit-not-found")
    assert isinstance(found["mean"], float)
    # What is not JSON is within its reach too.
    assert found["csv"].splitlines()[0].startswith('"parameter","mean"')
    assert "<svg" in found["svg"][:1000]


def test_the_compiler_sees_a_request_that_is_wrong(compiled: Path) -> None:
    """The one wrong line of client.ts is marked as one; were it none, the compiler would complain."""
    assert "@ts-expect-error" in (compiled / "client.ts").read_text(encoding="utf-8")
    assert (
        "default"
        not in orjson.loads(OPENAPI_JSON.read_bytes())["components"]["schemas"]["Sampler"]["properties"]
    )

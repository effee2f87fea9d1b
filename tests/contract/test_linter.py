"""The OpenAPI document, judged by a linter that knows nothing of us (Redocly; its rules are in redocly.yaml)."""

import os
import subprocess
from pathlib import Path

import orjson
import pytest

from service.openapi import OPENAPI_JSON, ROOT

NODE = Path(__file__).parent / "node"


def lint(document: Path) -> subprocess.CompletedProcess[str]:
    """Lint a document by the rules of redocly.yaml; no word of it leaves this machine."""
    command = [str(NODE / "node_modules" / ".bin" / "redocly"), "lint", str(document)]
    quiet = os.environ | {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    assert Path(command[0]).exists(), "run `make node`"
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=120)


def test_the_document_is_as_a_linter_wants_it() -> None:
    done = lint(OPENAPI_JSON)
    assert done.returncode == 0, done.stderr
    assert "Your API description is valid" in done.stderr


@pytest.mark.parametrize("lost", ["operationId", "description", "tags"])
def test_the_linter_sees_what_an_operation_lacks(tmp_path: Path, lost: str) -> None:
    document = orjson.loads(OPENAPI_JSON.read_bytes())
    document["paths"]["/livez"]["get"][lost] = ["unheard of"] if lost == "tags" else ""
    (tmp_path / "openapi.json").write_bytes(orjson.dumps(document))
    assert lint(tmp_path / "openapi.json").returncode == 1

"""The page of what the field found names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROWS = [
    line
    for line in (ROOT / "docs" / "field.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| kind |")
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.split(" | ")[0][2:42]))
def test_every_kind_has_a_test_that_is_there(row: str) -> None:
    named = NAMED.findall(row.rsplit(" | ", 1)[1])
    assert named
    for file, function in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text

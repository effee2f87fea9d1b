"""docs/architecture.md names every file of the folders, and none that is not there; its figures are the settings'."""

import re
from pathlib import Path

import pytest

from service.settings import ServiceSettings
from store.records import TRANSITIONS
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FOLDERS = ("model", "store", "service", "worker", "stack")
ENTRY = re.compile(r"^\* `([\w/]+\.py)`: \S", re.MULTILINE)
ARROW = re.compile(r"^\| `(\w+)` \| ([^|]*) \|", re.MULTILINE)
SETTING = re.compile(r"`(\w+)` \(([\d.]+) (s|min|h|d|MiB)\)")
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "MiB": 1 << 20}


def section(heading: str) -> str:
    """The part of the page under a heading."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_has_its_line(folder: str) -> None:
    files = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*.py")}
    named = ENTRY.findall(section(f"{folder}/"))
    assert sorted(set(named)) == sorted(named)
    assert set(named) == {file for file in files if not file.endswith("__init__.py")}


def test_every_script_is_named() -> None:
    scripts = {path.name for path in (ROOT / "store" / "scripts").iterdir()}
    assert set(re.findall(r"`(\w+\.lua)`", section("store/"))) == scripts


def test_the_table_of_statuses_is_the_code_s() -> None:
    rows = {
        start: frozenset(re.findall(r"`(\w+)`", ends))
        for start, ends in ARROW.findall(section("The life of a fit"))
    }
    assert rows == {str(start): frozenset(map(str, ends)) for start, ends in TRANSITIONS.items()}


def test_the_settings_that_are_named_have_these_defaults() -> None:
    settings = {**ServiceSettings.model_fields, **WorkerSettings.model_fields}
    named = SETTING.findall(TEXT)
    assert len(named) > 10
    for name, number, unit in named:
        assert settings[name].default == float(number) * UNITS[unit], name

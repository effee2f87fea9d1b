"""Every relative link of the documents leads to a file, and every path they name in code exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# A path begins with a folder of the repository, or is a file of its root.
FOLDERS = (
    "benchmarks",
    "docs",
    "examples",
    "model",
    "openapi",
    "service",
    "stack",
    "store",
    "tests",
    "worker",
)
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
DECISION = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
SECTIONS = ("Context", "Decision", "Consequences", "What would change our mind")


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(prose(document)) if "://" not in link]
    broken = [link for link in links if link and not (document.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    named = [code for code in CODE.findall(prose(document)) if PATH.fullmatch(code)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_links_and_paths_are_found() -> None:
    readme = prose(ROOT / "README.md")
    assert "docs/architecture.md" in LINK.findall(readme)
    assert any(PATH.fullmatch(code) for code in CODE.findall(prose(ROOT / "CONTRIBUTING.md")))


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    names = sorted(
        path.name for path in (ROOT / "docs" / "decisions").glob("*.md") if path.name != "README.md"
    )
    numbers = [match[1] for name in names if (match := DECISION.fullmatch(name))]
    assert numbers == [f"{i:04}" for i in range(1, len(names) + 1)]
    listed = LINK.findall((ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8"))
    assert [link for link in listed if DECISION.fullmatch(link)] == names


@pytest.mark.parametrize(
    "document", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda p: p.stem
)
def test_a_decision_has_its_sections(document: Path) -> None:
    headings = re.findall(r"^## (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(headings) == SECTIONS

"""Every code that the model may give has its entry in the table of problems."""

import ast
import re
from pathlib import Path

import pytest

from service.problem_types import PROBLEM_TYPES

MODEL = Path(__file__).parents[2] / "model"
CODE = re.compile(r"[a-z]+(-[a-z]+)+")


def codes(path: Path) -> set[str]:
    """The constants in kebab-case that a file passes to any call, or has as defaults: those are codes."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        values: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            values += [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(node, ast.arguments):
            values += [*node.defaults, *node.kw_defaults]
        texts = (value.value for value in values if isinstance(value, ast.Constant))
        found |= {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}
    return found


def test_codes_are_found() -> None:
    assert {"unknown-column", "formula-syntax"} <= set().union(*map(codes, MODEL.rglob("*.py")))


@pytest.mark.parametrize("path", sorted(MODEL.rglob("*.py")), ids=lambda path: path.stem)
def test_each_code_has_its_entry(path: Path) -> None:
    assert codes(path) <= set(PROBLEM_TYPES)

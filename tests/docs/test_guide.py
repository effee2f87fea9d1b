"""The guide's table of warnings has every warning that the model can give, with its severity, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+)` \| (info|warning|serious) \|", re.MULTILINE)
SEVERITY = 2


def notices(path: Path) -> Iterator[tuple[str, str]]:
    """The codes and severities of the notices that a file makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Notice"):
            continue
        # A notice that is read back from storage has no arguments of its own.
        constants = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
        named = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
        if constants:
            severity = constants[SEVERITY] if len(constants) > SEVERITY else named.get("severity", "warning")
            yield str(constants[0]), str(severity)


def test_every_warning_is_in_the_guide() -> None:
    files = [*(ROOT / "model").rglob("*.py"), *(ROOT / "worker").rglob("*.py")]
    given = {notice for path in files for notice in notices(path)}
    assert ("high_r_hat", "serious") in given
    assert set(ROW.findall((ROOT / "docs" / "guide" / "statistics.md").read_text(encoding="utf-8"))) == given

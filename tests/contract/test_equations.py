"""The LaTeX of equations, compiled by KaTeX, which refuses what it does not know and, here, what LaTeX would."""

import json
import subprocess
from pathlib import Path

import pytest

from model.equations.expressions import Coded
from model.equations.latex import latex_of
from tests.model.equations.cases import CASES

RENDER = Path(__file__).parent / "node" / "render.mjs"
ASCII = [chr(code) for code in range(32, 127)]
NAMES = [
    "\\",
    "\\\\",
    "a\\",
    "{",
    "}}",
    "\\frac{1}",
    "a_b^c",
    "$x$",
    "100%",
    "# & ~",
    "``'\"",
    "-",
    "\n",
    "\t\x00",
]
SCRIPTS = [
    "Größe",
    "возраст",
    "ηλικία",
    "年齢",
    "나이",
    "आयु",
    "العمر",
    "גיל",
    "อายุ",
    "😀",
    "½ µ €",
    "e\u0301",
    "\u202eabc",
]


def refused(latex: list[str]) -> list[str | None]:
    """What KaTeX has against each."""
    done = subprocess.run(
        ["node", str(RENDER)], input=json.dumps(latex), capture_output=True, text=True, timeout=60, check=True
    )
    answer: list[str | None] = json.loads(done.stdout)
    return answer


def test_the_equations_of_every_structure_compile() -> None:
    latex = [
        notation.latex
        for case in CASES.values()
        for notation in (case.equations().hierarchical, case.equations().expanded)
    ]
    assert refused(latex) == [None] * len(latex)


def test_any_name_of_a_column_compiles() -> None:
    names = [*ASCII, *NAMES, *SCRIPTS, "".join(ASCII)]
    latex = [latex_of(Coded(name, ("i",))) for name in names]
    assert dict(zip(names, refused(latex), strict=True)) == dict.fromkeys(names)


@pytest.mark.parametrize(
    "wrong", [r"\unheard{x}", r"\text{a_b}", r"\frac{1", r"\mathrm{é}", "a & b", r"\left( x"]
)
def test_the_compiler_sees_what_is_wrong(wrong: str) -> None:
    (message,) = refused([wrong])
    assert message is not None

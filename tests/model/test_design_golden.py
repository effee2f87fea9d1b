"""Our designs against those of R, lme4 and brms, recorded by golden/make.R and golden/nested.R.

Where we differ on purpose the case is named below, with the reason.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.frame.encoding import Encoding, encode, learn
from model.frame.levels import level_label
from model.frame.table import Table
from model.language.formula import parse

GOLDEN = json.loads((Path(__file__).parent / "golden" / "designs.json").read_text())
DATA = Table.from_columns(GOLDEN["data"])
NESTED = json.loads((Path(__file__).parent / "golden" / "nested.json").read_text())
FRESH = Table.from_columns(GOLDEN["fresh"])

# Names that R makes otherwise: columns in backticks, and C() of text, which R takes as a factor only.
RENAMED = {
    "y ~ C(f)": ("C(factor(f))", "C(f)"),
    "y ~ C(f, sum)": ("C(factor(f), contr.sum)", "C(f, sum)"),
    "y ~ C(f, helmert)": ("C(factor(f), contr.helmert)", "C(f, helmert)"),
    "y ~ C(h, poly)": ("C(factor(h), contr.poly)", "C(h, poly)"),
    "y ~ C(factor(k), poly)": ("C(factor(k), contr.poly)", "C(factor(k), poly)"),
    "y ~ C(f, contr.sum) * x": ("C(factor(f), contr.sum)", "C(f, contr.sum)"),
    "y ~ 0 + C(f, sum)": ("C(factor(f), contr.sum)", "C(f, sum)"),
    "y ~ C(f, sum) * C(d, sum)": (r"C(factor(\w), contr.sum)", r"C(\1, sum)"),
    "y ~ C(f, sum):x": ("C(factor(f), contr.sum)", "C(f, sum)"),
    "y ~ `my var` + x": ("`my var`", "my var"),
    "y ~ x:`my var`": ("`my var`", "my var"),
}
# `ref` is ours; R numbers the columns of a contrast matrix given by a call, we name their levels.
LEVEL_NAMED = {
    'y ~ C(f, treatment, ref = "mid")': ["hi", "lo"],
    'y ~ C(h, ref = "s") * x': ["e", "n", "w"],
    "y ~ C(k, ref = 3)": ["1", "2", "4", "5"],
}


def renamed(formula: str, name: str) -> str:
    name = "Intercept" if name == "(Intercept)" else name
    pattern, replacement = RENAMED.get(formula, ("", ""))
    if "\\" in pattern:
        return re.sub(r"C\(factor\((\w)\), contr\.sum\)", replacement, name)
    return name.replace(pattern, replacement)


def same(ours: np.ndarray, theirs: Any) -> None:
    np.testing.assert_allclose(ours, np.array(theirs, dtype=float), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("case", GOLDEN["fixed"] + GOLDEN["coded"], ids=lambda case: case["formula"])
def test_population_columns_are_those_of_model_matrix(case: dict[str, Any]) -> None:
    formula = case["formula"]
    deficient = len(case["kept"]) < len(case["columns"])
    encoding = learn(parse(formula), DATA, aliased="drop" if deficient else "error")[0]
    design = encode(encoding, DATA)
    # where columns are aliased we drop those that R's qr() pivots to the end
    places = [case["columns"].index(name) for name in case["kept"]]
    if formula in LEVEL_NAMED:
        assert len(encoding.coefficients) == len(case["kept"])
        for suffix in LEVEL_NAMED[formula]:
            assert f"{formula.removeprefix('y ~ ').removesuffix(' * x')}{suffix}" in encoding.coefficients
    else:
        assert list(encoding.coefficients) == [renamed(formula, name) for name in case["kept"]]
    same(design.x, np.array(case["x"])[:, places])
    same(design.y, case["y"])
    same(design.offset, case["offset"] or np.zeros(DATA.rows))
    same(encoding.x_means, design.x.mean(axis=0))
    assert bool(encoding.aliased) == deficient


@pytest.mark.parametrize("case", NESTED, ids=lambda case: case["formula"])
def test_functions_of_bases_have_the_columns_of_model_matrix(case: dict[str, Any]) -> None:
    encoding, design = learn(parse(case["formula"]), DATA)
    assert list(design.coefficients) == [renamed("", name) for name in case["columns"]]
    same(design.x, case["x"])
    same(design.y, case["y"])
    same(design.offset, case["offset"] or np.zeros(DATA.rows))
    # New rows are encoded by what was learnt: R itself learns an inner basis anew there.
    some = np.array([7, 3])
    stored = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    same(encode(stored, DATA.take(some), response=False).x, design.x[some])


@pytest.mark.parametrize("case", GOLDEN["predicted"], ids=lambda case: case["formula"])
def test_new_rows_are_encoded_as_by_predict(case: dict[str, Any]) -> None:
    encoding = learn(parse(case["formula"]), DATA)[0]
    design = encode(encoding, FRESH, response=False)
    assert [renamed("", name) for name in case["columns"]] == list(design.coefficients)
    same(design.x, case["x"])
    assert design.y is None


@pytest.mark.parametrize("case", GOLDEN["grouped"], ids=lambda case: case["formula"])
def test_group_columns_are_those_of_lme4(case: dict[str, Any]) -> None:
    design = encode(learn(parse(case["formula"]), DATA)[0], DATA)
    factors = {factor.name: factor for factor in design.factors}
    blocks = {
        (factor.name, tuple(factor.coefficients[c] for c in block)): block
        for factor in design.factors
        for block in factor.blocks
    }
    for bar in case["bars"]:
        # lme4 names nested cells from the inside, "s:(b:d)"; we name them as they are written, "d:b:s"
        group = re.findall(r"\w+", bar["group"])
        name = next(name for name in factors if sorted(name.split(":")) == sorted(group))
        factor = factors[name]
        block = blocks.pop((name, tuple(renamed("", c) for c in bar["coefficients"])))
        same(factor.z[:, list(block)], bar["z"])
        order = [name.split(":").index(column) for column in group]
        theirs = [bar["levels"][place] for place in bar["index"]]
        ours = [":".join(r_label(factor.levels[place][column]) for column in order) for place in factor.index]
        assert ours == theirs
        assert len(factor.levels) == len(bar["levels"])
    assert not blocks


@pytest.mark.parametrize("case", GOLDEN["brms"], ids=lambda case: case["formula"])
def test_group_columns_are_those_of_brms(case: dict[str, Any]) -> None:
    design = encode(learn(parse(case["formula"]), DATA)[0], DATA)
    factors = {factor.name: factor for factor in design.factors}
    columns = dict.fromkeys(factors, 0)
    for bar in case["bars"]:
        factor = factors[bar["group"]]
        start = columns[factor.name]
        width = len(bar["coefficients"])
        members = range(start, start + width)
        columns[factor.name] += width
        same(factor.z[:, list(members)], bar["z"])
        # brms takes all but letters, digits and colons out of a name
        assert [re.sub(r"[^\w:]", "", factor.coefficients[c]) for c in members] == bar["coefficients"]
        alone = {(member,) for member in members}
        correlated = bar["correlated"] and width > 1
        assert (tuple(members) in factor.blocks) if correlated else alone <= set(factor.blocks)
        # equal levels on both sides, whatever their order
        pairs = set(zip(factor.index.tolist(), bar["index"], strict=True))
        assert len(pairs) == len(set(factor.index.tolist())) == len(set(bar["index"]))
    assert columns == {name: len(factor.coefficients) for name, factor in factors.items()}


def test_there_are_enough_cases() -> None:
    assert sum(len(GOLDEN[part]) for part in ("fixed", "coded", "predicted", "grouped", "brms")) >= 200


def r_label(value: str | int | bool) -> str:
    return level_label(value).upper() if isinstance(value, bool) else level_label(value)

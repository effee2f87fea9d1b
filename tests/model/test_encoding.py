"""Every settled point of the formula's semantics, and the contract of `learn` and `encode`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from model import limits
from model.errors import InvalidModel, Issue
from model.frame.design import Design
from model.frame.encoding import Encoding, encode, learn
from model.frame.table import Table
from model.language.formula import parse

Y = [3.1, 2.0, 4.4, 5.2, 1.9, 3.3, 4.1, 2.7]
X = [0.5, 1.5, 2.0, 3.5, 4.0, 6.0, 7.5, 9.0]
DATA: dict[str, Any] = {
    "y": Y,
    "x": X,
    "f": ["b", "a", "c", "b", "a", "c", "b", "a"],
    "g": ["u", "u", "v", "v", "w", "w", "z", "z"],
    "h": [1, 2, 1, 2, 1, 2, 1, 2],
    "on": [True, False, False, True, True, False, True, False],
    "zero": [0, 1, 0, 0, 1, 1, 0, 1],
}


def made(text: str, extra: Mapping[str, Any] | None = None, **options: Any) -> tuple[Encoding, Design]:
    table = Table.from_columns({**DATA, **(extra or {})})
    encoding, design = learn(parse(text), table, **options)
    # What was learnt makes the same design again.
    np.testing.assert_equal(asdict(encode(encoding, table)), asdict(design))
    return encoding, design


def refused(text: str, extra: Mapping[str, Any] | None = None, **options: Any) -> list[Issue]:
    with pytest.raises(InvalidModel) as caught:
        made(text, extra, **options)
    return list(caught.value.issues)


def codes(text: str, extra: Mapping[str, Any] | None = None, **options: Any) -> list[str]:
    return [issue.code for issue in refused(text, extra, **options)]


def predicted(encoding: Encoding, columns: Mapping[str, Any]) -> Design:
    return encode(encoding, Table.from_columns(columns), response=False)


# The points of the table "Semantics"


def test_no_intercept_coding() -> None:
    assert made("y ~ 0 + f")[0].coefficients == ("fa", "fb", "fc")
    assert made("y ~ 0 + f + on")[0].coefficients == ("fa", "fb", "fc", "onTRUE")
    encoding, design = made("y ~ f:x")
    assert encoding.coefficients == ("Intercept", "fa:x", "fb:x", "fc:x")
    np.testing.assert_array_equal(design.x[:, 1:].sum(axis=1), X)


def test_double_bar_makes_every_column_independent() -> None:
    (factor,) = made("y ~ (f || h)", aliased="drop")[0].factors
    assert factor.coefficients == ("Intercept", "fb", "fc")
    assert factor.blocks == ((0,), (1,), (2,))


def test_nested_bar() -> None:
    assert [factor.name for factor in made("y ~ (1 | g/h)")[0].factors] == ["g", "g:h"]


def test_joined_groups_are_refused_with_the_right_spelling() -> None:
    with pytest.raises(InvalidModel, match=r"\(1 \| g\) \+ \(1 \| h\)"):
        parse("y ~ (1 | g + h)")
    with pytest.raises(InvalidModel, match=r"\(0 \+ x \| g\) \+ \(1 \| g\)"):
        parse("y ~ (x | g) + (1 | g)")


def test_independent_blocks_on_one_factor() -> None:
    encoding, design = made("y ~ (1 | g) + (0 + x | g)")
    (factor,) = design.factors
    assert factor.coefficients == ("Intercept", "x")
    assert factor.blocks == ((0,), (1,))
    assert encoding.factors[0].blocks == factor.blocks
    np.testing.assert_array_equal(factor.z, np.column_stack([np.ones(8), X]))


def test_a_power_outside_i_equals_the_variable_and_warns() -> None:
    encoding, _ = made("y ~ x^2")
    assert encoding.coefficients == ("Intercept", "x")
    assert [warning.code for warning in encoding.warnings] == ["power_outside_i"]
    assert made("y ~ I(x^2)")[1].x[:, 1].tolist() == [x**2 for x in X]


def test_scale_uses_the_sample_sd_and_refuses_a_constant() -> None:
    _, design = made("y ~ scale(x)")
    np.testing.assert_allclose(design.x[:, 1], (np.array(X) - np.mean(X)) / np.std(X, ddof=1))
    assert codes("y ~ scale(k)", {"k": [2.0] * 8}) == ["constant-predictor"]


def test_stateful_functions_keep_what_they_learnt() -> None:
    text = "y ~ poly(scale(x), 2) + center(zero) + f + (bs(x, df = 4) | h)"
    encoding, design = made(text)
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert again == encoding
    for row in range(8):
        one = predicted(again, {name: [DATA[name][row]] for name in ("x", "zero", "f", "h")})
        np.testing.assert_allclose(one.x[0], design.x[row], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(one.factors[0].z[0], design.factors[0].z[row], rtol=1e-12, atol=1e-12)


def test_extrapolation_is_noticed() -> None:
    encoding, design = made("y ~ poly(x, 2) + (ns(scale(x), df = 2) | g)")
    assert not design.notices
    notices = predicted(encoding, {"x": [0.5, 9.0, 9.1, -3.0], "g": ["u"] * 4}).notices
    assert [notice.code for notice in notices] == ["extrapolation", "extrapolation"]
    assert "in 2 rows" in notices[0].message
    assert not predicted(encoding, {"x": [0.5, 9.0], "g": ["u", None]}).notices


def test_cells_are_tuples_of_levels() -> None:
    extra = {"a": ["a", "a_b", "a", "a_b"] * 2, "b": ["b_c", "c", "c", "b_c"] * 2}
    encoding, design = made("y ~ (1 | a:b)", extra)
    (factor,) = encoding.factors
    assert factor.levels == (("a", "b_c"), ("a", "c"), ("a_b", "b_c"), ("a_b", "c"))
    assert design.factors[0].index.tolist() == [0, 3, 1, 2] * 2
    assert made("y ~ (1 | f:h)")[0].factors[0].levels[0] == ("a", 1)
    only_observed = made("y ~ (1 | a:b)", {"a": ["p", "p", "q", "q"] * 2, "b": ["r", "r", "r", "s"] * 2})[0]
    assert only_observed.factors[0].levels == (("p", "r"), ("q", "r"), ("q", "s"))


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([2**62, 2**62 + 1] * 4, (2**62, 2**62 + 1)),
        ([-(2**63), 2**63 - 1] * 4, (-(2**63), 2**63 - 1)),
        ([10.0, 9.0] * 4, (9, 10)),
        ([-3.0, 1e15] * 4, (-3, 10**15)),
        ([True, False] * 4, (False, True)),
        (["é", "Z", "a", "10"] * 2, ("10", "Z", "a", "é")),
    ],
)
def test_group_ids_are_exact(values: list[Any], levels: tuple[Any, ...]) -> None:
    encoding, design = made("y ~ (1 | k)", {"k": values})
    assert encoding.factors[0].levels == tuple((level,) for level in levels)
    assert [design.factors[0].levels[place][0] for place in design.factors[0].index] == values
    assert all(type(level[0]) in (int, bool, str) for level in encoding.factors[0].levels)


def test_fractions_are_no_group_ids() -> None:
    (issue,) = refused("y ~ (1 | x)")
    assert (issue.code, issue.column, issue.pointer) == ("column-type", "x", "/data/columns/x")


def test_level_order() -> None:
    assert made("y ~ factor(k)", {"k": [10, 9, 100, 9] * 2})[0].coefficients == (
        "Intercept",
        "factor(k)10",
        "factor(k)100",
    )
    given = {"f": ["c", "a", "b"], "g": ["z", "w", "v", "u"]}
    encoding, design = made("y ~ f + (1 | g)", levels=given)
    assert encoding.coefficients == ("Intercept", "fa", "fb")
    assert design.factors[0].index.tolist() == [3, 3, 2, 2, 1, 1, 0, 0]
    assert made("y ~ (1 | g:h)", levels={"h": [2, 1]})[0].factors[0].levels[:2] == (("u", 2), ("u", 1))
    assert {need.name: need.levels for need in encoding.columns} == {
        "f": ("c", "a", "b"),
        "g": ("z", "w", "v", "u"),
    }


def test_unused_levels_are_dropped_and_kept_for_prediction_where_named() -> None:
    encoding, _ = made("y ~ f + (1 | g)", levels={"f": ["d", "a", "b", "c"], "g": ["u", "v", "w", "x", "z"]})
    assert encoding.coefficients == ("Intercept", "fb", "fc")
    assert [warning.code for warning in encoding.warnings] == ["unused_levels"]
    assert len(encoding.factors[0].levels) == 5
    design = predicted(encoding, {"f": ["a", "a"], "g": ["x", "nobody"]})
    assert design.factors[0].index.tolist() == [3, 5]
    assert design.factors[0].new_levels == (("nobody",),)


def test_booleans_are_factors_and_0_1_are_numbers() -> None:
    assert made("y ~ on")[0].coefficients == ("Intercept", "onTRUE")
    assert made("y ~ 0 + on")[0].coefficients == ("onFALSE", "onTRUE")
    assert made("y ~ zero")[0].coefficients == ("Intercept", "zero")
    assert made("on ~ x")[1].y is not None
    np.testing.assert_array_equal(made("on ~ x")[1].y, np.array(DATA["on"], dtype=float))


def test_dates_are_refused_with_a_hint() -> None:
    days = {"day": [f"2024-03-0{d}" for d in range(1, 9)]}
    (issue,) = refused("y ~ day", days)
    assert issue.code == "date-covariate"
    assert "days since" in issue.message
    assert made("y ~ (1 | day)", days)[0].factors[0].levels[0] == ("2024-03-01",)


def test_missing_values() -> None:
    extra = {
        "x": [None, *X[1:]],
        "f": [*DATA["f"][:7], None],
        "g": [None, *DATA["g"][1:]],
        "other": [None] * 8,
    }
    found = refused("y ~ x + f + (1 | g)", extra)
    assert [(issue.code, issue.column) for issue in found] == [
        ("missing-values", "x"),
        ("missing-values", "f"),
        ("missing-values", "g"),
    ]
    assert "1 of 8 rows (0)" in found[0].message
    assert found[0].pointer == "/data/columns/x"
    encoding, design = made("y ~ x + f + (1 | g)", extra, missing="drop")
    assert encoding.dropped == (0, 7)
    assert encoding.rows == design.rows == 6
    assert [warning.code for warning in encoding.warnings] == ["rows_dropped"]
    np.testing.assert_array_equal(design.y, Y[1:7])
    assert codes("y ~ x", {"x": [None] * 8}, missing="drop") == ["no-rows"]


def test_infinity_is_always_an_error() -> None:
    for missing in ("error", "drop"):
        (issue,) = refused("y ~ log(zero)", missing=missing)
        assert (issue.code, issue.column, issue.position) == ("not-finite", "zero", 4)
        assert "4 rows (first: row 0)" in issue.message


def test_rank_deficient_columns_are_named_or_dropped() -> None:
    (issue,) = refused("y ~ x + I(2 * x + 1) + f")
    assert issue.code == "rank-deficient"
    assert "I(2 * x + 1) is a linear combination of x" in issue.message
    encoding, design = made("y ~ x + I(2 * x + 1) + f", aliased="drop")
    assert encoding.aliased == ("I(2 * x + 1)",)
    assert encoding.coefficients == design.coefficients == ("Intercept", "x", "fb", "fc")
    assert design.x.shape == (8, 4)
    assert len(encoding.x_means) == 4
    assert [warning.code for warning in encoding.warnings] == ["rank_deficient"]
    assert codes("y ~ poly(x, 7) + f") == ["rank-deficient"]


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_units_and_means_do_not_look_like_collinearity(unit: float, shift: float) -> None:
    columns = {"a": [unit * (x + shift) for x in X], "b": [x * x for x in X]}
    assert made("y ~ a + b", columns)[0].coefficients == ("Intercept", "a", "b")
    columns["c"] = [2 * a + 3 * unit for a in columns["a"]]
    assert codes("y ~ a + b + c", columns) == ["rank-deficient"]


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_functions_do_not_mind_the_unit(unit: float) -> None:
    text = "y ~ poly(x, 4) + scale(x):f + (bs(x, df = 4) | g)"
    (_, one), (_, other) = (
        made(text, aliased="drop"),
        made(text, {"x": [unit * x for x in X]}, aliased="drop"),
    )
    np.testing.assert_allclose(one.x, other.x, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.factors[0].z, other.factors[0].z, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-200, 1e-80, 1e80, 1e200])
def test_absurd_units_are_refused(unit: float) -> None:
    for text in ("y ~ k", "y ~ poly(k, 2)", "y ~ scale(k)", "k ~ x", "y ~ (k | g)"):
        (issue,) = refused(text, {"k": [unit * x for x in X]})
        assert (issue.code, issue.column) == ("not-finite", "k")
        assert "change its unit" in issue.message


def test_near_collinearity_is_judged_as_by_r() -> None:
    wiggle = [1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0]
    for size, fine in ((1e-5, True), (1e-9, False)):
        near = {"k": [x + size * w for x, w in zip(X, wiggle, strict=True)]}
        if fine:
            assert made("y ~ x + k", near)[0].coefficients == ("Intercept", "x", "k")
        else:
            assert codes("y ~ x + k", near) == ["rank-deficient"]


def test_constant_predictors_and_one_level_are_named() -> None:
    extra = {"k": [2.5] * 8, "same": ["s"] * 8, "yes": [True] * 8}
    found = refused("y ~ k + same + yes + (k | g)", extra)
    assert [(issue.code, issue.column) for issue in found] == [
        ("constant-predictor", "k"),
        ("constant-predictor", "same"),
        ("constant-predictor", "yes"),
    ]
    assert codes("y ~ poly(k, 2)", {"k": [1, 2] * 4}) == ["constant-predictor"]


def test_groups_need_levels_and_rows() -> None:
    (issue,) = refused("y ~ (1 | k)", {"k": ["only"] * 8})
    assert (issue.code, issue.column) == ("too-few-levels", "k")


def test_a_slope_that_never_varies_within_a_level_warns() -> None:
    encoding, _ = made("y ~ k + (k + x | g)", {"k": [1, 1, 2, 2, 3, 3, 4, 4]})
    (warning,) = encoding.warnings
    assert (warning.code, warning.parameters) == ("constant_slope", ("sd[g][k]",))
    assert not made("y ~ (x | g)")[0].warnings


def test_a_grouping_factor_among_the_population_level_terms_warns() -> None:
    alias = {"k": list("ssttuuvv"), "my k": list("ssttuuvv")}
    for text in ("y ~ g + (1 | g)", "y ~ k + x + (1 + x | g)", "y ~ `my k` + (1 | g)"):
        (warning,) = made(text, alias)[0].warnings
        assert (warning.code, warning.parameters) == ("repeated_factor", ("sd[g][Intercept]",))
    for text in ("y ~ h + (1 | h)", "y ~ f + (1 | g)", "y ~ x + k:x + (1 | g)", "y ~ k + (0 + x | g)"):
        assert not made(text, alias)[0].warnings


def test_what_says_something_of_a_level_as_a_whole_is_known() -> None:
    extra = {"k": [1, 1, 2, 2, 3, 3, 4, 4], "t": list("ppppqqqq"), "one": list(range(8))}
    encoding, _ = made("y ~ x * k + t + poly(k, 2):x + (x | g) + (1 | h) + (1 | one)", extra, aliased="drop")
    assert encoding.constants == (("k", "t", "poly(k, 2)"), (), ())
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


def test_names_are_kept_exactly() -> None:
    odd = [
        "Intercept",
        "C",
        "log",
        "b",
        "a b",
        'say "x"',
        "🐍",
        "x~1",
        "a`b",
        "back\\slash",
        "1st",
        "I(x)",
        "é",
    ]
    rng = np.random.default_rng(1)
    columns = {name: rng.normal(size=40).tolist() for name in ["y", *odd]}
    columns["my group"] = [f"level {i % 5}" for i in range(40)]
    quoted = " + ".join("`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`" for name in odd)
    table = Table.from_columns(columns)
    encoding = learn(parse(f"y ~ {quoted} + (1 + `a b` | `my group`)"), table)[0]
    bare = [name for name in encoding.coefficients[1:] if not name.startswith("`")]
    assert bare == [name for name in odd if name not in ("Intercept", "a`b", "I(x)")]
    # quoted only where the name would read as something else
    assert [name for name in encoding.coefficients if name.startswith("`")] == [
        "`Intercept`",
        r"`a\`b`",
        "`I(x)`",
    ]
    assert encoding.factors[0].name == "my group"
    assert encoding.factors[0].coefficients == ("Intercept", "a b")
    np.testing.assert_array_equal(encode(encoding, table).x[:, 1], columns["Intercept"])
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert again.coefficients == encoding.coefficients


def test_coefficient_names_are_those_of_r() -> None:
    encoding, _ = made(
        "y ~ Machine + x:f2 + poly(x, 2) + I(x^2/3) + (1 | g:h)",
        {"Machine": ["A", "B"] * 4, "f2": [1.5, 2.5, 1.0, 0.0, 0.1, 7.0, 2.0, 2.0]},
        aliased="drop",
    )
    names = ("Intercept", "MachineB", "poly(x, 2)1", "poly(x, 2)2", "x:f2")
    assert encoding.coefficients == names
    assert encoding.aliased == ("I(x^2/3)",)
    assert encoding.factors[0].name == "g:h"
    numbers = {"k": [1.5, 2.0, 100000.0, 0.0001] * 2}
    assert made("y ~ factor(k)", numbers)[0].coefficients[1:] == (
        "factor(k)1.5",
        "factor(k)2",
        "factor(k)1e+05",
    )


def test_columns_have_a_meaning_that_names_the_baseline() -> None:
    encoding, _ = made("y ~ f * x + C(on, sum) + poly(x, 2)", aliased="drop")
    assert dict(zip(encoding.coefficients, encoding.meanings, strict=True)) == {
        "Intercept": "the intercept",
        "fb": "f = b against f = a",
        "fc": "f = c against f = a",
        "x": "x",
        "C(on, sum)1": "on = FALSE against the mean of all levels",
        "poly(x, 2)2": "poly(x, 2), column 2",
        "fb:x": "f = b against f = a × x",
        "fc:x": "f = c against f = a × x",
    }
    coded = "y ~ C(f, ref = 'c') + C(h, helmert) + C(g, poly)"
    assert made(coded, aliased="drop")[0].meanings[1:] == (
        "f = a against f = c",
        "f = b against f = c",
        "h = 2 against the mean of the levels before it",
        "g, trend of degree 1",
        "g, trend of degree 2",
        "g, trend of degree 3",
    )
    assert made("y ~ 0 + f")[0].meanings == ("f = a", "f = b", "f = c")


def test_the_cells_of_a_design_are_limited() -> None:
    rows = limits.DESIGN_CELLS // 1_000
    table = Table.from_columns({"y": np.arange(float(rows)), "f": np.arange(rows) % 1_001})
    with pytest.raises(InvalidModel, match=f"the limit is {limits.DESIGN_CELLS} in all") as caught:
        learn(parse("y ~ factor(f)"), table)
    assert [issue.code for issue in caught.value.issues] == ["design-too-large"]


def test_sizes_are_limited() -> None:
    rows = 2 * (limits.COLUMNS + 1)
    ids = {name: [f"{name}{row // 2}" for row in range(rows)] for name in ("id", "w")}
    table = Table.from_columns({**ids, "y": np.arange(float(rows)), "g": np.arange(rows) % 2})
    for text, limit in (("y ~ id", limits.COLUMNS), ("y ~ id:w", limits.COLUMNS)):
        with pytest.raises(InvalidModel, match=str(limit)) as caught:
            learn(parse(text + " - 1"), table)
        assert caught.value.issues[0].code == "design-too-large"
    with pytest.raises(InvalidModel, match=f"the limit is {limits.FACTOR_COEFFICIENTS}"):
        learn(parse("y ~ (id | g)"), table)


# The contract of learn


def test_all_issues_come_at_once() -> None:
    found = refused(
        "y ~ log(zero) + k + f + (1 | x) + offset(g)",
        {"k": [1.0] * 8, "f": ["a"] * 8},
        levels={"h": [1, 2], "f": ["b"]},
    )
    assert {issue.code for issue in found} == {
        "not-finite",
        "constant-predictor",
        "column-type",
        "invalid-levels",
    }
    assert {issue.column for issue in found} == {"zero", "k", "f", "x", "g", "h"}


def test_unknown_columns_are_all_named_with_a_suggestion() -> None:
    found = refused("y ~ student_agee + nope + (1 | gg)", {"student_age": X})
    assert [(issue.code, issue.column, issue.position) for issue in found] == [
        ("unknown-column", "student_agee", 4),
        ("unknown-column", "nope", 19),
        ("unknown-column", "gg", 31),
    ]
    assert "did you mean student_age?" in found[0].message
    assert "did you mean x?" in refused("y ~ X")[0].message
    assert "the intercept is written 1" in refused("y ~ 0 + Intercept + x")[0].message


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ({"x": [1, 2]}, "no categorical way"),
        ({"nope": ["a"]}, "no categorical way"),
        ({"f": ["a", "b"]}, "lack: 'c'"),
        ({"f": ["a", "b", "c", "a"]}, "repeat 'a'"),
        ({"f": [1, 2, 3]}, "not all of its kind"),
        ({"g": ["u", "v", "w"]}, "lack: 'z'"),
        ({"h": [True, 2]}, "not all of its kind"),
        ({"on": [0, 1]}, "not all of its kind"),
        ({"f": []}, "lack: 'a', 'b', 'c'"),
        ({"g": [["u"], None]}, "not all of its kind"),
    ],
)
def test_wrong_levels_are_refused(levels: dict[str, Any], says: str) -> None:
    found = refused("y ~ x + f + on + (1 | g) + (1 | h)", levels=levels)
    assert len(found) == 1
    assert found[0].code == "invalid-levels"
    assert found[0].pointer == f"/levels/{next(iter(levels))}"
    assert says in found[0].message


def test_a_dot_is_resolved_and_remembered() -> None:
    table = Table.from_columns({name: DATA[name] for name in ("y", "x", "g", "zero")})
    encoding = learn(parse("y ~ . + (1 | g)"), table)[0]
    assert encoding.formula == "y ~ x + zero + (1 | g)"
    assert predicted(encoding, {"zero": [1], "x": [2.0], "g": ["u"], "more": ["?"]}).x.tolist() == [
        [1.0, 2.0, 1.0]
    ]


def test_what_is_wrong_with_a_column_of_the_dot_is_shown_at_the_dot() -> None:
    (issue,) = refused("y ~ . - x", {"k": [1.0] * 8}, levels={})
    assert (issue.code, issue.column, issue.position) == ("constant-predictor", "k", 4)


def test_names_that_collide_are_refused() -> None:
    assert codes("y ~ f + fb", {"fb": X}) == ["ambiguous-name"]
    assert codes("y ~ (1 | g:h) + (1 | `g:h`)", {"g:h": [1, 2] * 4}) == ["ambiguous-name"]


def test_x_means() -> None:
    encoding, design = made("y ~ x + f")
    assert encoding.x_means[0] == 1.0
    np.testing.assert_allclose(encoding.x_means, design.x.mean(axis=0))


# The response


def test_cbind_and_trials() -> None:
    counts = {"s": [1, 0, 2, 3, 1, 1, 0, 2], "n": [3] * 8}
    both = [made(text, counts)[1] for text in ("cbind(s, n - s) ~ x", "s | trials(n) ~ x")]
    for design in both:
        assert design.y is not None
        assert design.trials is not None
        assert design.y.tolist() == counts["s"]
        assert design.trials.tolist() == [3] * 8
    assert made("s | trials(3) ~ x", counts)[1].trials.tolist() == [3] * 8  # type: ignore[union-attr]
    assert codes("s | trials(2) ~ x", counts) == ["invalid-response"]
    assert codes("cbind(s, 2 - s) ~ x", counts) == ["invalid-response"]
    assert codes("y | trials(n) ~ x", counts) == ["invalid-response", "invalid-response"]
    assert codes("cbind(s, n) | trials(n) ~ x", counts) == ["invalid-response"]


def test_trials_are_read_for_predictions_where_they_are_given() -> None:
    encoding, _ = made("s | trials(n) ~ x", {"s": [1, 0, 2, 3, 1, 1, 0, 2], "n": [3] * 8})
    assert predicted(encoding, {"x": [1.0]}).trials is None
    trials = predicted(encoding, {"x": [1.0, 2.0], "n": [5, 7]}).trials
    assert trials is not None
    assert trials.tolist() == [5, 7]
    with pytest.raises(InvalidModel, match="'n' has missing values"):
        predicted(encoding, {"x": [1.0, 2.0], "n": [5, None]})


def test_the_trials_of_cbind_are_both_its_sides() -> None:
    encoding, _ = made("cbind(s, n - s) ~ x", {"s": [1, 0, 2, 3, 1, 1, 0, 2], "n": [3] * 8})
    assert encoding.trial_names == {"s", "n"}
    assert predicted(encoding, {"x": [1.0], "n": [4]}).trials is None
    trials = predicted(encoding, {"x": [1.0, 2.0], "s": [0, 2], "n": [5, 7]}).trials
    assert trials is not None
    assert trials.tolist() == [5, 7]


@pytest.mark.parametrize("n", [-1, 2.5, 1e300])
def test_trials_to_come_are_counts_too(n: float) -> None:
    for text in ("s | trials(n) ~ x", "cbind(s, n - s) ~ x"):
        encoding, _ = made(text, {"s": [1, 0, 2, 3, 1, 1, 0, 2], "n": [3] * 8})
        with pytest.raises(InvalidModel) as caught:
            predicted(encoding, {"x": [1.0, 2.0], "n": [3, n], "s": [0, 0]})
        (issue,) = caught.value.issues
        assert (issue.code, "(first: row 1)" in issue.message) == ("invalid-response", True)


def test_of_a_text_response_the_second_level_counts() -> None:
    answers = {"said": ["yes", "no", "yes", "yes", "no", "no", "yes", "no"]}
    encoding, design = made("said ~ x", answers)
    assert design.y is not None
    assert (encoding.outcomes, design.y.tolist()) == (("no", "yes"), [1, 0, 1, 1, 0, 0, 1, 0])
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding
    turned, design = made("said ~ x", answers, levels={"said": ["yes", "no"]})
    assert design.y is not None
    assert (turned.outcomes, design.y.tolist()) == (("yes", "no"), [0, 1, 0, 0, 1, 1, 0, 1])
    assert made("said ~ x", answers, levels={"said": ["no", "maybe", "yes"]})[0].outcomes == ("no", "yes")
    assert predicted(encoding, {"x": [1.0]}).y is None


@pytest.mark.parametrize(
    ("said", "says"), [("abcabcab", "3 levels, 'a', 'b', 'c'"), ("aaaaaaaa", "1 levels, 'a'")]
)
def test_a_text_response_has_two_levels(said: str, says: str) -> None:
    (issue,) = refused("said ~ x", {"said": list(said)})
    assert (issue.code, issue.column, issue.position) == ("column-type", "said", 0)
    assert says in issue.message


def test_the_levels_of_a_numeric_response_cannot_be_given() -> None:
    (issue,) = refused("zero ~ x", levels={"zero": [1, 0]})
    assert issue.code == "invalid-levels"


def test_weights_and_standard_errors() -> None:
    _, design = made("y | weights(x) + se(x / 10) ~ 1")
    np.testing.assert_array_equal(design.weights, X)
    np.testing.assert_array_equal(design.standard_error, np.array(X) / 10)
    assert codes("y | weights(-x) + se(x - x) ~ 1") == ["invalid-response", "invalid-response"]
    assert codes("y | weights(x - x) ~ 1") == ["invalid-response"]
    assert codes("g ~ x") == ["column-type"]
    assert made("y ~ 1")[1].weights is None


def test_a_transformed_response_and_offsets() -> None:
    encoding, design = made("scale(log(y)) ~ offset(log(x)) + offset(2 * zero)")
    logs = np.log(Y)
    np.testing.assert_allclose(design.y, (logs - logs.mean()) / logs.std(ddof=1))
    np.testing.assert_allclose(design.offset, np.log(X) + 2 * np.array(DATA["zero"]))
    assert encoding.response == "scale(log(y))"
    np.testing.assert_allclose(predicted(encoding, {"x": [2.0], "zero": [1]}).offset, np.log(2) + 2)


# New rows


@pytest.fixture(name="fitted")
def fixture_fitted() -> Encoding:
    return made("y ~ x + f + on + (1 + x | g) + (1 | g:h)")[0]


def test_encode_reproduces_the_training_design(fitted: Encoding) -> None:
    table = Table.from_columns(DATA)
    again = Encoding.from_json(json.loads(json.dumps(fitted.to_json())))
    one, other = encode(fitted, table), encode(again, table)
    np.testing.assert_array_equal(one.x, other.x)
    for ours, theirs in zip(one.factors, other.factors, strict=True):
        np.testing.assert_array_equal(ours.index, theirs.index)
        assert (ours.levels, ours.blocks, ours.new_levels) == (theirs.levels, theirs.blocks, ())


def test_encode_drops_the_same_rows() -> None:
    extra = {"x": [None, *X[1:]]}
    encoding, design = made("y ~ x + (1 | g)", extra, missing="drop")
    assert design.rows == encoding.rows == 7
    assert design.factors[0].index.tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_new_and_null_levels(fitted: Encoding) -> None:
    design = predicted(
        fitted,
        {
            "x": [1.0] * 5,
            "f": ["a"] * 5,
            "on": [True] * 5,
            "g": ["u", "q", None, "p", "q"],
            "h": [1, 1, 2, 9, 2],
        },
    )
    by_g, by_cell = design.factors
    assert by_g.index.tolist() == [0, 5, -1, 4, 5]
    assert by_g.new_levels == (("p",), ("q",))
    assert by_cell.index.tolist() == [0, 9, -1, 8, 10]
    assert by_cell.new_levels == (("p", 9), ("q", 1), ("q", 2))
    assert design.y is None


def test_a_known_level_in_a_new_cell(fitted: Encoding) -> None:
    design = predicted(fitted, {"x": [1.0], "f": ["a"], "on": [False], "g": ["u"], "h": [7]})
    assert design.factors[0].index.tolist() == [0]
    assert design.factors[1].new_levels == (("u", 7),)


def test_no_known_group_at_all(fitted: Encoding) -> None:
    design = predicted(fitted, {"x": [1.0], "f": ["a"], "on": [False], "g": [None], "h": [None]})
    assert [factor.index.tolist() for factor in design.factors] == [[-1], [-1]]


def test_what_new_rows_lack_is_all_reported(fitted: Encoding) -> None:
    def issues(columns: dict[str, Any]) -> list[tuple[str, str | None]]:
        with pytest.raises(InvalidModel) as caught:
            predicted(fitted, columns)
        return [(issue.code, issue.column) for issue in caught.value.issues]

    good = {"x": [1.0, 2.0], "f": ["a", "b"], "on": [True, False], "g": ["u", "v"], "h": [1, 2]}
    assert issues({"x": [1.0], "h": [1]}) == [("unknown-column", name) for name in ("f", "g", "on")]
    assert issues({**good, "x": [None, 1.0], "f": [None, "a"]}) == [
        ("missing-values", "x"),
        ("missing-values", "f"),
    ]
    assert issues({**good, "f": ["a", "nope"]}) == [("unknown-level", "f")]
    wrong_kinds = {"x": ["1", "2"], "f": [1, 2], "on": [0, 1], "g": [1, 2], "h": ["1", "2"]}
    assert issues(wrong_kinds) == [("column-type", name) for name in ("x", "f", "g", "h", "on")]


def test_an_unseen_level_of_a_covariate_lists_those_allowed(fitted: Encoding) -> None:
    with pytest.raises(InvalidModel, match=r"'nope'\. Its levels are 'a', 'b', 'c'\."):
        predicted(fitted, {"x": [1.0], "f": ["nope"], "on": [True], "g": ["u"], "h": [1]})


def test_numbers_and_whole_numbers_are_alike(fitted: Encoding) -> None:
    design = predicted(fitted, {"x": [3], "f": ["a"], "on": [True], "g": ["u"], "h": [1.0]})
    assert design.factors[1].index.tolist() == [0]
    assert design.x[0, 1] == 3.0


def test_needed_columns(fitted: Encoding) -> None:
    assert {need.name: (need.kind, need.levels) for need in fitted.columns} == {
        "x": ("number", None),
        "f": ("text", ("a", "b", "c")),
        "on": ("boolean", (False, True)),
        "g": ("text", ("u", "v", "w", "z")),
        "h": ("integer", None),
    }


def test_a_hundred_thousand_levels() -> None:
    count = 100_000
    table = Table.from_columns(
        {"y": np.arange(2.0 * count), "g": [f"id-{i % count}" for i in range(2 * count)]}
    )
    encoding = learn(parse("y ~ 1 + (1 | g)"), table)[0]
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert again == encoding
    one = predicted(again, {"g": ["id-99999"]}).factors[0]
    assert one.levels[one.index[0]] == ("id-99999",)


def test_a_document_of_another_version_is_refused(fitted: Encoding) -> None:
    with pytest.raises(ValueError, match="version 0"):
        Encoding.from_json({**fitted.to_json(), "version": 0})


def test_a_constant_stands_for_an_intercept_where_there_is_none() -> None:
    ones = {"k": [1] * 8, "none": [0] * 8}
    assert made("y ~ 0 + k + x", ones)[0].coefficients == ("k", "x")
    (factor,) = made("y ~ 0 + x + (0 + k | g)", ones)[0].factors
    assert factor.coefficients == ("k",)
    assert [notice.code for notice in made("y ~ x + (0 + k | g)", ones)[0].warnings] == []
    assert codes("y ~ k + x", ones) == codes("y ~ 0 + x + (1 + k | g)", ones) == ["constant-predictor"]
    assert "intercept's" in refused("y ~ k + x", ones)[0].message
    assert "is 0 in every row" in refused("y ~ 0 + none + x", ones)[0].message
    assert codes("y ~ 0 + f + k", ones) == ["rank-deficient"]


def test_the_answer_says_which_word_is_the_event() -> None:
    said = {"said": ["fail", "Pass", "fail", "Pass", "Pass", "fail", "Pass", "fail"]}
    encoding, design = made("said ~ x", said)
    assert (encoding.event, design.y.tolist()) == ("fail", [1, 0, 1, 0, 0, 1, 0, 1])
    (notice,) = encoding.warnings
    assert (notice.code, notice.severity) == ("response_event", "info")
    assert notice.message.startswith("'fail' of said counts as 1 and 'Pass' as 0")
    turned, _ = made("said ~ x", said, levels={"said": ["fail", "Pass"]})
    assert (turned.event, turned.warnings) == ("Pass", ())
    assert made("on ~ x")[0].event is True
    assert made("y ~ x")[0].event is None

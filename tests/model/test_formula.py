"""The grammar: canonical text, R's expansion into terms, and what is said about a mistake."""

import pytest

from model.errors import FormulaError
from model.language.formula import parse


def labels(text: str) -> tuple[str, ...]:
    return parse(text).structure.population.labels


def issues(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    return [(issue.code, issue.position) for issue in caught.value.issues]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("y~x", "y ~ x"),
        ("y ~ a*b-1", "y ~ a * b - 1"),
        ("y ~ ((a + b)) + (c)", "y ~ a + b + c"),
        ("y ~ a + (b + c)", "y ~ a + (b + c)"),
        ("y ~ (a+b)**2", "y ~ (a + b)^2"),
        ("y ~ a %in% b / c", "y ~ a %in% b/c"),
        ("y ~ (a:b):c", "y ~ a:b:c"),
        ("y ~ -1 + x", "y ~ -1 + x"),
        ("y ~ x+(1+x|g)+(0+x||h/k)", "y ~ x + (1 + x | g) + (0 + x || h/k)"),
        ("cbind(a,n-a) ~ (1|h)", "cbind(a, n - a) ~ (1 | h)"),
        ("log(y)|weights(w)+se(s) ~ 1", "log(y) | weights(w) + se(s) ~ 1"),
        ("y|trials(10) ~ 1", "y | trials(10) ~ 1"),
        ("y ~ I((x+1)*2) + I(-x^2) + I((-x)^2)", "y ~ I((x + 1) * 2) + I(-x^2) + I((-x)^2)"),
        ("y ~ I(a-(b-c)) + I(a^b^c) + I((a^b)^c)", "y ~ I(a - (b - c)) + I(a^b^c) + I((a^b)^c)"),
        ("y ~ I(2^-x) + I(x*-1)", "y ~ I(2^-x) + I(x * -1)"),
        ("y ~ I(1e5*x) + I(.5*x) + I(1e-3*x)", "y ~ I(1e+05 * x) + I(0.5 * x) + I(0.001 * x)"),
        (
            "y ~ poly( scale(x) , 2 ) + bs(z,df=5,degree=2)",
            "y ~ poly(scale(x), 2) + bs(z, df = 5, degree = 2)",
        ),
        ("y ~ C(f, sum) + C(f, ref='b')", 'y ~ C(f, sum) + C(f, ref = "b")'),
        ("y ~ `x` + `a b` + `log` + `.`", "y ~ x + `a b` + log + `.`"),
        (r"y ~ `a\`b` + `c\\d`", r"y ~ `a\`b` + `c\\d`"),
        ("größe ~ 身長 + हिन्दी + .x + _z + x.1", "größe ~ 身長 + हिन्दी + .x + _z + x.1"),
        ("y ~ . - x", "y ~ . - x"),
        ("y ~ offset(log(n)) + x\n", "y ~ offset(log(n)) + x"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    formula = parse(text)
    assert str(formula) == canonical
    assert parse(canonical) == formula


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ a:b + c + a", ("Intercept", "c", "a", "a:b")),
        ("y ~ a + b:a", ("Intercept", "a", "a:b")),
        ("y ~ (a + b + c)^2 - a:b", ("Intercept", "a", "b", "c", "a:c", "b:c")),
        ("y ~ (a + b)/c", ("Intercept", "a", "b", "a:b:c")),
        ("y ~ a/b/c", ("Intercept", "a", "a:b", "a:b:c")),
        ("y ~ a/(b + c)", ("Intercept", "a", "a:b", "a:c")),
        ("y ~ b %in% a", ("Intercept", "b:a")),
        ("y ~ a*b*c - a:b:c - 1", ("a", "b", "c", "a:b", "a:c", "b:c")),
        ("y ~ 0 + x + 1", ("Intercept", "x")),
        ("y ~ x - 1 + 1", ("Intercept", "x")),
        ("y ~ x - 0", ("Intercept", "x")),
        ("y ~ 0", ()),
        ("y ~ a:a + a", ("Intercept", "a")),
        ("y ~ a - b", ("Intercept", "a")),
        ("y ~ log(x):log(x + 1)", ("Intercept", "log(x):log(x + 1)")),
        ("y ~ (0 + x)", ("x",)),
        ("y ~ (x + (1 | g)) + z", ("Intercept", "x", "z")),
        ("y ~ (a + b + c + d)^4 - (a + b)^2", labels("y ~ a*b*c*d - a - b - a:b")),
    ],
)
def test_expansion(text: str, expected: tuple[str, ...]) -> None:
    assert sorted(labels(text)) == sorted(expected)


def test_terms_are_ordered_by_degree_then_by_appearance() -> None:
    assert labels("y ~ b:a + c + a:c + a + b") == ("Intercept", "c", "a", "b", "b:a", "a:c")


def test_bars_become_factors_and_blocks() -> None:
    structure = parse("y ~ (1 | a/b) + (x || g) + (0 + z | g) + (1 | c:d)").structure
    found = [
        (grouping.name, [(bar.terms.labels, bar.correlated) for bar in grouping.bars])
        for grouping in structure.groupings
    ]
    assert found == [
        ("a", [(("Intercept",), True)]),
        ("a:b", [(("Intercept",), True)]),
        ("g", [(("Intercept", "x"), False), (("z",), True)]),
        ("c:d", [(("Intercept",), True)]),
    ]


def test_a_dot_stands_for_the_other_columns() -> None:
    formula = parse("log(y) | weights(w) ~ . - b + (1 | g:h)")
    assert formula.dotted
    columns = ["y", "a", "b", "g", "w", "c", "h"]
    assert str(formula.resolve(columns)) == "log(y) | weights(w) ~ a + b + c - b + (1 | g:h)"
    assert str(parse("y ~ .^2").resolve(["y", "a", "b"])) == "y ~ (a + b)^2"
    assert str(parse("y ~ z + .").resolve(["y", "a", "z"])) == "y ~ z + a + z"
    assert str(parse("y ~ .").resolve(["y", "odd name"])) == "y ~ `odd name`"
    with pytest.raises(FormulaError, match="No column is left"):
        parse("y ~ .").resolve(["y"])


def test_names_are_those_of_columns_alone() -> None:
    formula = parse(
        "cbind(a, n - a) | weights(w) ~ C(f, sum) + C(h, ref = q) + log(x + 1) + offset(o) + (z | g/k)"
    )
    assert formula.names == {"a", "n", "w", "f", "h", "x", "o", "z", "g", "k"}
    assert formula.response.names == ("a", "n", "w")
    assert str(formula.response) == "cbind(a, n - a) | weights(w)"


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "expected a number or the name of a column, found the end"),
        ("y", 1, "expected ~"),
        ("y ~", 3, "expected a term, found the end"),
        ("~ x", 0, "a response before ~"),
        ("y ~ x ~ z", 6, "found ~"),
        ("y ~ x z", 6, "found name z"),
        ("y ~ x +", 7, "found the end"),
        ("y ~ (x", 6, r"or \), found the end"),
        ("y ~ x)", 5, r"found \)"),
        ("y ~ x > 0", 6, "comparisons"),
        ("y ~ 1e3*x", 4, "0 or 1"),
        ("y ~ 2", 4, "0 or 1"),
        ("y ~ x | g", 6, "in parentheses"),
        ("y ~ (1 | g | h)", 11, "two sides"),
        ("y ~ (x | 1)", 9, "no grouping column"),
        ("y ~ (x | .)", 9, "no grouping column"),
        ("y ~ (x | factor(g))", 9, "categorical already"),
        ("y ~ (x | log(g))", 9, "joined by : or /"),
        ("y ~ (x | a + b)", 9, r"write \(x \| a\) \+ \(x \| b\)"),
        ("y ~ (1 | a * b)", 9, r"\(1 \| a\) \+ \(1 \| b\) \+ \(1 \| a:b\)"),
        ("y ~ (1 | g:g)", 9, "twice"),
        ("y ~ (0 | g)", 4, "no effects"),
        ("y ~ ((1 | g) | h)", 5, "bar stands inside a bar"),
        ("y ~ (offset(x) | h)", 5, "offset stands inside a bar"),
        ("y ~ x:(1 | g)", 6, "can only be added"),
        ("y ~ x - (1 | g)", 8, "can only be added"),
        ("y ~ x:1", 6, "can only be added"),
        ("y ~ (x + 1):z", 9, "can only be added"),
        ("y ~ x:offset(z)", 6, "can only be added"),
        ("y ~ x^z", 6, "whole number from 1 to 20"),
        ("y ~ x^2.5", 6, "whole number"),
        ("y ~ x^2^2", 8, "power of a power"),
        ("y ~ x + y", 8, "both sides"),
        ("y + 1 ~ x", 0, r"goes in I\(\)"),
        ("factor(y) ~ x", 0, "cannot make a response"),
        ("cbind(a) ~ x", 0, "two arguments"),
        ("cbind(a, b, 3) ~ x", 0, "two arguments"),
        ("y | foo(z) ~ x", 4, r"trials\(n\)"),
        ("y | trials(n) + trials(m) ~ x", 16, "twice"),
        ("y | trials(n, 2) ~ x", 4, "one argument"),
        ("y ~ sqr(x)", 4, "did you mean sqrt"),
        ("y ~ as.factor(x)", 4, r"write factor\(x\)"),
        ("y ~ s(x)", 4, "smooth terms"),
        ("y ~ x + (1 | gr(g))", 13, "grouping factor alone"),
        ("y ~ x + (1 + x | p | g)", 19, "two sides"),
        ("bf(y ~ x, sigma ~ x)", 0, r"without bf\(\)"),
        ("mvbind(y, z) ~ x", 0, "one response"),
        ("y | rate(n) ~ x", 4, r"offset\(log\(n\)\)"),
        ("y | cens(z) ~ x", 4, "censored"),
        ("factor(y) ~ x", 0, "text of two levels"),
        ("y ~ scale(x, scale = false)", 21, r"write center\(x\)"),
        ("y ~ poly(x, 2, raw = true)", 21, "raw powers"),
        ("y ~ ns(x, knots = 3)", 18, "quantiles"),
        ("y ~ trials(x)", 4, "left of ~"),
        ("y ~ log(x, 2)", 11, "nothing after"),
        ("y ~ log(x,)", 10, r"found \)"),
        ("y ~ log(,x)", 8, "found ,"),
        ("y ~ C(f, sum,)", 13, r"found \)"),
        ("y ~ log(x", 9, r"comma or \)"),
        ("y ~ (a - 1):z", 9, "can only be added"),
        ("y ~ z - (0 + a)", 9, "can only be added"),
        ("y ~ log()", 4, "something to work on"),
        ("y ~ poly(x, 2, 3)", 15, "takes only degree"),
        ("y ~ poly(x, 0)", 12, "1 to 20"),
        ("y ~ poly(x, z)", 12, "1 to 20"),
        ("y ~ poly(x, 2.5)", 12, "1 to 20"),
        ("y ~ poly(x, raw = 1)", 18, "no argument raw"),
        ("y ~ bs(x, df = 5, df = 6)", 4, "twice"),
        ("y ~ bs(x, df = 2)", 15, "at least its degree"),
        ("y ~ ns(x, df = 51)", 15, "1 to 50"),
        ("y ~ C(f, nope)", 9, "the contrasts are"),
        ("y ~ C(f, sum, ref = 'b')", 20, "treatment contrasts alone"),
        ("y ~ C(log(x))", 6, "name of a column"),
        ("y ~ factor(C(f))", 11, "name of a column"),
        ("y ~ C(f, ref = log(x))", 15, "a number, a word"),
        ("y ~ offset()", 4, "one argument"),
        ("y ~ `log`(x)", 9, "cannot be called"),
        ("y ~ `", 4, "closing ` is missing"),
        ("y ~ ``", 4, "cannot be empty"),
        ("y ~ 2x", 4, "backticks"),
        ("y ~ I(1e999 * x)", 6, "too large"),
        ("y ~ I(x > 1)", 8, "comparisons"),
        ("y ~ I(x | z)", 8, r"found \|"),
        ("y ~ I(.)", 6, "name of a column"),
        ("y ∼ x", 2, "∼ only looks like ~"),
        ("y ~ x − 1", 6, "− only looks like -"),
        ("y ~ df$x", 6, "named alone"),
    ],
)
def test_a_mistake_is_shown(text: str, position: int, says: str) -> None:
    with pytest.raises(FormulaError, match=f"(?i){says}") as caught:
        parse(text)
    issue = caught.value.issues[0]
    assert (issue.pointer, issue.position) == ("/formula", position)
    line, caret = issue.message.split("\n")[-2:]
    shown = text[position] if position < len(text) else ""
    assert line[caret.index("^") : caret.index("^") + 1] == shown


def test_all_mistakes_come_at_once() -> None:
    assert issues("y ~ foo(x) + poly(x, 99) + (1 | a + b) + np.exp(z) + (0 | g)") == [
        ("unknown-function", 4),
        ("formula-syntax", 21),
        ("unknown-function", 41),
        ("formula-syntax", 32),
        ("formula-syntax", 53),
    ]
    assert [position for _, position in issues("y @ x $ z")] == [2, 6]


def test_a_long_formula_is_shown_around_the_mistake() -> None:
    text = "y ~ " + " + ".join(f"x{i}" for i in range(100)) + " + > + z"
    with pytest.raises(FormulaError) as caught:
        parse(text)
    _, line, caret = caught.value.issues[0].message.split("\n")
    assert len(line) < 90
    assert line[caret.index("^")] == ">"


def test_duplicated_effects_are_refused_with_the_right_spelling() -> None:
    with pytest.raises(FormulaError, match=r"\(0 \+ x \| g\) \+ \(1 \| g\)"):
        parse("y ~ (x | g) + (1 | g)")
    with pytest.raises(FormulaError, match="already"):
        parse("y ~ (1 | a/b) + (1 | b:a)")
    with pytest.raises(FormulaError, match=r"x of g is already in \(x \| g\)"):
        parse("y ~ (x | g) + (0 + x | g)")


def test_a_power_outside_i_is_a_warning() -> None:
    (notice,) = parse("y ~ x^2").structure.notices
    assert notice.code == "power_outside_i"
    assert "I(x^2)" in (notice.advice or "")
    assert not parse("y ~ (a + b)^2 + I(x^2)").structure.notices


def test_taking_away_nothing_is_noticed() -> None:
    assert [notice.code for notice in parse("y ~ x - z").structure.notices] == ["nothing_removed"]


def test_a_function_is_a_name_unless_called() -> None:
    assert labels("log ~ C + poly + b + offset + cbind") == ("Intercept", "C", "poly", "b", "offset", "cbind")


def test_columns_that_read_as_something_else_are_quoted_in_labels() -> None:
    assert labels("y ~ `Intercept` + `a b` + `a:b` + `log(x)`") == (
        "Intercept",
        "`Intercept`",
        "a b",
        "`a:b`",
        "`log(x)`",
    )

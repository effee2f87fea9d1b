"""The closed table of functions that a formula may call, and the check of a call against it.

Whatever is not in `FUNCTIONS` cannot be called; arguments after the first are literals, checked here.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from model import limits
from model.language.syntax import Argument, Call, Name, Node, Number, Text, Word, children

FunctionKind = Literal["elementwise", "stateful", "basis", "categorical", "identity"]
Problem = tuple[int, str]
"""A position in the formula, and a sentence."""
_LIKENED = 100
"""Characters of a name that is compared with others."""
CONTRASTS = ("treatment", "sum", "helmert", "poly")


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its kind, and the names of the arguments that may follow the first, in order."""

    kind: FunctionKind
    parameters: tuple[str, ...] = ()


FUNCTIONS: dict[str, Function] = {
    "log": Function("elementwise"),
    "log2": Function("elementwise"),
    "log10": Function("elementwise"),
    "log1p": Function("elementwise"),
    "exp": Function("elementwise"),
    "expm1": Function("elementwise"),
    "sqrt": Function("elementwise"),
    "abs": Function("elementwise"),
    "center": Function("stateful"),
    "scale": Function("stateful"),
    "poly": Function("basis", ("degree",)),
    "bs": Function("basis", ("df", "degree")),
    "ns": Function("basis", ("df",)),
    "C": Function("categorical", ("contrast", "ref")),
    "factor": Function("categorical"),
    "I": Function("identity"),
}
INTEGER_RANGES = {
    ("poly", "degree"): (1, limits.POLY_DEGREE),
    ("bs", "degree"): (1, limits.SPLINE_DEGREE),
    ("bs", "df"): (1, limits.SPLINE_DF),
    ("ns", "df"): (1, limits.SPLINE_DF),
}
_SPLINES = "smooth terms are not available, but bs(x, df = 5) and ns(x, df = 5) are"
_INDEPENDENT = "residuals are independent given the group-level effects"
_BEFOREHAND = "make the column beforehand"
ELSEWHERE = {
    "offset": "offset(…) is a term of its own",
    "cbind": "cbind(…) stands alone on the left of ~",
    "trials": "trials(…) stands on the left of ~, after |",
    "weights": "weights(…) stands on the left of ~, after |",
    "se": "se(…) stands on the left of ~, after |",
    "rate": "write offset(log(n)) among the terms",
    "cens": "censored responses are not available",
    "trunc": "truncated responses are not available",
    "mi": "rows with missing values can only be left out",
    "me": "covariates with measurement errors are not available",
    **dict.fromkeys(("s", "t2", "te", "ti", "gp"), _SPLINES),
    "mo": "monotonic effects are not available, but C(x, poly) gives the trends of ordered levels",
    **dict.fromkeys(("ar", "ma", "arma", "cosy", "unstr", "car", "sar"), _INDEPENDENT),
    "gr": "write the grouping factor alone, as in (1 | g)",
    "mm": "a row belongs to one level of a grouping factor",
    "mvbind": "a formula has one response",
    "as.factor": "write factor(x)",
    "ordered": "write C(x, poly)",
    "relevel": 'write C(f, treatment, ref = "b")',
    "interaction": "write f:g",
    "rcs": "write ns(x, df = 5)",
    **dict.fromkeys(("cut", "ifelse", "lag", "as.numeric", "as.integer"), _BEFOREHAND),
}
OPTIONS_ELSEWHERE = {
    ("poly", "raw"): "write x + I(x^2) for raw powers",
    ("scale", "scale"): "write center(x)",
    ("bs", "knots"): "knots stand at quantiles, as many as df asks for",
    ("ns", "knots"): "knots stand at quantiles, as many as df asks for",
}


def suggest(word: str, known: Collection[str]) -> str:
    """'; did you mean …?' with the known word closest to the given one, or nothing."""
    if len(known) > limits.COLUMNS:
        return ""
    # difflib sees no likeness between x and X
    folded = word.casefold()
    same = [name for name in known if name.casefold() == folded]
    close = same or get_close_matches(word[:_LIKENED], [name for name in known if len(name) <= _LIKENED], n=1)
    return f"; did you mean {close[0]}?" if close else ""


def bound(call: Call) -> dict[str, Node]:
    """The arguments after the first by parameter; a positional one takes the first parameter not named."""
    named = {argument.keyword: argument.value for argument in call.arguments[1:] if argument.keyword}
    free = (name for name in FUNCTIONS[call.function].parameters if name not in named)
    positional = (argument.value for argument in call.arguments[1:] if not argument.keyword)
    return named | dict(zip(free, positional, strict=False))


def integer(call: Call, parameter: str, default: int) -> int:
    """The whole number given for a parameter of a checked call, or its default."""
    value = bound(call).get(parameter)
    return int(value.value) if isinstance(value, Number) else default


def contrast(call: Call) -> str:
    """The contrasts that a checked `C()` or `factor()` asks for: treatment unless said."""
    value = bound(call).get("contrast")
    return "treatment" if value is None else _contrast_name(value) or "treatment"


def check(call: Call) -> Iterator[Problem]:
    """Everything wrong with the function and the arguments of a call."""
    name, function = call.function, FUNCTIONS.get(call.function)
    if function is None:
        hint = f"; {ELSEWHERE[name]}" if name in ELSEWHERE else suggest(name, FUNCTIONS)
        yield call.position, f"There is no function {name}(){hint}"
        return
    if not call.arguments or call.arguments[0].keyword is not None:
        yield call.position, f"{name}() needs something to work on"
        return
    if function.kind == "categorical":
        if not _names_factor(call):
            yield call.arguments[0].value.position, f"The first argument of {name}() is the name of a column"
    else:
        yield from factors_within(call)
    wrong = list(_options(call, function))
    yield from wrong
    if not wrong:
        yield from _together(call)


def factors_within(call: Call) -> Iterator[Problem]:
    """The calls that make a factor of a column where `call` works with numbers; deeper calls are their own matter."""
    pending = [argument.value for argument in call.arguments]
    while pending:
        node = pending.pop()
        if not isinstance(node, Call):
            pending.extend(children(node))
        elif node.function in FUNCTIONS and FUNCTIONS[node.function].kind == "categorical":
            yield node.position, f"{node} is a factor, and {call.function}() works with numbers"


def _names_factor(call: Call) -> bool:
    match call.arguments[0].value:
        case Name():
            return True
        case Call("factor", (Argument(Name(), None),)):
            return call.function == "C"
    return False


def _options(call: Call, function: Function) -> Iterator[Problem]:
    name, options = call.function, call.arguments[1:]
    if len(options) > len(function.parameters):
        allowed = f"only {' and '.join(function.parameters)}" if function.parameters else "nothing"
        hints = [hint for option in options if (hint := OPTIONS_ELSEWHERE.get((name, option.keyword or "")))]
        sentence = f"{name}() takes {allowed} after the first argument"
        yield options[-1].value.position, "; ".join([sentence, *hints])
        return
    keywords = [option.keyword for option in options if option.keyword]
    if len(set(keywords)) < len(keywords):
        yield call.position, f"An argument of {name}() is given twice"
    for option in options:
        if option.keyword and option.keyword not in function.parameters:
            elsewhere = OPTIONS_ELSEWHERE.get((name, option.keyword))
            hint = f"; {elsewhere}" if elsewhere else suggest(option.keyword, function.parameters)
            yield option.value.position, f"{name}() has no argument {option.keyword}{hint}"
    for parameter, value in bound(call).items():
        yield from _option(name, parameter, value)


def _option(function: str, parameter: str, value: Node) -> Iterator[Problem]:
    if (function, parameter) in INTEGER_RANGES:
        low, high = INTEGER_RANGES[function, parameter]
        if not isinstance(value, Number) or value.value not in range(low, high + 1):
            yield value.position, f"{parameter} of {function}() is a whole number from {low} to {high}"
    elif parameter == "contrast" and _contrast_name(value) is None:
        yield value.position, f"The contrasts are {', '.join(CONTRASTS)}"


def _together(call: Call) -> Iterator[Problem]:
    options = bound(call)
    if "ref" in options and contrast(call) != "treatment":
        yield options["ref"].position, "ref goes with treatment contrasts alone"
    if call.function == "bs" and "df" in options and integer(call, "df", 0) < integer(call, "degree", 3):
        yield options["df"].position, "df of bs() is at least its degree (3 unless said)"


def _contrast_name(value: Node) -> str | None:
    word = value.word if isinstance(value, Word) else value.value if isinstance(value, Text) else ""
    word = word.removeprefix("contr.")
    return word if word in CONTRASTS else None

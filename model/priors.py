"""Which prior each parameter has: brms's classes, brms's defaults, the most specific statement wins.

`resolve` turns a request's statements into one row for every parameter of the model, and refuses any that would
have no effect, with a list of what can be set.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model import limits
from model.distributions import FLAT, INFINITY, Distribution, Kind, parse_distribution
from model.errors import InvalidModel, Issue
from model.family import Family
from model.frame.design import Design
from model.language.terms import same_factor

DEFAULT_CORRELATION = Distribution(Kind.LKJ, (1.0,))
_DEFAULT_SHAPE = Distribution(Kind.INV_GAMMA, (0.4, 0.3))
_DEFAULT_NU = Distribution(Kind.GAMMA, (2.0, 0.1))
_SMALLEST_SCALE = 2.5
_POSITIVE = (0.0, INFINITY)
_LISTED = 30
"""Names that a message lists of what could stand in a prior."""
_REAL = (-INFINITY, INFINITY)


@dataclass(frozen=True, slots=True)
class PriorStatement:
    """A prior as a client states it: for a whole class, or for one coefficient or group of it."""

    prior: str
    class_: str
    coef: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedPrior:
    """The prior that one parameter (a class, its coefficient, its group) ends up with, and who said so."""

    class_: str
    coef: str | None
    group: str | None
    distribution: Distribution
    source: Literal["default", "user"]

    @property
    def prior(self) -> str:
        """The distribution as text; empty for a flat prior."""
        return str(self.distribution)

    @property
    def bounds(self) -> tuple[float, float]:
        """The open interval of the parameter: its own bounds cut to the support of its prior."""
        lower, upper = _interval(self.class_)
        low, high = self.distribution.support
        return max(lower, low), min(upper, high)


def resolve(
    statements: Sequence[PriorStatement], family: Family, design: Design
) -> tuple[ResolvedPrior, ...]:
    """Give every parameter its prior; brms's defaults take their scale from the design's y.

    Raises InvalidModel with every statement that cannot be read, is stated twice or matches no parameter.
    """
    targets = _targets(family, design)
    parsed, issues = _parse(statements, targets)
    if issues:
        raise InvalidModel(issues)
    defaults = _defaults(family, design)
    rows = []
    for class_, coef, group in targets:
        stated = [parsed[key] for key in _specificity(class_, coef, group) if key in parsed]
        distribution = stated[0] if stated else defaults[class_]
        rows.append(ResolvedPrior(class_, coef, group, distribution, "user" if stated else "default"))
    return tuple(rows)


def proper_coefficients(statements: Sequence[PriorStatement]) -> Callable[[str], bool]:
    """Whether the population coefficient of a name has a proper prior, as far as that is stated or the default.

    It is known before there is a model to resolve priors for; what cannot be read holds nothing.
    """
    proper: dict[tuple[str, str | None], bool] = {("Intercept", None): True, ("b", None): False}
    for statement in statements:
        if statement.class_ in ("b", "Intercept") and statement.group is None:
            try:
                kind = parse_distribution(statement.prior).kind
            except InvalidModel:
                kind = Kind.FLAT
            proper[statement.class_, statement.coef] = kind is not Kind.FLAT

    def is_proper(name: str) -> bool:
        class_ = "Intercept" if name == "Intercept" else "b"
        return proper.get((class_, name), proper[class_, None])

    return is_proper


def default_location_scale(family: Family, link: str, design: Design) -> tuple[float, float]:
    """Location and scale of brms's default priors: median and median absolute deviation of link(y).

    For the links of probabilities they are 0 and 2.5; under a log link a response of 0 counts as 0.1. The mean of the
    offset is taken off the location (brms 2.23, `def_scale_prior`).
    """
    assert design.y is not None
    if family.probability:
        return 0.0, _SMALLEST_SCALE
    with np.errstate(invalid="ignore"):
        linked = np.log(np.where(design.y == 0, 0.1, design.y)) if link == "log" else design.y
    if not np.isfinite(linked).all():  # negative responses under a log link: brms falls back in the same way
        return -_mean_offset(design), _SMALLEST_SCALE
    median = float(np.median(linked))
    deviation = float(1.4826 * np.median(np.abs(linked - median)))
    return round(median, 1) - _mean_offset(design), max(_SMALLEST_SCALE, round(deviation, 1))


def _defaults(family: Family, design: Design) -> Mapping[str, Distribution]:
    location, scale = default_location_scale(family, family.link, design)
    # The residual sd is on the scale of the response, whatever the link of its mean.
    identity = family.link == "identity"
    response_scale = scale if identity else default_location_scale(family, "identity", design)[1]
    return {
        "Intercept": Distribution(Kind.STUDENT_T, (3.0, float(f"{location:.15g}"), scale)),
        "b": FLAT,
        "sd": Distribution(Kind.STUDENT_T, (3.0, 0.0, scale)),
        "cor": DEFAULT_CORRELATION,
        "sigma": Distribution(Kind.STUDENT_T, (3.0, 0.0, response_scale)),
        "shape": _DEFAULT_SHAPE,
        "nu": _DEFAULT_NU,
    }


def _mean_offset(design: Design) -> float:
    return float(design.offset.mean()) if design.rows else 0.0


def _interval(class_: str) -> tuple[float, float]:
    """The open interval of the parameters of a class."""
    if class_ in ("b", "Intercept"):
        return _REAL
    return (1.0, INFINITY) if class_ == "nu" else _POSITIVE


_Target = tuple[str, str | None, str | None]


def _targets(family: Family, design: Design) -> tuple[_Target, ...]:
    rows: list[_Target] = [("Intercept", None, None)] if design.intercept else []
    rows += [("b", name, None) for name in design.coefficients[int(design.intercept) :]]
    for factor in design.factors:
        rows += [("sd", name, factor.name) for name in factor.coefficients]
        if any(len(block) > 1 for block in factor.blocks):
            rows.append(("cor", None, factor.name))
    known_error = design.standard_error is not None
    rows += [(name, None, None) for name in family.parameters if not (known_error and name == "sigma")]
    return tuple(rows)


def _specificity(class_: str, coef: str | None, group: str | None) -> tuple[_Target, ...]:
    """The keys that can speak for a parameter, most specific first."""
    return (class_, coef, group), (class_, None, group), (class_, coef, None), (class_, None, None)


def _parse(
    statements: Sequence[PriorStatement], targets: Sequence[_Target]
) -> tuple[dict[_Target, Distribution], list[Issue]]:
    reachable = {key for target in targets for key in _specificity(*target)} - {
        ("sd", target[1], None) for target in targets if target[1] is not None
    }
    groups = {target[2] for target in targets if target[2] is not None}
    parsed: dict[_Target, Distribution] = {}
    issues: list[Issue] = []
    for number, statement in enumerate(statements):
        if len(issues) >= limits.ISSUES:
            more = f"{len(statements) - number} more priors follow, which were not looked at."
            issues.append(Issue("invalid-prior", more, "/priors"))
            break
        pointer = f"/priors/{number}"
        group = None if statement.group is None else same_factor(statement.group, groups)
        key = (statement.class_, statement.coef, group or statement.group)
        try:
            distribution = parse_distribution(statement.prior)
        except InvalidModel as error:
            issues += [Issue(issue.code, issue.message, f"{pointer}/prior") for issue in error.issues]
            continue
        if key not in reachable:
            issues.append(_unreachable(key, targets, pointer))
        elif key in parsed:
            issues.append(Issue("duplicate-prior", "This prior is stated twice.", pointer))
        else:
            message = _misfit(statement.class_, distribution)
            if message:
                issues.append(Issue("invalid-prior", message, f"{pointer}/prior"))
            parsed[key] = distribution
    return parsed, issues


def _misfit(class_: str, distribution: Distribution) -> str | None:
    if (distribution.kind is Kind.LKJ) != (class_ == "cor"):
        if class_ == "cor":
            return "Correlations take an lkj(shape) prior."
        return "lkj(shape) is a prior of correlations, class cor."
    if class_ in ("b", "Intercept", "cor"):
        return None
    (low, high), (lower, _) = distribution.support, _interval(class_)
    if high <= lower or (distribution.kind is Kind.CONSTANT and low <= lower):
        rule = "positive" if lower == 0 else f"above {lower:g}"
        return f"A parameter of class {class_} is {rule}; this prior leaves it no value."
    return None


def _unreachable(key: _Target, targets: Sequence[_Target], pointer: str) -> Issue:
    """Say which part of a statement matches nothing, and what could stand in its place."""
    class_, coef, group = key
    classes = sorted({target[0] for target in targets})
    if class_ not in classes:
        return Issue(
            "unknown-prior-target",
            f"This model has no parameter of class {class_!r}; it has: {', '.join(classes)}.",
            f"{pointer}/class",
        )
    of_class = [target for target in targets if target[0] == class_]
    groups = sorted({target[2] for target in of_class if target[2] is not None})
    if group is not None and group not in groups:
        options = f"the groups are: {_listing(groups)}" if groups else f"class {class_} takes no group"
        return Issue("unknown-prior-target", f"No such group; {options}.", f"{pointer}/group")
    if coef is not None and group is None and groups:
        message = f"A coefficient of class {class_} needs its group too: {', '.join(groups)}."
        return Issue("unknown-prior-target", message, f"{pointer}/group")
    names = [target[1] for target in of_class if target[2] == group and target[1] is not None]
    options = f"there are: {_listing(names)}" if names else f"class {class_} takes no coef"
    return Issue("unknown-prior-target", f"No such coefficient; {options}.", f"{pointer}/coef")


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"

"""Which prior each parameter has: brms's classes, brms's defaults, the most specific statement wins.

`resolve` turns a request's statements into one row for every parameter of the model, and refuses any that would
have no effect, with a list of what can be set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.design import Design, Float
from model.distributions import FLAT, INFINITY, Distribution, Kind, parse_distribution
from model.errors import InvalidModel, Issue
from model.family import Family

DEFAULT_CORRELATION = Distribution(Kind.LKJ, (1.0,))
_POSITIVE = (0.0, INFINITY)
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
        lower, upper = _REAL if self.class_ in ("b", "Intercept") else _POSITIVE
        low, high = self.distribution.support
        return max(lower, low), min(upper, high)


def resolve(
    statements: Sequence[PriorStatement], family: Family, design: Design
) -> tuple[ResolvedPrior, ...]:
    """Give every parameter its prior; brms's defaults take their scale from the design's y.

    Raises InvalidModel with every statement that cannot be read, is stated twice or matches no parameter.
    """
    assert design.y is not None
    targets = _targets(family, design)
    parsed, issues = _parse(statements, targets)
    if issues:
        raise InvalidModel(issues)
    defaults = _defaults(family, design.y)
    rows = []
    for class_, coef, group in targets:
        stated = [parsed[key] for key in _specificity(class_, coef, group) if key in parsed]
        distribution = stated[0] if stated else defaults[class_]
        rows.append(ResolvedPrior(class_, coef, group, distribution, "user" if stated else "default"))
    return tuple(rows)


def default_location_scale(family: Family, response: Float) -> tuple[float, float]:
    """Location and scale of brms's default priors: the median and the median absolute deviation of link(y)."""
    linked = family.link_of(response)
    location = float(np.median(linked))
    deviation = float(1.4826 * np.median(np.abs(linked - location)))
    return round(location, 1), max(2.5, round(deviation, 1))


def _defaults(family: Family, response: Float) -> Mapping[str, Distribution]:
    location, scale = default_location_scale(family, response)
    half = Distribution(Kind.STUDENT_T, (3.0, 0.0, scale))
    return {
        "Intercept": Distribution(Kind.STUDENT_T, (3.0, location, scale)),
        "b": FLAT,
        "sd": half,
        "cor": DEFAULT_CORRELATION,
        "sigma": half,
    }


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
    parsed: dict[_Target, Distribution] = {}
    issues: list[Issue] = []
    for number, statement in enumerate(statements):
        pointer = f"/priors/{number}"
        key = (statement.class_, statement.coef, statement.group)
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
    low, high = distribution.support
    if high <= 0 or (distribution.kind is Kind.CONSTANT and low <= 0):
        return f"A parameter of class {class_} is positive; this prior leaves it no value."
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
        options = f"the groups are: {', '.join(groups)}" if groups else f"class {class_} takes no group"
        return Issue("unknown-prior-target", f"No such group; {options}.", f"{pointer}/group")
    if coef is not None and group is None and groups:
        message = f"A coefficient of class {class_} needs its group too: {', '.join(groups)}."
        return Issue("unknown-prior-target", message, f"{pointer}/group")
    names = [target[1] for target in of_class if target[2] == group and target[1] is not None]
    options = f"there are: {', '.join(names)}" if names else f"class {class_} takes no coef"
    return Issue("unknown-prior-target", f"No such coefficient; {options}.", f"{pointer}/coef")

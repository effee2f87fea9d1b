"""Which group-level effects a prediction keeps: all, none, or those that a list of terms names.

A term is a grouping factor by its name, or a part of it as a formula says it: `1 | g`, or `(0 + x | g)`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from model.errors import InvalidModel, Issue
from model.frame.learnt import Encoding
from model.frame.matrix import Matrix
from model.language.formula import parse
from model.language.terms import Grouping, same_factor

GroupEffects = Literal["all", "none"] | Sequence[str]


def kept_effects(encoding: Encoding, group_effects: GroupEffects) -> Mapping[str, tuple[int, ...]]:
    """For each factor that is kept the numbers of its coefficients that are.

    Raises InvalidModel with every term that the model does not have.
    """
    every = {factor.name: tuple(range(factor.width)) for factor in encoding.factors}
    if isinstance(group_effects, str):
        return every if group_effects == "all" else {}
    kept: dict[str, set[int]] = {}
    issues: list[Issue] = []
    for place, term in enumerate(group_effects):
        pointer = f"/group_effects/{place}"
        if (factor := same_factor(term, every)) is not None:
            kept.setdefault(factor, set()).update(every[factor])
            continue
        if "|" not in term:
            message = f"The model has no group-level effects of {term}; it has: {', '.join(every) or 'none'}."
            issues.append(Issue("unknown-factor", message, pointer))
            continue
        try:
            for name, numbers in _named(encoding, term, pointer).items():
                kept.setdefault(name, set()).update(numbers)
        except InvalidModel as error:
            issues += error.issues
    if issues:
        raise InvalidModel(issues)
    return {factor: tuple(sorted(numbers)) for factor, numbers in kept.items()}


def _named(encoding: Encoding, term: str, pointer: str) -> dict[str, set[int]]:
    """The coefficients of the factors in a term such as `1 + x | g`."""
    inner = term.strip()
    text = inner if inner.startswith("(") and inner.endswith(")") else f"({inner})"
    try:
        groupings = parse(f"y ~ {text}").structure.groupings
    except InvalidModel as error:
        raise InvalidModel(Issue(issue.code, issue.message, pointer) for issue in error.issues) from None
    factors = {factor.name: factor.coefficients for factor in encoding.factors}
    found: dict[str, set[int]] = {}
    issues = []
    for grouping in groupings:
        name = same_factor(grouping.name, factors)
        if name is None:
            known = ", ".join(factors) or "none"
            message = f"The model has no group-level effects of {grouping.name}; it has: {known}."
            issues.append(Issue("unknown-factor", message, pointer))
            continue
        names = factors[name]
        wanted = _coefficients(encoding, grouping)
        if unknown := [coefficient for coefficient in wanted if coefficient not in names]:
            message = f"{name} has no coefficient {', '.join(unknown)}; it has: {', '.join(names)}."
            issues.append(Issue("unknown-factor", message, pointer))
        found[name] = {names.index(coefficient) for coefficient in wanted if coefficient in names}
    if issues:
        raise InvalidModel(issues)
    return found


def _coefficients(encoding: Encoding, grouping: Grouping) -> list[str]:
    """The names of the coefficients of a factor's terms, by what the fit has learnt of their variables."""
    return [name for bar in grouping.bars for name in Matrix(bar.terms, encoding.variables).names]

"""The reference grid: one predictor varies, or two, and everything else stays at a value that is stated.

Numbers stay at their mean and factors at their reference level, as in brms's `conditional_effects`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.errors import InvalidModel, Issue
from model.frame.learnt import Encoding
from model.frame.levels import Value, level_label, listing
from model.frame.spread import Spread
from model.frame.table import Table

BOOLEANS = (False, True)


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows at which a model is looked at.

    `columns` hold the predictors that vary, one entry for each row, `reference` those that do not, `levels` the
    values of grouping columns; `factors` are the grouping factors whose level these determine.
    """

    columns: Mapping[str, tuple[Value, ...]]
    reference: Mapping[str, Value]
    levels: Mapping[str, Value]
    factors: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    def table(self) -> Table:
        """The rows as data to be encoded; only the grouping columns whose level is determined are among them."""
        fixed = {**self.levels, **self.reference}
        constant = {name: [value] * self.rows for name, value in fixed.items() if name not in self.columns}
        return Table.from_columns(constant | {name: list(values) for name, values in self.columns.items()})


def reference_grid(
    encoding: Encoding,
    variable: str,
    *,
    by: str | None = None,
    at: Mapping[str, str] | None = None,
    levels: Mapping[str, str] | None = None,
    points: int = 50,
) -> Grid:
    """The grid of one predictor over its range, for each of some values of another.

    A number runs evenly through its range in `points` values, a column of whole numbers through whole numbers, a
    factor through all its levels. `by` takes its levels, or its mean and one sd to either side. `at` says in words
    where another predictor stays, and `levels` of which level the group-level effects are.
    Raises InvalidModel with every name and value that the model does not have.
    """
    known = predictors(encoding)
    issues = [
        _unknown("predictor", name, known, pointer)
        for name, pointer in ((variable, "/variable"), (by, "/by"))
        if name is not None and name not in known
    ]
    if by == variable:
        issues.append(Issue("conflicting-fields", f"{by} varies already.", "/by", column=by))
    placed, factors = _place(encoding, levels or {}, issues)
    reference = {name: _reference(encoding, name, place) for name, place in known.items()}
    reference |= {name: value for name, value in placed.items() if name in known}
    reference |= _stay(known, at or {}, placed, issues)
    for name in (variable, by):
        pointer = "/at" if name in (at or {}) else "/level" if name in placed else None
        if pointer is not None:
            message = f"{name} varies, so it does not stay at one value."
            issues.append(Issue("conflicting-fields", message, pointer, column=name))
    if issues:
        raise InvalidModel(issues)
    through = _through(known[variable], points)
    columns = {variable: through}
    if by is not None:
        beside = _beside(known[by])
        columns = {variable: through * len(beside), by: tuple(v for v in beside for _ in through)}
    rest = {name: value for name, value in reference.items() if name not in columns}
    return Grid(columns, rest, placed, factors)


def predictors(encoding: Encoding) -> dict[str, Spread | tuple[Value, ...]]:
    """Where each predictor of a model lies: the spread of numbers, the levels of what is categorical."""
    categorical = {known.column: known.levels for known in encoding.variables.categoricals.values()}
    return {
        name: categorical.get(name) or encoding.spreads.get(name) or BOOLEANS
        for name in encoding.kinds
        if name in encoding.structure.predictor_names
    }


def _reference(encoding: Encoding, name: str, place: Spread | tuple[Value, ...]) -> Value:
    if isinstance(place, Spread):
        return place.mean
    known = (c for c in encoding.variables.categoricals.values() if c.column == name)
    return next((c.levels[c.baseline] for c in known), place[0])


def _through(place: Spread | tuple[Value, ...], points: int) -> tuple[Value, ...]:
    if not isinstance(place, Spread):
        return place
    values = np.linspace(place.low, place.high, points)
    return tuple((np.unique(np.round(values)) if place.whole else values).tolist())


def _beside(place: Spread | tuple[Value, ...]) -> tuple[Value, ...]:
    if not isinstance(place, Spread):
        return place
    return (place.mean - place.sd, place.mean, place.mean + place.sd)


def _stay(
    known: Mapping[str, Spread | tuple[Value, ...]],
    at: Mapping[str, str],
    placed: Mapping[str, Value],
    issues: list[Issue],
) -> dict[str, Value]:
    """The values of predictors that `at` gives in words."""
    found: dict[str, Value] = {}
    for name, text in at.items():
        place = known.get(name)
        if place is None:
            issues.append(_unknown("predictor", name, known, "/at"))
        elif name in placed:
            issues.append(Issue("conflicting-fields", f"{name} has a level already.", "/at", column=name))
        elif isinstance(place, Spread):
            value = _number(text)
            if value is None:
                issues.append(Issue("invalid-value", f"{name} is a finite number.", "/at", column=name))
            else:
                found[name] = value
        elif (level := _find(text, place)) is None:
            message = f"{name} has no level {text!r}; its levels are {listing(place, 20)}."
            issues.append(Issue("unknown-level", message, "/at", column=name))
        else:
            found[name] = level
    return found


def _place(
    encoding: Encoding, levels: Mapping[str, str], issues: list[Issue]
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The values of grouping columns, and the factors whose level they determine."""
    grouping = encoding.structure.group_names
    issues += [
        _unknown("grouping column", name, sorted(grouping), "/level")
        for name in levels
        if name not in grouping
    ]
    placed: dict[str, Value] = {}
    factors = []
    for factor in encoding.factors:
        if not set(factor.columns) <= set(levels):
            continue
        wanted = [levels[name] for name in factor.columns]
        cells = (level for level in factor.levels if all(map(_means, wanted, level)))
        if (cell := next(cells, None)) is None:
            message = f"The factor {factor.name} has no level {':'.join(wanted)!r}."
            issues.append(Issue("unknown-level", message, "/level", column=factor.name))
        else:
            placed |= dict(zip(factor.columns, cell, strict=True))
            factors.append(factor.name)
    whole = {name for f in encoding.factors if set(f.columns) <= set(levels) for name in f.columns}
    issues += [
        Issue("missing-field", f"{name} alone makes no level of a grouping factor.", "/level", column=name)
        for name in levels
        if name in grouping - whole
    ]
    return placed, tuple(factors)


def _find(text: str, levels: Sequence[Value]) -> Value | None:
    return next((level for level in levels if _means(text, level)), None)


def _means(text: str, value: Value) -> bool:
    return text in (level_label(value), str(value))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _unknown(what: str, name: str, known: Sequence[str] | Mapping[str, object], pointer: str) -> Issue:
    message = f"The model has no {what} {name!r}; it has: {', '.join(known) or 'none'}."
    return Issue("unknown-column", message, pointer, column=name)

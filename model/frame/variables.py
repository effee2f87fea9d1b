"""What the variables of a formula have learnt from the data: levels and contrasts, knots, means.

With it a variable has named columns, for the training rows and for any rows to come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from model.frame.bases import Learnt, learnt_from_json, learnt_to_json
from model.frame.contrasts import contrast_matrix, contrast_meanings, contrast_names
from model.frame.functions import columns_of, evaluate, learn_value
from model.frame.levels import Value, coefficient_label, distinct, listing
from model.frame.lookalikes import doubt_of
from model.frame.table import Table
from model.language import calls
from model.language.syntax import Call, Name, Node, Number, Text, Word, first_column, label
from model.language.terms import Structure

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Categorical:
    """A categorical covariate: its levels in order, and the contrasts that code them."""

    column: str
    levels: tuple[Value, ...]
    contrast: str = "treatment"
    baseline: int = 0

    @cached_property
    def places(self) -> dict[Value, int]:
        """The place of each level."""
        return {level: place for place, level in enumerate(self.levels)}

    @cached_property
    def contrasts(self) -> Float:
        """The contrast matrix (level, column)."""
        return contrast_matrix(self.contrast, len(self.levels), self.baseline)

    def names(self, full: bool) -> tuple[str, ...]:
        """What follows the variable's name in the names of its columns."""
        labels = tuple(map(coefficient_label, self.levels))
        return labels if full else contrast_names(self.contrast, labels, self.baseline)

    def meanings(self, full: bool) -> tuple[str, ...]:
        """What the columns stand for, in words."""
        levels = tuple(f"{self.column} = {coefficient_label(level)}" for level in self.levels)
        return levels if full else contrast_meanings(self.contrast, self.column, levels, self.baseline)

    def codes(self, table: Table) -> NDArray[np.int64]:
        """The level of each row: (row,). Raises InvalidModel for a value that is no level."""
        values, index = distinct(table[self.column])
        places = np.array([self.places.get(value, -1) for value in values], dtype=np.int64)
        if len(places) and places.min() < 0:
            unseen = [value for value, place in zip(values, places.tolist(), strict=True) if place < 0]
            message = (
                f"Column {self.column!r} has values that the fit does not know: {listing(unseen)}."
                f" Its levels are {listing(self.levels, 20)}."
            )
            raise InvalidModel(
                Issue("unknown-level", message, table.pointer(self.column), column=self.column)
            )
        return places[index]

    def values(self, full: bool, table: Table) -> Float:
        """The columns (row, column)."""
        matrix = np.eye(len(self.levels)) if full else self.contrasts
        return matrix[self.codes(table)]


@dataclass(frozen=True)
class Variables:
    """The variables of a model, by the text of their expression."""

    categoricals: Mapping[str, Categorical]
    memory: Mapping[str, Learnt]

    def categorical(self, node: Node) -> bool:
        """Whether a variable is categorical."""
        return str(node) in self.categoricals

    def width(self, node: Node, full: bool) -> int:
        """The number of a variable's columns."""
        if known := self.categoricals.get(str(node)):
            return len(known.levels) - (not full)
        return columns_of(node, self.memory)

    def names(self, node: Node, full: bool) -> tuple[str, ...]:
        """The names of a variable's columns; `full`: one per level."""
        name = label(node)
        if known := self.categoricals.get(str(node)):
            return tuple(name + suffix for suffix in known.names(full))
        width = self.width(node, full)
        return (name,) if width == 1 else tuple(f"{name}{k}" for k in range(1, width + 1))

    def meanings(self, node: Node, full: bool) -> tuple[str, ...]:
        """What a variable's columns stand for, in words."""
        name = label(node)
        if known := self.categoricals.get(str(node)):
            return known.meanings(full)
        width = self.width(node, full)
        return (name,) if width == 1 else tuple(f"{name}, column {k}" for k in range(1, width + 1))

    def values(self, node: Node, full: bool, table: Table) -> Float:
        """The columns of a variable: (row, column), or (row,) where it is one number."""
        if known := self.categoricals.get(str(node)):
            return known.values(full, table)
        return evaluate(node, table, self.memory)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        return {
            "categoricals": {
                text: {
                    "column": known.column,
                    "levels": list(known.levels),
                    "contrast": known.contrast,
                    "baseline": known.baseline,
                }
                for text, known in self.categoricals.items()
            },
            "functions": {text: learnt_to_json(learnt) for text, learnt in self.memory.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Variables":
        """The inverse of `to_json`."""
        return cls(
            {
                text: Categorical(
                    known["column"], tuple(known["levels"]), known["contrast"], known["baseline"]
                )
                for text, known in document["categoricals"].items()
            },
            {text: learnt_from_json(learnt) for text, learnt in document["functions"].items()},
        )


def learn_variables(
    structure: Structure, table: Table, levels: Mapping[str, Sequence[Value]], memory: dict[str, Learnt]
) -> tuple[Variables, list[Issue]]:
    """Learn the variables of the terms, beside what `memory` holds already, and say what is wrong."""
    beside_intercept = structure.beside_intercept
    categoricals: dict[str, Categorical] = {}
    issues: list[Issue] = []
    for node in structure.variables:
        try:
            column = factor_column(node, table)
            if column is None:
                _check_varies(node, learn_value(node, table, memory), node in beside_intercept)
            else:
                categoricals[str(node)] = _learn_categorical(node, column, table, levels.get(column))
        except InvalidModel as error:
            issues.extend(error.issues)
    return Variables(categoricals, memory), issues


def factor_column(node: Node, table: Table) -> str | None:
    """The column of a categorical variable, or None for a numeric one."""
    match node:
        case Name(name):
            return name if table[name].kind in ("text", "boolean") else None
        case Call("C" | "factor", arguments):
            inner = arguments[0].value
            return inner.name if isinstance(inner, Name) else factor_column(inner, table)
    return None


def _learn_categorical(node: Node, name: str, table: Table, given: Sequence[Value] | None) -> Categorical:
    column = table[name]
    if given is None and isinstance(node, Name) and (doubt := doubt_of(column, table.numbers)) is not None:
        # factor(x) says that the texts are meant as levels, and so do levels that are given.
        hint = (
            "" if doubt.code == "too-many-levels" else f" To use each text as a level, write factor({node})."
        )
        message = f"Column {name!r} {doubt.predicate}{hint}"
        raise InvalidModel(Issue(doubt.code, message, "/formula", node.position, name))
    values, _ = distinct(column)
    present = set(values)
    ordered = tuple(values if given is None else (value for value in given if value in present))
    if len(ordered) < 2:
        message = f"{node} has one level, {listing(ordered)}; a factor needs two."
        raise InvalidModel(Issue("constant-predictor", message, "/formula", node.position, name))
    if not isinstance(node, Call):
        return Categorical(name, ordered)
    baseline = 0
    if (reference := calls.bound(node).get("ref") if node.function == "C" else None) is not None:
        labels = list(map(coefficient_label, ordered))
        wanted = _reference(reference)
        if wanted not in labels:
            message = f"{wanted} is no level of {name!r}; its levels are {listing(ordered)}."
            raise InvalidModel(Issue("unknown-level", message, "/formula", reference.position, name))
        baseline = labels.index(wanted)
    return Categorical(name, ordered, calls.contrast(node), baseline)


def _reference(node: Node) -> str:
    match node:
        case Text(value):
            return value
        case Word(word):
            return word.upper() if word in ("true", "false") else word
        case Number():
            return str(node)
    raise AssertionError(f"the grammar makes no reference of {node}")


def _check_varies(node: Node, values: Float, beside_intercept: bool) -> None:
    """Refuse a constant; without an intercept it may stand for one, unless it is zero."""
    columns = values[:, None] if values.ndim == 1 else values
    spread = np.ptp(columns, axis=0)
    peaks = np.abs(columns).max(axis=0)
    if np.all(spread <= 1e-13 * peaks) and (beside_intercept or not peaks.all()):
        message = f"{node} is the same in every row, so that its effect cannot be told from the intercept's."
        if not peaks.any():
            message = f"{node} is 0 in every row, so that it has no effect."
        raise InvalidModel(
            Issue("constant-predictor", message, "/formula", node.position, first_column(node))
        )

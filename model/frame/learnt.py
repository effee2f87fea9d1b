"""What was learnt from the training data: all that is needed to encode any data in the same way.

An `Encoding` is plain JSON and needs no training row again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.errors import Notice
from model.frame.bases import Basis
from model.frame.column import Kind
from model.frame.design import Level
from model.frame.estimability import Combination
from model.frame.grouping import Factor, make_factor
from model.frame.levels import Value
from model.frame.matrix import Matrix
from model.frame.spread import Spread
from model.frame.variables import Variables
from model.language.formula import Formula, parse
from model.language.syntax import Call, Name, column_names, walk
from model.language.terms import Structure

Missing = Literal["error", "drop"]
Aliased = Literal["error", "drop"]
VERSION = 2


@lru_cache(maxsize=256)
def parse_once(canonical: str) -> Formula:
    """The tree of a canonical formula."""
    return parse(canonical, characters=None)


@dataclass(frozen=True, slots=True)
class ColumnNeed:
    """A column that a prediction needs; `levels` where it is categorical and where the fit knows them all."""

    name: str
    kind: Kind
    levels: tuple[Value, ...] | None


@dataclass(frozen=True)
class Encoding:
    """A formula together with what its variables and grouping factors have learnt from `rows` complete rows.

    `dropped` are the numbers of the rows left out for missing values, `aliased` the columns of X left out as
    linear combinations of others, and `combinations` says of which; `collinear` are columns that are combinations too
    but are kept, as priors hold their coefficients; `x_means` (coef,) are the means of X's columns over the rows used;
    `constants` are, of each factor, the variables that have one value in all rows of a level; `outcomes` are the
    levels of a response that holds text; `spreads` say where the numbers of each predictor lie.
    """

    formula: str
    kinds: Mapping[str, Kind]
    variables: Variables
    levels: tuple[tuple[Level, ...], ...]
    rows: int
    x_means: tuple[float, ...] = ()
    constants: tuple[tuple[str, ...], ...] = ()
    outcomes: tuple[Value, ...] = ()
    dropped: tuple[int, ...] = ()
    aliased: tuple[str, ...] = ()
    collinear: tuple[str, ...] = ()
    combinations: tuple[Combination, ...] = ()
    warnings: tuple[Notice, ...] = ()
    missing: Missing = "error"
    spreads: Mapping[str, Spread] = field(default_factory=dict)

    @cached_property
    def parsed(self) -> Formula:
        """The formula's tree."""
        return parse_once(self.formula)

    @property
    def structure(self) -> Structure:
        """The formula's terms, offsets and grouping factors."""
        return self.parsed.structure

    @property
    def response(self) -> str:
        """The text of the response's expression."""
        return str(self.parsed.response.value)

    @property
    def event(self) -> Value | None:
        """The value of the response that counts as 1, of text and booleans."""
        node = self.parsed.response.value
        if isinstance(node, Name) and self.kinds.get(node.name) == "boolean":
            return True
        return self.outcomes[1] if self.outcomes else None

    @cached_property
    def matrix(self) -> Matrix:
        """The recipe for X, before aliased columns are left out."""
        return Matrix(self.structure.population, self.variables)

    @cached_property
    def kept(self) -> NDArray[np.int64] | None:
        """The columns of X that are not aliased, or None for all."""
        if not self.aliased:
            return None
        lost = frozenset(self.aliased)
        return np.array([c for c, name in enumerate(self.matrix.names) if name not in lost])

    @cached_property
    def coefficients(self) -> tuple[str, ...]:
        """The names of X's columns."""
        lost = frozenset(self.aliased)
        return tuple(name for name in self.matrix.names if name not in lost)

    @cached_property
    def meanings(self) -> tuple[str, ...]:
        """What each of X's columns stands for, in words; baselines are named."""
        names, meanings, lost = self.matrix.names, self.matrix.meanings, frozenset(self.aliased)
        return tuple(m for name, m in zip(names, meanings, strict=True) if name not in lost)

    @property
    def intercept(self) -> bool:
        """Whether X has an intercept, its first column."""
        return self.structure.population.intercept

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The grouping factors."""
        return tuple(
            make_factor(grouping, self.variables, levels)
            for grouping, levels in zip(self.structure.groupings, self.levels, strict=True)
        )

    @cached_property
    def trial_names(self) -> frozenset[str]:
        """The columns that say the number of trials, which a prediction of counts needs."""
        node = self.parsed.response.trials
        return frozenset() if node is None else frozenset(column_names(node))

    @cached_property
    def error_names(self) -> frozenset[str]:
        """The columns that say the standard error of a row, by which its new responses scatter."""
        node = self.parsed.response.addition("se")
        return frozenset() if node is None else frozenset(column_names(node))

    def bases(self, structure: Structure) -> tuple[tuple[Call, Basis], ...]:
        """The polynomials and splines of the terms of a structure."""
        nodes = (below for variable in structure.variables for below in walk(variable))
        calls = dict.fromkeys(node for node in nodes if isinstance(node, Call))
        memory = self.variables.memory
        return tuple((call, basis) for call in calls if isinstance(basis := memory.get(str(call)), Basis))

    @cached_property
    def columns(self) -> tuple[ColumnNeed, ...]:
        """The columns that a prediction needs."""
        known: dict[str, tuple[Value, ...]] = {}
        for factor in self.factors:
            if len(factor.columns) == 1:
                known[factor.columns[0]] = tuple(level[0] for level in factor.levels)
        known.update((c.column, c.levels) for c in self.variables.categoricals.values())
        names = self.structure.predictor_names | self.structure.group_names
        return tuple(
            ColumnNeed(name, kind, known.get(name)) for name, kind in self.kinds.items() if name in names
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON; a factor of one column has its levels as a flat list."""
        return {
            "version": VERSION,
            "formula": self.formula,
            "kinds": dict(self.kinds),
            "variables": self.variables.to_json(),
            "levels": [
                [level[0] for level in levels] if len(g.columns) == 1 else list(map(list, levels))
                for g, levels in zip(self.structure.groupings, self.levels, strict=True)
            ],
            "rows": self.rows,
            "x_means": list(self.x_means),
            "constants": list(map(list, self.constants)),
            "outcomes": list(self.outcomes),
            "dropped": list(self.dropped),
            "aliased": list(self.aliased),
            "collinear": list(self.collinear),
            "combinations": [combination.to_json() for combination in self.combinations],
            "warnings": [asdict(notice) for notice in self.warnings],
            "missing": self.missing,
            "spreads": {name: spread.to_json() for name, spread in self.spreads.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Encoding":
        """The inverse of `to_json`; raises ValueError for a document of another version."""
        if document["version"] != VERSION:
            raise ValueError(f"an encoding of version {document['version']}, where {VERSION} is read")
        groupings = parse_once(document["formula"]).structure.groupings
        return cls(
            formula=document["formula"],
            kinds=dict(document["kinds"]),
            variables=Variables.from_json(document["variables"]),
            levels=tuple(
                tuple((level,) if len(g.columns) == 1 else tuple(level) for level in levels)
                for g, levels in zip(groupings, document["levels"], strict=True)
            ),
            rows=document["rows"],
            x_means=tuple(document["x_means"]),
            constants=tuple(map(tuple, document["constants"])),
            outcomes=tuple(document["outcomes"]),
            dropped=tuple(document["dropped"]),
            aliased=tuple(document["aliased"]),
            # Fits of the time before these were kept have none.
            collinear=tuple(document.get("collinear", ())),
            combinations=tuple(map(Combination.from_json, document.get("combinations", ()))),
            warnings=tuple(
                Notice(**{**notice, "parameters": tuple(notice["parameters"])})
                for notice in document["warnings"]
            ),
            missing=document["missing"],
            spreads={name: Spread.from_json(spread) for name, spread in document["spreads"].items()},
        )

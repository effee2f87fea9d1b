"""The coefficients of a row's equation, and what each is made of: parameters, predictors of whole levels, deviations.

Every symbol is given here once, so that both notations speak of the same quantities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from model.equations import columns
from model.equations.columns import Key
from model.equations.covariates import covariate
from model.equations.deviations import Block, Place, blocks
from model.equations.expressions import Covariate, Expression, Index, Symbol, product
from model.frame.learnt import Encoding

_ROW = "i"
Target = tuple[str, str | None, str | None]
"""A parameter as priors name it: class, coef, group."""


@dataclass(frozen=True, slots=True)
class Part:
    """A summand of a coefficient: a parameter or a deviation, times predictors of the levels of its index."""

    symbol: Symbol
    covariates: tuple[Covariate, ...] = ()
    index: Index = ()

    @property
    def expression(self) -> Expression:
        """The summand."""
        return product(self.symbol, *self.covariates)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """What multiplies `covariates` (none: the intercept, number 0) in the equation of a row."""

    number: int
    covariates: tuple[Covariate, ...]
    fixed: tuple[Part, ...]
    random: tuple[Part, ...]

    @property
    def varies(self) -> bool:
        """Whether it differs between levels, and so has an equation of its own."""
        return bool(self.random) or any(part.index for part in self.fixed)


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The coefficients and deviations of a model; `rows` is the index of a row.

    `parameters` has the symbols of all that has a prior: several where a factor has several correlation matrices.
    """

    rows: Index
    coefficients: tuple[Coefficient, ...]
    blocks: tuple[Block, ...]
    parameters: Mapping[Target, tuple[Symbol, ...]]


def hierarchy(encoding: Encoding) -> Hierarchy:
    """The hierarchy of a model, from what its formula has learnt from its data."""
    letters = columns.level_letters(encoding)
    levels = [tuple(letters[name] for name in factor.columns) for factor in encoding.factors]
    of_levels = columns.level_predictors(encoding, levels)
    population = list(columns.population_columns(encoding, of_levels))
    grouped = [list(columns.group_columns(factor, encoding)) for factor in encoding.factors]
    everything = (*population, *chain(*grouped))

    keys = sorted(dict.fromkeys(column.key for column in everything), key=bool)
    numbers = {key: number for number, key in enumerate(keys, start=0 if Key() in keys else 1)}
    of_rows = {column.key: column.of_rows for column in reversed(everything)}
    varying = {column.key for column in population if column.of_levels}
    varying.update(column.key for column in chain(*grouped))
    fixed: dict[Key, list[Part]] = {key: [] for key in keys}
    random: dict[Key, list[Part]] = {key: [] for key in keys}
    parameters: dict[Target, tuple[Symbol, ...]] = {}

    for column in population:
        covariates = tuple(
            covariate(piece, encoding.variables, of_levels[str(piece.variable)]) for piece in column.of_levels
        )
        symbol = _parameter(numbers[column.key], column.key in varying, fixed[column.key], bool(covariates))
        within = {letter for factor in covariates for letter in factor.index}
        index = tuple(letter for letter in letters.values() if letter in within)
        fixed[column.key].append(Part(symbol, covariates, index))
        intercept = not (column.of_rows or column.of_levels)
        parameters["Intercept" if intercept else "b", None if intercept else column.name, None] = (symbol,)

    found: list[Block] = []
    for number, (factor, own) in enumerate(zip(encoding.factors, grouped, strict=True)):
        place = Place(number, len(grouped), levels[number])
        for block in blocks(factor, [numbers[column.key] for column in own], place):
            found.append(block)
            for member, deviation, sd in zip(block.members, block.deviations, block.sds, strict=True):
                random[own[member].key].append(Part(deviation, (), place.index))
                parameters["sd", own[member].name, factor.name] = (sd,)
            if block.correlation:
                others = parameters.get(("cor", None, factor.name), ())
                parameters["cor", None, factor.name] = (*others, block.correlation)

    return Hierarchy(
        (_ROW, *letters.values()),
        tuple(
            Coefficient(
                numbers[key],
                tuple(covariate(piece, encoding.variables, (_ROW,)) for piece in of_rows[key]),
                tuple(fixed[key]),
                tuple(random[key]),
            )
            for key in keys
        ),
        tuple(found),
        parameters,
    )


def _parameter(number: int, varies: bool, before: list[Part], predicts: bool) -> Symbol:
    """The symbol of the next parameter in a coefficient; number 0 is the one that multiplies no predictor."""
    if not varies:
        return Symbol("b", (number,))
    return Symbol("g", (number, 1 + sum(bool(part.covariates) for part in before) if predicts else 0))

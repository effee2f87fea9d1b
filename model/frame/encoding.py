"""Learn from training data, and encode any data by what was learnt.

`learn` does every check that needs the data, so that a bad request fails before it costs anything.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from model import limits
from model.errors import Costly, InvalidModel, Issue, Notice
from model.frame import checks
from model.frame.assembly import assemble, collecting
from model.frame.bases import Learnt
from model.frame.design import Design, FactorDesign, Level
from model.frame.estimability import learn_combinations
from model.frame.functions import evaluate, learn_one
from model.frame.grouping import learn_levels
from model.frame.identifiability import NONE_HELD, Held, aliased_columns, constant_slopes, constant_within
from model.frame.learnt import Aliased, ColumnNeed, Encoding, Missing
from model.frame.levels import Value, distinct, listing
from model.frame.lookalikes import is_whole_numbers, levels_for_missing
from model.frame.nesting import nested_labels
from model.frame.response import encode_response, learn_outcomes, response_nodes, text_response
from model.frame.spread import Spread, spread_of
from model.frame.table import Table
from model.frame.variables import Variables, learn_variables
from model.language.formula import Formula
from model.language.syntax import first_column
from model.language.tokens import caret

__all__ = ["ColumnNeed", "Encoding", "encode", "learn"]


def learn(
    formula: Formula,
    table: Table,
    *,
    levels: Mapping[str, Sequence[Value]] | None = None,
    missing: Missing = "error",
    aliased: Aliased = "error",
    held: Held = NONE_HELD,
    cells: int = limits.DESIGN_CELLS,
) -> tuple[Encoding, Design]:
    """Learn from training data all that is needed to encode any data, and give their own design, as `encode` would make
    it again; raises InvalidModel with every issue, and Costly if the design would have more than so many `cells`.

    `levels` orders the values of categorical columns (and names grouping levels that have no rows), `missing`
    says what becomes of rows with missing values, `aliased` of columns of X that are combinations of others; `held`
    are the coefficients that proper priors hold.
    """
    with _shown_in(formula.source):
        return _learn(formula.resolve(table.names), table, levels or {}, missing, aliased, held, cells)


_SHOWN = ("several-columns", "column-type", "not-finite")
"""Codes of issues about a part of an expression, which a caret shows."""


@contextmanager
def _shown_in(source: str) -> Iterator[None]:
    """Let the issues about parts of expressions end with the formula's text and a caret below the place."""

    def shown(issue: Issue) -> Issue:
        if issue.code not in _SHOWN or issue.position is None:
            return issue
        return replace(issue, message=f"{issue.message}\n{caret(source, issue.position)}")

    try:
        yield
    except InvalidModel as error:
        raise InvalidModel(map(shown, error.issues)) from None


def _learn(
    formula: Formula,
    table: Table,
    levels: Mapping[str, Sequence[Value]],
    missing: Missing,
    aliased: Aliased,
    held: Held,
    cells: int,
) -> tuple[Encoding, Design]:
    if unknown := checks.unknown_columns(formula, table):
        raise InvalidModel(unknown)
    structure = formula.structure
    names = structure.predictor_names | structure.group_names | set(formula.response.names)
    used, dropped, issues = checks.complete_rows(
        table.select(name for name in table.names if name in names), missing
    )
    if not used.rows:
        raise InvalidModel(issues)
    variables, group_levels, outcomes = _learn_parts(formula, used, levels, issues)
    encoding = Encoding(
        formula=str(formula),
        kinds={name: used[name].kind for name in used.names},
        variables=variables,
        levels=group_levels,
        outcomes=outcomes,
        rows=used.rows,
        dropped=tuple(dropped.tolist()),
        missing=missing,
        spreads=_spreads(used, structure.predictor_names),
    )
    too_large = [*_too_large(encoding), *_too_many_cells(encoding, used.rows)]
    if issues := too_large or [*_too_much_work(encoding)] or [*_ambiguous(encoding)]:
        raise InvalidModel(issues)
    if used.rows * _width(encoding) > cells:
        raise Costly
    design = assemble(encoding, used, structure, response=True)
    aliases, alias_notices = aliased_columns(design.x, design.coefficients, design.intercept, aliased, held)
    collinear = tuple(design.coefficients[alias.column] for alias in aliases) if aliased == "error" else ()
    if collinear:
        aliases = ()
    lost = tuple(design.coefficients[alias.column] for alias in aliases)
    left_out = frozenset(lost)
    means = zip(design.coefficients, design.x.mean(axis=0).tolist(), strict=True)
    constants = tuple(tuple(_constants(encoding, used, factor)) for factor in design.factors)
    learnt = replace(
        encoding,
        x_means=tuple(mean for name, mean in means if name not in left_out),
        constants=constants,
        aliased=lost,
        collinear=collinear,
        combinations=learn_combinations(aliases, design.x),
        warnings=(
            *structure.notices,
            *_dropped_rows(encoding, table.rows),
            *_unused_levels(encoding, used, levels),
            *_levels_for_missing(encoding, used, levels),
            *_numbers_as_levels(encoding, used, levels),
            *alias_notices,
            *(notice for factor in design.factors for notice in constant_slopes(factor)),
            *_repeated_factors(encoding, constants),
            *_event(formula, outcomes, levels),
            *nested_labels(design),
        ),
    )
    if learnt.kept is not None:
        design = replace(design, x=design.x[:, learnt.kept], coefficients=learnt.coefficients)
    return learnt, design


def encode(
    encoding: Encoding,
    table: Table,
    *,
    response: bool = True,
    factors: Collection[str] | None = None,
    trials: bool = True,
    errors: bool = False,
) -> Design:
    """The arrays of a data set, by what was learnt; raises InvalidModel with every issue.

    With `response` the data are complete like the training data, whose design is reproduced, with the same
    rows dropped. Without it they are rows to be predicted: columns of the response's side are not needed
    (but `trials(n)` is read where the data have n and `trials` are asked for, and `se(s)` where they have s and
    `errors` are), a missing grouping value has index -1, and levels that were not learnt are `new_levels`. `factors`
    are the grouping factors that matter, all unless said: the columns of the others need not be there, and the design
    is without them.
    """
    structure = encoding.structure if factors is None else encoding.structure.only(factors)
    predictors = structure.predictor_names
    if not response and trials and encoding.trial_names <= set(table.names):
        predictors = predictors | encoding.trial_names
    if not response and errors and encoding.error_names <= set(table.names):
        predictors = predictors | encoding.error_names
    names = predictors | structure.group_names
    if response:
        names = names | set(encoding.parsed.response.names)
    needed = [name for name in encoding.kinds if name in names]
    if issues := checks.changed_columns(needed, encoding.kinds, table):
        raise InvalidModel(issues)
    used = table.select(needed)
    if response:
        used, _, issues = checks.complete_rows(used, encoding.missing)
    else:
        complete = table.select(name for name in needed if name in predictors)
        _, _, issues = checks.complete_rows(complete, "error")
    if issues := issues or list(_too_many_cells(encoding, used.rows)):
        raise InvalidModel(issues)
    return assemble(encoding, used, structure, response=response, trials=trials, errors=errors)


def _spreads(table: Table, names: frozenset[str]) -> dict[str, Spread]:
    return {
        name: spread_of(table[name])
        for name in table.names
        if name in names and table[name].kind in ("number", "integer")
    }


def _learn_parts(
    formula: Formula, table: Table, levels: Mapping[str, Sequence[Value]], issues: list[Issue]
) -> tuple[Variables, tuple[tuple[Level, ...], ...], tuple[Value, ...]]:
    """What the variables, the grouping factors and the response learn; raises InvalidModel with `issues` and others."""
    structure = formula.structure
    answer = text_response(formula.response, table)
    wrong = checks.wrong_levels(structure, table, levels, answer)
    issues += wrong
    refused = {issue.column for issue in wrong}
    levels = {name: given for name, given in levels.items() if name not in refused}
    memory: dict[str, Learnt] = {}
    for node in (*response_nodes(formula.response), *structure.offsets):
        if answer is None or node is not formula.response.value:
            with collecting(issues):
                learn_one(node, table, memory)
    variables, found = learn_variables(structure, table, levels, memory)
    issues += [issue for issue in found if issue not in issues]
    group_levels: list[tuple[Level, ...]] = []
    for grouping in structure.groupings:
        with collecting(issues):
            group_levels.append(learn_levels(grouping, table, levels))
    outcomes: tuple[Value, ...] = ()
    with collecting(issues):
        outcomes = learn_outcomes(formula.response, table, levels)
    if not issues:
        with collecting(issues):
            encode_response(formula.response, table, variables, outcomes)
    if issues:
        raise InvalidModel(issues)
    return variables, tuple(group_levels), outcomes


def _too_large(encoding: Encoding) -> Iterator[Issue]:
    if (width := encoding.matrix.width) > limits.COLUMNS:
        message = f"X would have {width} columns; the limit is {limits.COLUMNS}."
        yield Issue("design-too-large", message, "/formula")
    limit = limits.FACTOR_COEFFICIENTS
    for factor in encoding.factors:
        if (width := factor.width) > limit:
            message = (
                f"The grouping factor {factor.name} would have {width} coefficients; the limit is {limit}."
            )
            yield Issue("design-too-large", message, "/formula")


def _too_many_cells(encoding: Encoding, rows: int) -> Iterator[Issue]:
    width = _width(encoding)
    if rows * width > limits.DESIGN_CELLS:
        message = f"The design would have {rows} rows of {width} numbers; the limit is {limits.DESIGN_CELLS} in all."
        yield Issue("design-too-large", message, "/formula")


def _width(encoding: Encoding) -> int:
    return encoding.matrix.width + sum(factor.width for factor in encoding.factors)


def _too_much_work(encoding: Encoding) -> Iterator[Issue]:
    width = encoding.matrix.width
    if encoding.rows * width**2 > limits.DESIGN_WORK:
        message = (
            f"X would have {encoding.rows} rows and {width} columns; rows times the square of the columns"
            f" may be {limits.DESIGN_WORK}. Use fewer columns, or a grouping factor, (1 | g), for one of many levels."
        )
        yield Issue("design-too-large", message, "/formula")


def _ambiguous(encoding: Encoding) -> Iterator[Issue]:
    owners = {"X": encoding.matrix.names, "the model": tuple(factor.name for factor in encoding.factors)}
    owners.update((f"the factor {factor.name}", factor.coefficients) for factor in encoding.factors)
    for owner, names in owners.items():
        for name in (name for name, count in Counter(names).items() if count > 1):
            message = f"Two columns of {owner} would both be called {name}; rename a column or a level."
            yield Issue("ambiguous-name", message, "/formula")


def _constants(encoding: Encoding, table: Table, factor: FactorDesign) -> Iterator[str]:
    """The texts of the variables that say something of a level as a whole, not of its rows."""
    variables = encoding.variables
    for node in encoding.structure.variables:
        known = variables.categoricals.get(str(node))
        values = evaluate(node, table, variables.memory) if known is None else known.codes(table)
        if all(constant_within(column, factor) for column in values.reshape(len(values), -1).T):
            yield str(node)


def _repeated_factors(encoding: Encoding, constants: Sequence[Sequence[str]]) -> Iterator[Notice]:
    terms = encoding.structure.population.terms
    population = {str(term.variables[0]) for term in terms if len(term.variables) == 1}
    for factor, known in zip(encoding.factors, constants, strict=True):
        for text, categorical in encoding.variables.categoricals.items():
            same = text in known and len(categorical.levels) == len(factor.levels)
            if same and text in population and "Intercept" in factor.coefficients:
                message = (
                    f"{text} tells the levels of {factor.name} apart, so that its coefficients and the deviations"
                    " of the intercept explain the same."
                )
                parameter = f"sd[{factor.name}][Intercept]"
                yield Notice("repeated_factor", message, "warning", (parameter,), "Leave one of them out.")


def _event(
    formula: Formula, outcomes: Sequence[Value], levels: Mapping[str, Sequence[Value]]
) -> Iterator[Notice]:
    """Say which text of a response counts as 1, where the request does not say it."""
    name = str(formula.response.value)
    if outcomes and name not in levels and first_column(formula.response.value) not in levels:
        zero, one = outcomes
        message = f"{one!r} of {name} counts as 1 and {zero!r} as 0: coefficients are about {one!r}."
        advice = f'"levels": {{"{name}": ["{one}", "{zero}"]}} turns them round.'
        yield Notice("response_event", message, "info", (), advice)


def _dropped_rows(encoding: Encoding, rows: int) -> Iterator[Notice]:
    if encoding.dropped:
        count = len(encoding.dropped)
        message = f"{count} of {rows} rows have missing values and are left out: {listing(encoding.dropped)}."
        yield Notice("rows_dropped", message, "info")


def _levels_for_missing(
    encoding: Encoding, table: Table, levels: Mapping[str, Sequence[Value]]
) -> Iterator[Notice]:
    columns = [known.column for known in encoding.variables.categoricals.values()]
    columns += [name for factor in encoding.factors for name in factor.columns]
    for name in dict.fromkeys(columns):
        if name not in levels and (found := levels_for_missing(table[name])):
            message = f"Column {name!r} has levels that usually stand for a missing value: {listing(found)}."
            advice = "Send null where a value is missing; `levels` says that they are meant as levels."
            yield Notice("missing_as_level", message, "warning", advice=advice)


def _numbers_as_levels(
    encoding: Encoding, table: Table, levels: Mapping[str, Sequence[Value]]
) -> Iterator[Notice]:
    for text, known in encoding.variables.categoricals.items():
        # factor(x) says that the texts are meant as levels, and so do levels that are given.
        if (
            text.strip("`") == known.column
            and known.column not in levels
            and is_whole_numbers(table[known.column])
        ):
            message = f"Column {known.column!r} holds whole numbers as text: each is a level with its own coefficient."
            advice = f"Send numbers if they are meant as such; factor({text}) says that they are levels."
            yield Notice("numbers_as_levels", message, "warning", advice=advice)


def _unused_levels(
    encoding: Encoding, table: Table, levels: Mapping[str, Sequence[Value]]
) -> Iterator[Notice]:
    for name in dict.fromkeys(known.column for known in encoding.variables.categoricals.values()):
        present = set(distinct(table[name])[0])
        if unused := [value for value in levels.get(name, ()) if value not in present]:
            message = f"No row has these levels of {name!r}, which get no coefficient: {listing(unused)}."
            yield Notice("unused_levels", message, "info")

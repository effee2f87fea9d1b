"""Posteriors, level-specific deviations and predictions against those of independent software."""

import math
from typing import Any

import numpy as np
import pytest

from model.frame.encoding import encode
from model.frame.table import Table
from model.predictions.predict import predicted_draws
from model.results.posterior import Posterior
from model.spec import prepare
from tests.reference.cases import Case, compare, load, wrong_parameters
from tests.worker.silent import Silent
from worker.fitting import FitResult, fit

# Sleepstudy under brms's own default priors: mean and sd by 400,000 draws with the group effects integrated out, made
# outside the project; Monte Carlo errors are about 0.002 sd.
SLEEPSTUDY_DEFAULTS = {
    "b[Intercept]": (251.2435, 7.3912),
    "b[Days]": (10.4226, 1.7106),
    "sd[Subject][Intercept]": (26.8569, 6.8415),
    "sd[Subject][Days]": (6.5728, 1.5247),
    "cor[Subject][Intercept,Days]": (0.0869, 0.3005),
    "sigma": (25.9121, 1.5598),
}
SLEEPSTUDY_DEVIATIONS = {
    ("308", 0): (2.680, 14.129),
    ("308", 1): (9.202, 2.885),
    ("309", 0): (-39.769, 14.370),
    ("309", 1): (-8.663, 2.884),
    ("335", 0): (-0.538, 14.455),
    ("335", 1): (-10.653, 2.941),
}

_FITS: dict[tuple[str, str], tuple[Case, FitResult]] = {}


def fitted(name: str, method: str) -> tuple[Case, FitResult]:
    """Fit a case once for all tests that ask about it."""
    if (name, method) not in _FITS:
        case = load(name)
        _FITS[name, method] = case, fit(prepare(case.spec(method)), Silent())
    return _FITS[name, method]


EACH = pytest.mark.parametrize(
    ("name", "method"),
    [
        ("classroom", "collapsed"),
        ("sleepstudy", "collapsed"),
        ("sleepstudy_uncorrelated", "collapsed"),
        ("dyestuff", "collapsed"),
        ("sleepstudy", "nuts"),
        ("classroom", "nuts"),
        ("pastes", "nuts"),
        ("cbpp", "nuts"),
        ("pastes", "collapsed"),
    ],
)


@EACH
def test_parameters_are_those_of_the_reference(name: str, method: str) -> None:
    case, result = fitted(name, method)
    assert result.method == method
    assert wrong_parameters(result.posterior, case) == []


@EACH
def test_level_deviations_are_those_of_the_reference(name: str, method: str) -> None:
    case, result = fitted(name, method)
    wrong = []
    for factor in result.posterior.encoding.factors:
        u = result.posterior.deviations(factor.name, range(len(factor.levels)))
        for i, level in enumerate(factor.levels):
            for j, coefficient in enumerate(factor.coefficients):
                label = f"r[{factor.name}][{'_'.join(map(str, level))},{coefficient}]"
                wrong += compare(label, u[:, :, i, j], case.facts["reference"]["group_effects"][label])
    assert wrong == []


@EACH
def test_predictions_are_those_of_the_reference(name: str, method: str) -> None:
    case, result = fitted(name, method)
    rows = case.facts["predictions"]["rows"]
    table = Table.from_records(
        [{k: str(v) if k in _categorical(case) else v for k, v in row["row"].items()} for row in rows]
    )
    wrong = _wrong_predictions(result.posterior, table, rows)
    assert wrong == []


def test_sleepstudy_under_default_priors() -> None:
    case = load("sleepstudy")
    spec = case.spec()
    plan = prepare(type(spec)(spec.formula, spec.table, sampler=spec.sampler))
    assert [(row.class_, row.prior) for row in plan.priors] == [
        ("Intercept", "student_t(3, 288.7, 59.3)"),
        ("b", ""),
        ("sd", "student_t(3, 0, 59.3)"),
        ("sd", "student_t(3, 0, 59.3)"),
        ("cor", "lkj(1)"),
        ("sigma", "student_t(3, 0, 59.3)"),
    ]
    posterior = fit(plan, Silent()).posterior
    gold = {
        name: {"mean": m, "sd": s, "mcse_mean": 0.002 * s} for name, (m, s) in SLEEPSTUDY_DEFAULTS.items()
    }
    assert wrong_parameters(posterior, Case("gold", {"reference": {"parameters": gold}}, {})) == []
    wrong = []
    for (level, j), (mean, sd) in SLEEPSTUDY_DEVIATIONS.items():
        draws = posterior.deviations("Subject", [posterior.level_numbers["Subject"][level,]])[:, :, 0, j]
        wrong += compare(f"r[{level},{j}]", draws, {"mean": mean, "sd": sd, "mcse_mean": 0.002 * sd})
    assert wrong == []


def _categorical(case: Case) -> set[str]:
    return {name for name, kind in case.facts["column_types"].items() if "categorical" in kind}


def _wrong_predictions(posterior: Posterior, table: Table, rows: list[dict[str, Any]]) -> list[str]:
    design = encode(posterior.encoding, table, response=False)
    wrong = []
    for which, effects in (("expected_with_groups", "all"), ("expected_population", "none")):
        draws = predicted_draws(posterior, design, group_effects=effects, new_levels="sample")  # type: ignore[arg-type]
        for i, row in enumerate(rows):
            reference = dict(row[which])
            # The reference gives no Monte Carlo error here; it has at least 2,700 effective draws of every parameter.
            reference["mcse_mean"] = reference["sd"] / math.sqrt(2_700)
            wrong += compare(f"row {i} {which}", draws[:, :, i], reference)
    return wrong


def test_the_rule_can_fail() -> None:
    case, result = fitted("sleepstudy", "collapsed")
    shifted = dict(case.facts["reference"]["parameters"])
    row = shifted["b[Days]"]
    shifted["b[Days]"] = {**row, "mean": row["mean"] + 0.2 * row["sd"], "sd": row["sd"] * 1.1}
    found = wrong_parameters(result.posterior, Case("shifted", {"reference": {"parameters": shifted}}, {}))
    assert [text.split(":")[0] for text in found] == ["b[Days]", "b[Days]"]
    assert np.isfinite(result.summary["diagnostics"]["log_marginal_likelihood"])

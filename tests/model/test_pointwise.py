"""Log likelihoods of rows: those of R's densities, and what a mixed model's must equal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from model.criticism.pointwise import log_likelihood, pointwise
from model.family import FAMILIES, Family
from model.frame.design import Design
from tests.worker.models import plan
from tests.worker.silent import Silent
from worker.fitting import fit

GOLDEN = json.loads((Path(__file__).parent / "loo" / "loo.json").read_text())
LINKS = [(name, link) for name, facts in FAMILIES.items() for link in facts.links]
PARAMETERS = ("sigma", "nu", "shape")


def design(y: Any, **columns: Any) -> Design:
    n = len(y)
    arrays = {name: np.asarray(values, dtype=float) for name, values in columns.items()}
    return Design(
        np.ones((n, 1)), ("Intercept",), True, np.zeros(n), (), y=np.asarray(y, dtype=float), **arrays
    )


def at(name: str, link: str, eta: Any, y: Any, **own: Any) -> Any:
    """Log likelihoods (row,) under one draw."""
    parameters = {name: np.array([own.pop(name)]) for name in PARAMETERS if name in own}
    column = np.asarray(eta, dtype=float)[:, None]
    return log_likelihood(Family(name, link), design(y, **own), column, parameters)[:, 0]


@pytest.mark.parametrize("case", GOLDEN["families"], ids=lambda case: f"{case['name']} {case['link']}")
def test_densities_are_those_of_r(case: dict[str, Any]) -> None:
    facts = {key: value for key, value in case.items() if key != "value"}
    np.testing.assert_allclose(at(**facts), case["value"], rtol=1e-9, atol=1e-12)


def test_every_family_and_link_is_held_against_r() -> None:
    assert {(case["name"], case["link"]) for case in GOLDEN["families"]} == set(LINKS)


@pytest.mark.parametrize(("name", "link"), LINKS)
@pytest.mark.parametrize("eta", [-800.0, -40.0, 40.0, 800.0])
def test_a_possible_response_has_a_finite_log_likelihood_far_out(name: str, link: str, eta: float) -> None:
    own = {"sigma": 1.0, "nu": 4.0, "shape": 2.0}
    trials = {"trials": [3.0, 3.0]} if name == "binomial" else {}
    mine = {parameter: own[parameter] for parameter in FAMILIES[name].parameters}
    assert np.isfinite(at(name, link, [eta, eta], [0.0, 1.0], **mine, **trials)).all()


def test_what_is_certain_has_probability_one() -> None:
    assert at("bernoulli", "cloglog", [800.0], [1.0])[0] == 0
    assert at("bernoulli", "logit", [-800.0], [0.0])[0] == 0


FORMULA = "y | weights(wt) ~ x + offset(off) + (1 + x | g) + (1 | h)"


def test_rows_are_seen_through_their_levels_with_offset_and_weight() -> None:
    made = plan(FORMULA, sampler={"draws": 100})
    posterior, arrays = fit(made, Silent()).posterior, made.design()
    found = np.full((arrays.rows, 400), np.nan)
    for rows, values in pointwise(posterior, arrays, np.arange(arrays.rows)):
        found[rows] = values
    assert arrays.y is not None
    assert arrays.weights is not None
    mean = (posterior.population @ arrays.x.T + arrays.offset).reshape(400, -1).T
    for factor in arrays.factors:
        u = posterior.deviations(factor.name, range(len(factor.levels))).reshape(400, len(factor.levels), -1)
        mean = mean + np.einsum("drk,rk->rd", u[:, factor.index], factor.z)
    sigma = posterior.parameters["sigma"].ravel()
    expected = arrays.weights[:, None] * stats.norm.logpdf(arrays.y[:, None], mean, sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_pieces_do_not_depend_on_which_rows_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(FORMULA, sampler={"draws": 50})
    posterior, arrays = fit(made, Silent()).posterior, made.design()
    ((rows, whole),) = pointwise(posterior, arrays, np.arange(arrays.rows))
    monkeypatch.setattr("model.criticism.training._NUMBERS", 7 * 200)
    pieces = list(pointwise(posterior, arrays, np.arange(0, arrays.rows, 2)))
    assert len(pieces) == 5
    for some, values in pieces:
        assert values.shape == (len(some), 200)
        place = np.argsort(rows)[some]
        np.testing.assert_allclose(values, whole[place], rtol=1e-12)

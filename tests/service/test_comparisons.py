"""Comparisons of finished fits: which can be compared, and how they stand."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from model.results.posterior import Posterior
from service.answers.checks import Checks
from service.answers.common import Problem
from service.answers.comparisons import Comparison
from service.keys import KeyRing, Scope, new_key
from service.settings import ServiceSettings
from tests.service.samples import COLUMNS, REQUEST

Fit = Callable[..., str]


@pytest.fixture
def fitted(client: TestClient, finish: Callable[..., Posterior]) -> Fit:
    """Fit another formula, or with other changes to the usual request."""

    def make(**changes: Any) -> str:
        answer = client.post("/v1/fits", json={**REQUEST, **changes})
        assert answer.status_code == 202, answer.text
        finish(answer.json()["id"])
        return str(answer.json()["id"])

    return make


def columns(**changes: Any) -> dict[str, Any]:
    return {"columns": {**COLUMNS, **changes}}


def compare(client: TestClient, *fits: str) -> Comparison:
    answer = client.post("/v1/comparisons", json={"fits": fits})
    assert answer.status_code == 200, answer.text
    return Comparison.model_validate(answer.json())


def refusal(client: TestClient, body: Any) -> Problem:
    return Problem.model_validate(client.post("/v1/comparisons", json=body).json())


def test_the_best_fit_comes_first(client: TestClient, fitted: Fit) -> None:
    fits = [fitted(formula=formula) for formula in ("y ~ x + (1 + x | g)", "y ~ 1", "y ~ x")]
    found = compare(client, *fits)
    assert {one.fit_id for one in found.fits} == set(fits)
    elpds = [one.elpd_loo.estimate for one in found.fits]
    assert elpds == sorted(elpds, reverse=True)
    assert (found.fits[0].elpd_diff.estimate, found.fits[0].elpd_diff.se) == (0, 0)
    for one in found.fits[1:]:
        assert one.elpd_diff.estimate == pytest.approx(one.elpd_loo.estimate - elpds[0])
        assert one.elpd_diff.se is not None
        assert one.elpd_diff.se > 0
    assert sum(one.stacking_weight for one in found.fits) == pytest.approx(1)


def test_the_order_in_the_request_does_not_matter(client: TestClient, fitted: Fit) -> None:
    one, other = fitted(), fitted(formula="y ~ x")
    there, back = compare(client, one, other), compare(client, other, one)
    assert there.fits == back.fits


def test_a_comparison_says_what_the_checks_say(client: TestClient, fitted: Fit) -> None:
    one, other = fitted(), fitted(formula="y ~ x")
    loo = Checks.model_validate(client.get(f"/v1/fits/{one}/checks?include=loo").json()).loo
    assert loo is not None
    found = next(fit for fit in compare(client, one, other).fits if fit.fit_id == one)
    assert (found.elpd_loo, found.p_loo, found.unreliable) == (loo.elpd_loo, loo.p_loo, loo.unreliable)


def test_columns_that_a_model_does_not_use_may_differ(client: TestClient, fitted: Fit) -> None:
    one = fitted()
    other = fitted(formula="y ~ 1", data=columns(x=[0.5] * 24))
    assert len(compare(client, one, other).fits) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": columns(y=[0.0, *COLUMNS["y"][1:]])}, "in 1 rows (first: 0)"),
        ({"formula": "log(y) ~ x"}, "log(y), in the first y"),
        ({"formula": "y | weights(x^2) ~ 1"}, "weights differ"),
        (
            {"data": columns(x=[None, *COLUMNS["x"][1:]]), "missing": "drop"},
            "uses 23 rows, the first 24;",
        ),
    ],
)
def test_fits_of_different_data_are_refused_and_the_difference_named(
    client: TestClient, fitted: Fit, changes: dict[str, Any], message: str
) -> None:
    body = {"fits": [fitted(), fitted(formula="y ~ x"), fitted(**changes)]}
    found = refusal(client, body)
    assert (found.status, found.type) == (422, "/problems/different-data")
    assert [error.pointer for error in found.errors] == ["/fits/2"]
    assert message in found.errors[0].message


def test_models_for_counts_and_others_are_compared_with_a_warning(client: TestClient, fitted: Fit) -> None:
    data = columns(y=[i % 4 for i in range(24)])
    found = compare(client, fitted(data=data), fitted(data=data, family="poisson"))
    assert "densities_and_probabilities" in {warning.code for warning in found.warnings}


def test_all_that_is_wrong_with_the_list_is_said(client: TestClient, fitted: Fit) -> None:
    waiting = client.post("/v1/fits", json={**REQUEST, "formula": "y ~ 1"}).json()["id"]
    one = fitted()
    found = refusal(client, {"fits": [one, "fit_x", waiting, one], "by": "waic"})
    assert (found.status, found.type) == (422, "/problems/invalid-request")
    assert {(error.pointer, error.code) for error in found.errors} == {
        ("/by", "unknown-field"),
        ("/fits/1", "unknown-fit"),
        ("/fits/2", "fit-not-finished"),
        ("/fits/3", "invalid-value"),
    }


@pytest.mark.parametrize(
    "body", [{}, {"fits": []}, {"fits": ["fit_a"]}, {"fits": ["a"] * 21}, {"fits": "a"}, []]
)
def test_a_comparison_is_of_two_to_twenty_fits(client: TestClient, body: Any) -> None:
    answer = client.post("/v1/comparisons", json=body)
    assert answer.status_code == 422


def test_fits_that_are_not_finished_can_be_compared_later(
    client: TestClient, fit_id: str, fitted: Fit
) -> None:
    found = refusal(client, {"fits": [fit_id, fitted(formula="y ~ x")]})
    assert (found.status, found.type) == (409, "/problems/fit-not-finished")


def test_the_fits_of_another_tenant_are_unknown(client: TestClient, app: FastAPI, fitted: Fit) -> None:
    fits = [fitted(), fitted(formula="y ~ x")]
    token, key = new_key("acme", Scope.READ)
    app.state.services.keys = KeyRing.of(ServiceSettings(keys=str(key)))
    answer = client.post("/v1/comparisons", json={"fits": fits}, headers={"Authorization": f"Bearer {token}"})
    found = Problem.model_validate(answer.json())
    assert (found.status, found.type) == (422, "/problems/unknown-fit")
    assert [error.pointer for error in found.errors] == ["/fits/0", "/fits/1"]

"""What families allow, how their links invert, how their draws scatter, and which responses they refuse."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidModel
from model.family import FAMILIES, Family, check_response, find_family
from model.frame.design import Design
from model.links import LINKS

EACH = [(name, link) for name, facts in FAMILIES.items() for link in facts.links]
PARAMETERS = {"sigma": 1.5, "nu": 6.0, "shape": 2.0}


def design(y: Any, **columns: Any) -> Design:
    n = len(y)
    arrays = {name: np.asarray(values, dtype=float) for name, values in columns.items()}
    return Design(
        np.ones((n, 1)), ("Intercept",), True, np.zeros(n), (), y=np.asarray(y, dtype=float), **arrays
    )


def codes(family: str, y: Any, link: str | None = None, **columns: Any) -> list[str]:
    return [issue.code for issue in check_response(find_family(family, link), design(y, **columns))]


@pytest.mark.parametrize("name", LINKS)
def test_links_invert_and_their_slopes_are_derivatives(name: str) -> None:
    link, eta, step = LINKS[name], np.linspace(-3, 3, 13), 1e-6
    np.testing.assert_allclose(link.of_mean(link.inverse(eta)), eta, atol=1e-9)
    numeric = (link.inverse(eta + step) - link.inverse(eta - step)) / (2 * step)
    np.testing.assert_allclose(link.slope(eta), numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("name", "link"), EACH)
def test_draws_have_the_mean_and_the_variance_that_they_should(name: str, link: str) -> None:
    family, size = Family(name, link), 40_000
    trials = np.full(size, 7.0) if name == "binomial" else None
    mean = np.full(size, 0.3)
    own = {parameter: np.array(PARAMETERS[parameter]) for parameter in family.parameters}
    drawn = family.draw(np.random.default_rng(2), mean, own, trials)
    share = drawn if trials is None else drawn / trials
    variance = float(family.variance(mean, own)[0]) / (1 if trials is None else 7)
    assert share.mean() == pytest.approx(0.3, abs=5 * np.sqrt(variance / size))
    assert share.var() == pytest.approx(variance, rel=0.1)


def test_a_student_with_two_degrees_of_freedom_has_no_variance() -> None:
    own = {"sigma": np.array([1.0, 1.0]), "nu": np.array([2.0, 4.0])}
    np.testing.assert_array_equal(Family("student", "identity").variance(np.zeros(2), own), [np.inf, 2.0])


def test_a_huge_mean_is_drawn_all_the_same() -> None:
    huge = Family("poisson", "log").inverse_link(np.array([800.0]))
    assert np.isfinite(huge).all()
    assert np.isfinite(Family("poisson", "log").draw(np.random.default_rng(0), huge, {}, None)).all()


@pytest.mark.parametrize(
    ("family", "y", "columns", "expected"),
    [
        ("bernoulli", [0, 1, 1], {}, []),
        ("bernoulli", [0, 1, 2], {}, ["invalid-response"]),
        ("bernoulli", [1, 1, 1], {}, ["constant-response"]),
        ("bernoulli", [0, 1, 1], {"trials": [1, 1, 1]}, ["response-mismatch"]),
        ("binomial", [0, 3, 1], {"trials": [2, 3, 0]}, []),
        ("binomial", [0, 3, 1], {}, ["response-mismatch"]),
        ("binomial", [0, 0.5, 1], {"trials": [2, 3, 4]}, ["invalid-response"]),
        ("binomial", [2, 3, 0], {"trials": [2, 3, 0]}, ["constant-response"]),
        ("binomial", [0, 0, 0], {"trials": [0, 0, 0]}, ["invalid-response"]),
        ("poisson", [0, 4, 2], {}, []),
        ("poisson", [0, -1, 2], {}, ["invalid-response"]),
        ("poisson", [0, 1.5, 2], {}, ["invalid-response"]),
        ("poisson", [0, 0, 0], {}, ["constant-response"]),
        ("negbinomial", [0, 1.5, -2], {}, ["invalid-response"]),
        ("negbinomial", [0.5, 1, 2], {"trials": [1, 1, 2]}, ["response-mismatch", "invalid-response"]),
        ("student", [1.0, 2.5, 2], {}, []),
        ("student", [1.0, 2.5, 2], {"standard_error": [1, 1, 1]}, ["response-mismatch"]),
        ("gaussian", [1.0, 1.0, 1.0], {}, ["constant-response"]),
        ("gaussian", [1.0, 1.0, 1.0], {"standard_error": [1, 1, 1]}, []),
    ],
)  # fmt: skip
def test_responses_that_are_not_of_a_family(
    family: str, y: Any, columns: dict[str, Any], expected: list[str]
) -> None:
    assert codes(family, y, **columns) == expected


def test_a_log_link_needs_a_positive_response() -> None:
    assert codes("gaussian", [-1.0, -2.0, 0.0], "log") == ["invalid-response"]
    assert codes("gaussian", [-1.0, -2.0, 3.0], "log") == []


def test_the_message_names_the_rows() -> None:
    (issue,) = check_response(find_family("bernoulli"), design([0, 1, 3, 1, -1]))
    assert "2 rows (first: row 2)" in issue.message


def test_unknown_families_and_links_are_told_what_there_is() -> None:
    with pytest.raises(InvalidModel, match="negbinomial"):
        find_family("tweedie")
    with pytest.raises(InvalidModel, match="logit, probit, cloglog"):
        find_family("bernoulli", "log")


def test_text_is_a_bernoulli_response_alone() -> None:
    told = replace(design([0, 1, 1]), outcomes=("no", "yes"))
    assert [issue.code for issue in check_response(Family("gaussian", "identity"), told)] == ["column-type"]
    assert not check_response(Family("bernoulli", "logit"), told)

"""Centered coordinates of group-level deviations: the same linear predictors, and the way back."""

from typing import Any

import numpy as np
import pytest

from model.centering import (
    covariates_centered,
    in_users_coordinates,
    internal_deviations,
    least_sizes,
    lower_roots,
    users_deviations,
)
from model.frame.design import FactorDesign

SOURCE = np.random.default_rng(4)
ROWS = 90
YEAR = 2000.0 + SOURCE.integers(0, 12, ROWS)
Array = np.ndarray[Any, Any]


def factor(*columns: Array, blocks: tuple[tuple[int, ...], ...] | None = None) -> FactorDesign:
    z = np.column_stack(columns)
    names = tuple(f"c{i}" for i in range(z.shape[1]))
    whole = (tuple(range(z.shape[1])),) if blocks is None else blocks
    return FactorDesign("g", ("g",), (("a",), ("b",)), names, whole, z, np.arange(ROWS) % 2)


def fixed(of: FactorDesign, *numbers: int) -> list[bool]:
    return [i in numbers for i in range(len(of.coefficients))]


ONES = np.ones(ROWS)
FAR = {
    "a year": factor(ONES, YEAR),
    "a year and its square": factor(ONES, YEAR, YEAR**2),
    "without an intercept": factor(YEAR, YEAR + SOURCE.normal(0, 1, ROWS)),
    "seconds since 1970": factor(ONES, 1.7e9 + SOURCE.normal(0, 3600, ROWS)),
    "in a second block": factor(YEAR, ONES, YEAR**2, blocks=((0,), (1, 2))),
}


@pytest.mark.parametrize("name", FAR)
def test_deviations_mean_the_same_in_both_coordinates(name: str) -> None:
    of = FAR[name]
    z, matrix = covariates_centered(of, fixed(of))
    assert np.any(matrix != np.eye(len(matrix)))
    np.testing.assert_array_equal(matrix, np.triu(matrix))
    np.testing.assert_array_equal(np.diagonal(matrix), 1.0)
    v = SOURCE.normal(0, 1, len(matrix)) / np.abs(z).max(axis=0)
    u = users_deviations(v[:, None], matrix)[:, 0]
    # What rounding costs is a share of the largest term, not of their sum.
    np.testing.assert_allclose(z @ v, of.z @ u, atol=1e-12 * np.abs(of.z * u).max())
    np.testing.assert_allclose(internal_deviations(u[:, None], matrix)[:, 0], v, rtol=1e-4)
    for block in of.blocks:
        gram = z[:, block].T @ z[:, block]
        size = np.sqrt(np.diagonal(gram))
        np.testing.assert_allclose(gram / np.outer(size, size), np.eye(len(block)), atol=1e-8)


NEAR = {
    "a covariate around zero": factor(ONES, SOURCE.normal(0, 1, ROWS)),
    "days from zero to nine": factor(ONES, np.arange(ROWS) % 10.0),
    "levels of another factor": factor(ONES, np.arange(ROWS) % 3 == 1, np.arange(ROWS) % 3 == 2),
    "a year in a block of its own": factor(ONES, YEAR, blocks=((0,), (1,))),
}


@pytest.mark.parametrize("name", NEAR)
def test_what_is_near_stays_as_it_is(name: str) -> None:
    of = NEAR[name]
    z, matrix = covariates_centered(of, fixed(of))
    assert z is of.z
    np.testing.assert_array_equal(matrix, np.eye(len(matrix)))


def test_a_known_sd_keeps_its_block_as_it_is() -> None:
    of = FAR["a year"]
    assert covariates_centered(of, fixed(of, 0))[0] is of.z


def test_a_column_that_is_a_combination_of_others_is_left_alone() -> None:
    of = factor(ONES, YEAR, 2 * YEAR - 3)
    assert covariates_centered(of, fixed(of))[0] is of.z


def test_sds_and_correlations_are_those_of_the_mapped_covariance() -> None:
    matrix = np.array([[1.0, -7.0, 3.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]])
    raw = SOURCE.normal(0, 1, (5, 3, 3))
    root = np.linalg.cholesky(raw @ np.swapaxes(raw, 1, 2))
    sd = np.sqrt(np.sum(root**2, axis=2))
    correlation = root / sd[..., None]
    users, lower = in_users_coordinates(sd.T, np.moveaxis(correlation, 0, -1), matrix)
    own = np.moveaxis(lower, -1, 0)
    np.testing.assert_allclose(np.sum(own**2, axis=2), 1.0)
    np.testing.assert_array_equal(own, np.tril(own))
    scaled = own * users.T[..., None]
    np.testing.assert_allclose(
        scaled @ np.swapaxes(scaled, 1, 2), matrix @ root @ np.swapaxes(root, 1, 2) @ matrix.T
    )


def test_lower_roots_have_the_same_products() -> None:
    root = SOURCE.normal(0, 1, (7, 3, 3))
    lower = lower_roots(root)
    np.testing.assert_allclose(lower @ np.swapaxes(lower, 1, 2), root @ np.swapaxes(root, 1, 2))
    assert np.all(np.diagonal(lower, axis1=1, axis2=2) > 0)


def test_a_slope_is_at_first_so_small_that_it_leaves_the_intercept_alone() -> None:
    matrix = np.array([[1.0, -2000.0, 5.0], [0.0, 1.0, -4.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(least_sizes(np.array([2.0, 1.0, 3.0]), matrix), [2.0, 1e-3, 2.5e-4])

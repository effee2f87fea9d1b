"""Figures that cannot be computed are never quiet."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.frame.table import Table
from model.results.posterior import Posterior
from model.results.summary import summarize
from model.spec import FitSpec, prepare
from tests.service.samples import COLUMNS, make_posterior


def made() -> Posterior:
    return make_posterior(prepare(FitSpec("y ~ x + (1 + x | g)", Table.from_columns(COLUMNS))))


@pytest.mark.parametrize("size", [1e151, 1e308, 1e120])
def test_draws_of_a_size_that_no_data_have(size: float) -> None:
    posterior = made()
    population = posterior.population.copy()
    with np.errstate(over="ignore"):
        population[..., 0] *= size
    with np.errstate(over="ignore", invalid="ignore"):
        summary = summarize(replace(posterior, population=population))
    (notice,) = [row for row in summary["warnings"] if row["code"] == "no_numbers"]
    assert notice["severity"] == "serious"
    assert "b[Intercept]" in notice["parameters"]


def test_ordinary_draws_and_constants_are_numbers() -> None:
    posterior = made()
    population = posterior.population.copy()
    population[..., 1] = 0.3
    summary: dict[str, Any] = summarize(replace(posterior, population=population))
    json.dumps(summary, default=lambda array: array.tolist(), allow_nan=False)
    assert "no_numbers" not in {row["code"] for row in summary["warnings"]}

"""Pages of levels: their order, what is found, and that a large factor takes little memory."""

import gc
import tracemalloc
import weakref
from functools import cache
from typing import Any

import numpy as np
import pytest

from model.frame.table import Table
from model.moments import accumulate, standardize
from model.results.effects import CollapsedEffects
from model.results.factor_levels import ORDERS, label
from model.results.pages import Sort, estimate_entries, find_entries
from model.results.posterior import FactorPosterior, Posterior
from model.spec import FitSpec, prepare
from tests.service.samples import make_posterior

MANY = 100_000
RNG = np.random.default_rng(3)


def collapsed(levels: list[Any], rows_each: int, draws: int) -> Posterior:
    """A posterior of a collapsed model around the truth, made by hand."""
    group = np.repeat(np.arange(len(levels)), rows_each)
    x = RNG.normal(size=len(group))
    u = RNG.normal(0, [1.0, 0.5], (len(levels), 2))
    y = 1 + 0.5 * x + u[group, 0] + u[group, 1] * x + RNG.normal(size=len(group))
    columns = {"y": y, "x": x, "g": [levels[i] for i in group]}
    plan = prepare(FitSpec("y ~ x + (1 + x | g)", Table.from_columns(columns)))
    design = plan.design()
    standardized = standardize(design)
    moments = accumulate(standardized, design.factors)
    at, factor = standardized.coordinates, design.factors[0]
    effects = CollapsedEffects(
        "g", factor.levels, moments.a, moments.b, at, at.z_maps[0], other_maps=(), seed=1
    )
    shape = (4, draws)
    return Posterior(
        encoding=plan.encoding,
        family=plan.family,
        method="collapsed",
        seed=1,
        population=np.array([1.0, 0.5]) + RNG.normal(0, 0.05, (*shape, 2)),
        parameters={"sigma": np.exp(RNG.normal(0, 0.02, shape))},
        factors={
            "g": FactorPosterior(
                np.array([1.0, 0.5]) * np.exp(RNG.normal(0, 0.05, (*shape, 2))),
                np.broadcast_to(np.eye(2), (*shape, 2, 2)).copy(),
                factor.z.T @ factor.z / design.rows,
                effects,
            )
        },
        x_mean=design.x.mean(axis=0),
        x_covariance=np.cov(design.x, rowvar=False),
        statistics={},
    )


@cache
def few() -> Posterior:
    return collapsed([f"g{i}" for i in range(12)], 8, 1000)


def labels(posterior: Posterior, **options: Any) -> list[tuple[str, str]]:
    items = estimate_entries(posterior, find_entries(posterior, "g", **options), 0, 1000, 0.95)
    return [(item["level"], item["coefficient"]) for item in items]


def test_labels_sort_by_value_and_not_by_their_digits() -> None:
    text = few()
    assert [name for name, _ in labels(text, coefficient="x", sort="label")][:3] == ["g0", "g1", "g10"]
    numbers = make_posterior(
        prepare(
            FitSpec(
                "y ~ x + (1 | g)",
                Table.from_columns(
                    {"y": RNG.normal(size=36), "x": RNG.normal(size=36), "g": [i % 12 for i in range(36)]}
                ),
            )
        )
    )
    assert [name for name, _ in labels(numbers, sort="label")] == [str(i) for i in range(12)]
    assert [name for name, _ in labels(numbers, sort="-label")] == [str(i) for i in reversed(range(12))]


@pytest.mark.parametrize("sort", ["deviation", "value"])
def test_levels_sort_by_their_posterior_means(sort: Sort) -> None:
    posterior = few()
    for coefficient in ("Intercept", "x", None):
        entries = find_entries(posterior, "g", coefficient=coefficient, sort=sort)
        means = [item[sort]["mean"] for item in estimate_entries(posterior, entries, 0, 100, 0.95)]
        # The order is that of means without the Monte Carlo error of the draws that are shown.
        assert np.all(np.diff(means) > -0.1)
        backwards = find_entries(posterior, "g", coefficient=coefficient, sort=f"-{sort}")  # type: ignore[arg-type]
        np.testing.assert_array_equal(backwards.levels, entries.levels[::-1])


def test_means_of_levels_are_those_of_their_draws_up_to_monte_carlo_error() -> None:
    posterior = few()
    u = posterior.deviations("g", range(12)).reshape(-1, 12, 2)
    error = u.std(axis=0) / np.sqrt(len(u))
    assert np.all(np.abs(posterior.levels["g"].means - u.mean(axis=0)) < 5 * error)


def test_sorting_and_searching_go_together_and_pages_are_parts_of_the_whole() -> None:
    posterior = few()
    found = labels(posterior, search="G1", sort="-deviation", coefficient="Intercept")
    assert {name for name, _ in found} == {"g1", "g10", "g11"}
    entries = find_entries(posterior, "g", sort="-value")
    whole = estimate_entries(posterior, entries, 0, 24, 0.9)
    parts = [
        item for start in range(0, 24, 7) for item in estimate_entries(posterior, entries, start, 7, 0.9)
    ]
    assert [(item["level"], item["coefficient"]) for item in parts] == [
        (item["level"], item["coefficient"]) for item in whole
    ]
    for part, item in zip(parts, whole, strict=True):
        assert part["value"]["mean"] == pytest.approx(item["value"]["mean"], rel=1e-9)
    assert estimate_entries(posterior, entries, 24, 7, 0.9) == []
    assert labels(posterior, search="nobody") == []


def test_a_hundred_thousand_levels_take_little_memory() -> None:
    posterior = collapsed([f"level {i}" for i in range(MANY)], 2, 500)
    everything = 8 * 2 * MANY * posterior.chains * posterior.draws
    tracemalloc.start()
    try:
        for options in ({}, {"search": "99"}, {"sort": "-label"}, {"sort": "value", "coefficient": "x"}):
            entries = find_entries(posterior, "g", **options)  # type: ignore[arg-type]
            for start in (0, len(entries) // 2, len(entries) - 20):
                assert len(estimate_entries(posterior, entries, start, 20, 0.95)) == 20
        # More levels than are remembered.
        for start in range(0, 1000, 50):
            posterior.levels["g"].draws(range(start, start + 50))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20 < everything / 25


def test_what_answers_keep_is_known_beforehand() -> None:
    posterior = collapsed([f"g{i}" for i in range(12)], 4, 250)
    before = posterior.working_bytes
    posterior.levels["g"].draws(range(12))
    of: Any = posterior.levels["g"]._deviations
    assert of._bytes + of._deviations.known.nbytes == before == posterior.working_bytes


def test_a_posterior_that_was_asked_much_is_freed_at_once() -> None:
    posterior = collapsed([f"g{i}" for i in range(12)], 4, 250)
    for sort in ("value", "-deviation", "label"):
        labels(posterior, sort=sort, search="g")
    gone = weakref.ref(posterior.levels["g"])
    gc.disable()
    try:
        del posterior
        assert gone() is None
    finally:
        gc.enable()


def test_a_few_orders_are_kept() -> None:
    levels = collapsed([f"g{i}" for i in range(12)], 4, 250).levels["g"]
    for shift in range(2 * ORDERS):
        levels.by_mean(((0, float(shift)),))
    assert len(levels._orders) == ORDERS
    assert levels.by_mean(((0, 7.0),)) is levels._orders[(0, 7.0),]


def test_cells_that_a_colon_would_make_alike_have_labels_of_their_own() -> None:
    cells = [("x", "y:z"), ("x:y", "z"), ("x", "y"), ("a`b", "c")]
    labels = [label(cell) for cell in cells]
    assert labels == ["x:`y:z`", "`x:y`:z", "x:y", "`a\\`b`:c"]
    assert (label(("x:y",)), label((True, 3))) == ("x:y", "true:3")

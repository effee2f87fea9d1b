"""The models that are calibrated: all that the collapsed method does with structures and priors, each family by NUTS.

They are small, so that a simulation is milliseconds, and their priors let the data say little to very much.
"""

import numpy as np

from tests.calibration.sbc import Model

_SOURCE = np.random.default_rng(20261123)
_ROWS, _LEVELS = 48, 8
_WEIGHT = _SOURCE.uniform(0.3, 3.0, _ROWS)

COLUMNS = {
    "x": _SOURCE.normal(1.0, 1.0, _ROWS),
    "w": _SOURCE.normal(-0.5, 2.0, _ROWS),
    "g": [f"g{i % _LEVELS}" for i in range(_ROWS)],
    "h": [f"h{i}" for i in _SOURCE.integers(0, 5, _ROWS)],
    "part": [f"p{i // _LEVELS % 3}" for i in range(_ROWS)],
    "off": _SOURCE.normal(0.0, 2.0, _ROWS),
    "wt": _WEIGHT * _ROWS / _WEIGHT.sum(),
    "err": _SOURCE.uniform(0.3, 1.5, _ROWS),
}

WIDE = {
    "x": _SOURCE.normal(1.0, 1.0, 160),
    "many": [f"m{i}" for i in _SOURCE.integers(0, 30, 160)],
    "more": [f"n{i % 40}" for i in range(160)],
}

_DISTINCT = np.concatenate([np.arange(5000), _SOURCE.integers(0, 5000, 10_000)])
LARGE = {"x": _SOURCE.normal(1.0, 1.0, len(_DISTINCT)), "g": _DISTINCT}
"""Levels enough for a polynomial between exact eliminations."""

POPULATION = {"Intercept": "normal(1, 2)", "b": "normal(0.5, 1)"}
SIGMA = {"sigma": "gamma(4, 4)"}
SD = {"sd": "normal(0, 1)"}
GAUSSIAN = POPULATION | SD | SIGMA


def _without(priors: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in priors.items() if key != name}


COLLAPSED = {
    "intercepts": Model("y ~ x + (1 | g)", GAUSSIAN, COLUMNS),
    "slopes, lkj(1)": Model("y ~ x + (1 + x | g)", GAUSSIAN | {"cor": "lkj(1)"}, COLUMNS),
    "slopes, lkj(2)": Model("y ~ x + (1 + x | g)", GAUSSIAN | {"cor": "lkj(2)"}, COLUMNS),
    "independent slopes": Model("y ~ x + (1 + x || g)", GAUSSIAN, COLUMNS),
    "crossed": Model("y ~ x + (1 | g) + (1 | h)", GAUSSIAN, COLUMNS),
    "crossed slopes": Model("y ~ x + (1 + x | h) + (1 | g)", GAUSSIAN | {"cor": "lkj(1.5)"}, COLUMNS),
    "crossed, many levels of both": Model("y ~ x + (1 | many) + (1 | more)", GAUSSIAN, WIDE),
    "nested": Model("y ~ x + (1 | g / part)", GAUSSIAN, COLUMNS),
    "three coefficients": Model("y ~ x + w + (1 + x + w | g)", GAUSSIAN | {"cor": "lkj(1)"}, COLUMNS),
    "default-like": Model(
        "y ~ x + (1 + x | g)",
        {
            "Intercept": "student_t(3, 1, 2.5)",
            "b": "normal(0, 1)",
            "sd": "student_t(3, 0, 2.5)",
            "sigma": "student_t(3, 0, 2.5)",
            "cor": "lkj(1)",
        },
        COLUMNS,
    ),
    "student_t and cauchy coefficients": Model(
        "y ~ x + w + (1 | g)", GAUSSIAN | {"b x": "student_t(4, 0.5, 1)", "b w": "cauchy(0, 0.5)"}, COLUMNS
    ),
    "uniform sds": Model(
        "y ~ x + (1 + x | g)",
        POPULATION | {"sd": "uniform(0, 3)", "sigma": "uniform(0, 3)", "cor": "lkj(2)"},
        COLUMNS,
    ),
    "weights and offset": Model("y | weights(wt) ~ x + offset(off) + (1 + x | g)", GAUSSIAN, COLUMNS),
    "known errors": Model("y | se(err) ~ x + (1 | g)", _without(GAUSSIAN, "sigma"), COLUMNS),
    "a kept coefficient": Model("y ~ x + w + (1 | g)", GAUSSIAN | {"b x": "laplace(0.5, 1)"}, COLUMNS),
    "raw intercept": Model("y ~ x + (1 | g)", GAUSSIAN, COLUMNS, center=False),
    "little variance expected": Model(
        "y ~ 1 + (1 | g)",
        {"Intercept": "normal(1, 2)", "sd": "exponential(4)", "sigma": "lognormal(0, 0.5)"},
        COLUMNS,
    ),
}

MANY_LEVELS = {
    "slopes of 5,000 levels": Model("y ~ x + (1 + x | g)", GAUSSIAN | {"cor": "lkj(1)"}, LARGE),
}
"""Of the same method, but a simulation of it takes a hundred times as long."""


def _far(away: float, priors: dict[str, str]) -> Model:
    """Slopes on a covariate of unit sd whose mean is so far from zero."""
    columns = COLUMNS | {"x": COLUMNS["x"] - COLUMNS["x"].mean() + away}
    return Model("y ~ x + (1 + x | g)", GAUSSIAN | {"cor": "lkj(1)"} | priors, columns)


_HEAVY = {"sd": "student_t(3, 0, 2.5)"}
FAR = {
    **{f"heavy tails, {away:g}": _far(away, _HEAVY) for away in (0.0, 10.0, 100.0, 1000.0)},
    # Slopes that matter about as much as intercepts do where the data lie: about what makes a posterior have two modes.
    **{
        f"small slopes, {away:g}": _far(away, {"sd x g": f"exponential({away:g})", "cor": "lkj(2)"})
        for away in (10.0, 100.0, 1000.0)
    },
}
"""Covariates whose mean is up to a thousand of their sds from zero."""

_MORE = 72
COUNTED = {
    "x": _SOURCE.normal(0.5, 1.0, _MORE),
    "g": [f"g{i % _LEVELS}" for i in range(_MORE)],
    "h": [f"h{i}" for i in _SOURCE.integers(0, 6, _MORE)],
    "n": _SOURCE.integers(1, 9, _MORE).astype(float),
    "off": _SOURCE.uniform(-1.0, 1.0, _MORE),
}
"""For responses that say less of a row than a number does; beside them eight levels are not few."""

_MILD = {"Intercept": "normal(0, 1)", "b": "normal(0, 0.7)", "sd": "normal(0, 0.7)"}

NUTS = {
    "gaussian": Model("y ~ x + (1 + x | g)", GAUSSIAN | {"cor": "lkj(2)"}, COUNTED),
    "student": Model("y ~ x + (1 | g)", GAUSSIAN | {"nu": "gamma(4, 0.4)"}, COUNTED, family="student"),
    "bernoulli": Model("y ~ x + (1 + x | g)", _MILD | {"cor": "lkj(2)"}, COUNTED, family="bernoulli"),
    "binomial": Model("y | trials(n) ~ x + (1 | g) + (1 | h)", _MILD, COUNTED, family="binomial"),
    "poisson": Model("y ~ x + offset(off) + (1 | g)", _MILD, COUNTED, family="poisson"),
    "negbinomial": Model("y ~ x + (1 | g)", _MILD | {"shape": "gamma(4, 2)"}, COUNTED, family="negbinomial"),
}
"""Each family by NUTS, which shares its program's structure among all."""

"""Priors inside programs: every density against scipy's, every transform against its numerical slope."""

import jax.numpy as jnp
import numpy as np
import pytest

import worker.compiled  # noqa: F401  # 64-bit numbers
from model.distributions import parse_distribution
from worker.programs.hyper import Scalar, Scalars, constrain

PRIORS = [
    ("", (-np.inf, np.inf)),
    ("normal(1, 2)", (-np.inf, np.inf)),
    ("normal(1, 2)", (0.0, np.inf)),
    ("student_t(3, 0.5, 2)", (0.0, np.inf)),
    ("cauchy(0, 2)", (0.0, np.inf)),
    ("laplace(0.5, 1)", (-np.inf, np.inf)),
    ("uniform(1, 4)", (1.0, 4.0)),
    ("exponential(0.5)", (0.0, np.inf)),
    ("gamma(2, 0.5)", (0.0, np.inf)),
    ("inv_gamma(0.4, 0.3)", (0.0, np.inf)),
    ("lognormal(0.2, 0.7)", (0.0, np.inf)),
    ("beta(2, 3)", (0.0, 1.0)),
]


@pytest.mark.parametrize("form", ["smooth", "half", "cube"])
@pytest.mark.parametrize(("text", "bounds"), PRIORS)
def test_log_density_of_the_transformed_parameter(text: str, bounds: tuple[float, float], form: str) -> None:
    if form != "smooth" and (bounds[0] == -np.inf or (form == "cube" and bounds[1] < np.inf)):
        form = "smooth"
    scalars = Scalars.of([Scalar(parse_distribution(text), bounds, 1.7, 0.3, form)])  # type: ignore[arg-type]
    data = {name: jnp.asarray(array) for name, array in scalars.as_dict().items()}
    lower, upper = scalars.walls
    t = np.linspace(max(lower[0], -2.0) + 0.1, min(upper[0], 2.0) - 0.1, 9)[None]
    value, log_prior = (np.asarray(part) for part in constrain(jnp.asarray(t), data))
    h = 1e-6
    above, below = (np.asarray(constrain(jnp.asarray(t + s), data)[0]) for s in (h, -h))
    slope = np.abs(above - below)[0] / (2 * h)
    prior = parse_distribution(text)
    expected = prior.log_density(value[0]) - prior.log_mass(*bounds) + np.log(slope)
    np.testing.assert_allclose(log_prior, expected, atol=1e-6)
    assert np.all((value > bounds[0]) & (value < bounds[1]))


def test_the_inverse_of_the_transforms() -> None:
    rows = [
        Scalar(parse_distribution("normal(0, 1)"), (-np.inf, np.inf), 2.0, 1.0),
        Scalar(parse_distribution("normal(0, 1)"), (0.0, np.inf), 2.0),
        Scalar(parse_distribution("uniform(0, 5)"), (0.0, 5.0), 2.0),
        Scalar(parse_distribution("normal(0, 1)"), (0.0, np.inf), 2.0, form="half"),
        Scalar(parse_distribution("uniform(0, 5)"), (0.0, 5.0), 2.0, form="half"),
        Scalar(parse_distribution("gamma(2, 2)"), (0.0, np.inf), form="cube"),
        Scalar(parse_distribution("constant(3)"), (3.0, 3.0)),
    ]
    scalars = Scalars.of(rows)
    wanted = np.array([0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 3.0])
    data = {name: jnp.asarray(array) for name, array in scalars.as_dict().items()}
    np.testing.assert_allclose(np.asarray(constrain(jnp.asarray(scalars.inverse(wanted)), data)[0]), wanted)
    assert scalars.active.tolist() == [True] * 6 + [False]


def test_beyond_a_wall_lies_the_mirror_image() -> None:
    rows = [
        Scalar(parse_distribution("normal(0, 1)"), (0.0, np.inf), 2.0, form="half"),
        Scalar(parse_distribution("uniform(0, 5)"), (0.0, 5.0), 2.0, form="half"),
    ]
    scalars = Scalars.of(rows)
    data = {name: jnp.asarray(array) for name, array in scalars.as_dict().items()}
    upper = scalars.walls[1][1]
    inside, mirrored = jnp.array([0.4, 0.9 * upper]), jnp.array([-0.4, 1.1 * upper])
    for a, b in zip(constrain(inside, data), constrain(mirrored, data), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b))

"""The independence sampler on densities whose moments are known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from worker.samplers.independence import Chains, sample
from worker.samplers.mixture import Mixture, fit_mixture
from worker.samplers.mode import NoMode, find_mode
from worker.samplers.modes import Elsewhere
from worker.samplers.proposal import Proposal

Array = np.ndarray[Any, Any]
FREE = (np.full(3, -np.inf), np.full(3, np.inf))


def carry(log_density: Any) -> Any:
    return lambda points, noise: lambda: (log_density(points), (noise + points[:, :1]).T)


def run(log_density: Any, start: Array, walls: Any = None, chains: int = 4, draws: int = 4000) -> Chains:
    d = len(start)
    walls = walls or (np.full(d, -np.inf), np.full(d, np.inf))
    return sample(carry(log_density), start, walls, 1, chains, draws, seed=5)


def test_a_correlated_normal() -> None:
    mean, covariance = np.array([1.0, -2.0, 30.0]), np.array([[1, 0.8, 3], [0.8, 2, 1], [3, 1, 100.0]])
    target = stats.multivariate_normal(mean, covariance)
    chains = run(lambda x: target.logpdf(x) + 7.0, np.zeros(3))
    flat = chains.theta.reshape(-1, 3)
    error = np.sqrt(np.diag(covariance) / len(flat)) * 6
    assert np.all(np.abs(flat.mean(axis=0) - mean) < error)
    np.testing.assert_allclose(np.cov(flat.T), covariance, rtol=0.1, atol=0.6)
    assert chains.trustworthy
    assert chains.acceptance > 0.8
    assert chains.log_evidence == pytest.approx(7.0, abs=0.05)


def test_a_half_normal_whose_mode_is_at_its_wall() -> None:
    walls = (np.array([0.0]), np.array([np.inf]))
    chains = run(lambda x: -0.5 * x[:, 0] ** 2, np.array([0.5]), walls)
    flat = chains.theta.ravel()
    assert flat.min() > 0
    assert flat.mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.03)
    assert stats.kstest(flat[::5], stats.halfnorm.cdf).pvalue > 1e-3
    assert chains.log_evidence == pytest.approx(0.5 * np.log(np.pi / 2), abs=0.05)


def test_a_bounded_density_piled_up_at_its_upper_wall() -> None:
    walls = (np.array([0.0]), np.array([1.0]))

    def mirrored(x: Array) -> Array:
        inside = 1.0 - np.abs(1.0 - np.mod(np.abs(x[:, 0]), 2.0))
        return 5.0 * np.asarray(inside)

    flat = run(mirrored, np.array([0.5]), walls).theta.ravel()
    expected = 1 / (1 - np.exp(-5)) - 1 / 5
    assert flat.mean() == pytest.approx(expected, abs=0.02)
    assert 0 < flat.min() < flat.max() < 1


def test_what_is_carried_belongs_to_its_point() -> None:
    chains = run(lambda x: -0.5 * (x**2).sum(axis=1), np.zeros(2))
    noise = chains.drawn[0] - chains.theta[:, :, 0]
    assert stats.kstest(noise.ravel()[::5], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise.ravel(), chains.theta[:, :, 0].ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("distance", [8.0, 9.0, 10.0, 12.0, 14.0])
def test_a_second_mode_is_sampled_or_the_proposal_found_out(distance: float) -> None:
    """The search finds the smaller of two modes; of the other some points tell, unless it is too far to meet any."""

    def two(x: Array) -> Array:
        here, there = stats.norm.logpdf(x[:, 0], 0, 1), stats.norm.logpdf(x[:, 0], distance, 1)
        return np.asarray(np.logaddexp(here, np.log(20) + there))

    chains = run(two, np.array([0.1]), draws=2000)
    right = abs(np.mean(chains.theta > distance / 2) - 20 / 21) < 0.03
    assert right or not chains.trustworthy
    assert distance < 14.0 or not chains.trustworthy


def test_a_skewed_density_is_proposed_skewed() -> None:
    """Log gamma variates: their skewness is -0.78, and a symmetric proposal is taken 78 times in a hundred."""

    def log_density(x: Array) -> Array:
        return np.asarray((2.0 * x - np.exp(x)).sum(axis=1))

    chains = run(log_density, np.zeros(2))
    assert chains.acceptance > 0.85
    for own in chains.theta.reshape(-1, 2).T:
        assert stats.kstest(own[::5], stats.loggamma(2).cdf).pvalue > 1e-3
    assert chains.log_evidence == pytest.approx(0.0, abs=0.03)


def funnel(x: Array) -> Array:
    """How far the second and third coordinates may go depends on the first, as correlations do on an sd near zero."""
    sd = np.exp(x[:, :1])
    return np.asarray(
        stats.norm.logpdf(x[:, 0]) + stats.norm.logpdf(x[:, 1:], 0, sd).sum(axis=1), dtype=np.float64
    )


def test_a_funnel_takes_a_mixture() -> None:
    chains = run(funnel, np.zeros(3))
    assert isinstance(chains.proposal, Mixture)
    assert chains.trustworthy
    assert chains.acceptance > 0.5
    assert chains.log_evidence == pytest.approx(0.0, abs=0.05)
    first, second, _ = chains.theta.reshape(-1, 3)[::10].T
    assert stats.kstest(first, "norm").pvalue > 1e-3
    assert stats.kstest(second * np.exp(-first), "norm").pvalue > 1e-3


def some_mixture(points: int = 3000) -> Mixture | None:
    source = np.random.default_rng(1)
    x = source.standard_normal((points, 2)) * [1.0, 0.3] + np.where(
        source.random((points, 1)) < 0.4, 4.0, 0.0
    )
    single = Proposal.symmetric(x.mean(axis=0), np.cov(x.T))
    return fit_mixture(single, x, np.full(points, 1.0 / points), source)


def test_a_mixture_is_drawn_from_the_density_that_it_says() -> None:
    mixture = some_mixture()
    assert mixture is not None
    assert mixture.shares.sum() == pytest.approx(1.0)
    points, log_density = mixture.draw(20_000, [np.random.default_rng(i) for i in range(2)])
    flat = np.swapaxes(points, 1, 2).reshape(-1, 2)
    np.testing.assert_allclose(mixture.log_density(flat), log_density().ravel(), rtol=1e-12)
    # Of a density within another's reach the mean weight is one, whatever the density.
    target = stats.multivariate_normal([3.7, 4.0], [[0.8, 0.1], [0.1, 0.1]])
    weights = np.exp(target.logpdf(flat) - log_density().ravel())
    assert weights.mean() == pytest.approx(1.0, abs=5 * weights.std() / np.sqrt(len(weights)))
    assert weights.std() < 5


def test_few_points_make_no_mixture() -> None:
    assert some_mixture(points=40) is None


def test_a_density_without_a_number_is_refused() -> None:
    with pytest.raises(NoMode):
        run(lambda x: np.full(len(x), np.nan), np.zeros(2))


def test_the_mode_and_its_curvature() -> None:
    curvature = np.array([[2e6, 0, 0], [0, 1.0, 0.5], [0, 0.5, 4.0]])

    def log_density(x: Array) -> Array:
        away = x - np.array([0.001, 50.0, -3.0])
        return np.asarray(-0.5 * np.einsum("ni,ij,nj->n", away, curvature, away))

    mode, found = find_mode(log_density, np.zeros(3), FREE)
    np.testing.assert_allclose(mode, [0.001, 50.0, -3.0], atol=1e-3)
    np.testing.assert_allclose(found, curvature, rtol=1e-3, atol=1e-3)


def test_the_same_seed_gives_the_same_draws() -> None:
    def log_density(x: Array) -> Array:
        return np.asarray(-np.abs(x).sum(axis=1))

    first, second = run(log_density, np.zeros(2)), run(log_density, np.zeros(2))
    np.testing.assert_array_equal(first.theta, second.theta)


FAR_APART = np.array([[0.0, 0.0, 0.0], [30.0, -20.0, 5.0]])
MASSES = np.array([0.3, 0.7])
MODES = [stats.multivariate_normal(at, 0.2 * np.eye(3)) for at in FAR_APART]


def two_modes(points: Array) -> Array:
    """Masses of 0.3 around the start and 0.7 far from it."""
    logs = [
        np.log(mass) + np.atleast_1d(mode.logpdf(points)) for mass, mode in zip(MASSES, MODES, strict=True)
    ]
    return np.asarray(np.logaddexp(*logs))


def scattered(low: Any, high: Any, count: int = 40) -> Elsewhere:
    net = np.random.default_rng(1).uniform(low, high, (count, 3))
    return replace(Elsewhere.nowhere(3), net=net)


AT_TWO_SIZES = replace(
    Elsewhere.nowhere(3), little=np.array([0.0, np.nan, np.nan]), much=np.array([26.0, np.nan, np.nan])
)
"""The first coordinate may settle at zero or at 26: that is not the other mode either, but nearer to it."""


@pytest.mark.parametrize("where", [scattered([25, -25, 0], [35, -15, 10]), AT_TWO_SIZES])
def test_a_mode_that_no_search_meets_has_its_mass(where: Elsewhere) -> None:
    chains = sample(carry(two_modes), np.zeros(3), FREE, 1, 4, 4000, 5, elsewhere=where)
    assert chains.trustworthy
    assert np.mean(chains.theta[..., 0] > 15) == pytest.approx(0.7, abs=0.03)
    assert chains.minor_modes == pytest.approx(0.3, abs=0.03)
    assert chains.log_evidence == pytest.approx(0.0, abs=0.05)


def test_without_a_look_elsewhere_it_is_overlooked() -> None:
    """Weights say nothing of what is never proposed."""
    chains = sample(carry(two_modes), np.zeros(3), FREE, 1, 4, 1000, 5)
    assert chains.trustworthy
    assert chains.minor_modes == 0.0
    assert chains.log_evidence == pytest.approx(np.log(0.3), abs=0.05)


def test_a_look_elsewhere_changes_nothing_where_there_is_one_mode() -> None:
    target = stats.multivariate_normal(np.ones(3), np.eye(3))
    looked = sample(
        carry(target.logpdf), np.zeros(3), FREE, 1, 4, 500, 5, elsewhere=scattered([-9] * 3, [9] * 3)
    )
    alone = sample(carry(target.logpdf), np.zeros(3), FREE, 1, 4, 500, 5)
    np.testing.assert_array_equal(looked.theta, alone.theta)
    assert looked.evaluations == alone.evaluations + 40


def test_a_start_without_a_density_is_given_up_for_the_best_point_elsewhere() -> None:
    target = stats.multivariate_normal(np.full(3, 20.0), np.eye(3))

    def density(points: Array) -> Array:
        return np.where(np.all(points > 10, axis=1), np.atleast_1d(target.logpdf(points)), -np.inf)

    with pytest.raises(NoMode):
        sample(carry(density), np.zeros(3), FREE, 1, 4, 500, 5)
    where = scattered([-30] * 3, [30] * 3, 60)
    chains = sample(carry(density), np.zeros(3), FREE, 1, 4, 500, 5, elsewhere=where)
    assert chains.theta.mean() == pytest.approx(20.0, abs=0.1)

"""An independence sampler for a vectorized log density of a few dimensions: all proposals are evaluated in one batch.

The proposal is a multivariate t around the mode, improved by rounds of importance weighting; whether it is good
enough is judged by the Pareto k-hat of its weights and by the acceptance rate, and the chains are judged as any
others.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from model.design import Float
from model.diagnostics import PARETO_K_LIMIT, pareto_k
from model.errors import RanefError
from model.streams import stream

Density = Callable[[Float, Float], tuple[Float, Float]]
"""Log density (vector,) at points (vector, dim), -inf or NaN where there is none; and what is drawn exactly given
each point from standard normal noise (vector, carried), itself (vector, carried)."""
LogDensity = Callable[[Float], Float]
Walls = tuple[Float, Float]
"""Lower and upper bound of each coordinate (dim,); a density must be computable beyond them, where it does not
count."""

MIN_ROUNDS, MAX_ROUNDS = 2, 6
GOOD_SHARE = 0.2
"""Effective share of a round's points from which the proposal is good enough."""
Components = tuple[tuple[float, float], ...]
"""Shares and degrees of freedom of a proposal's components."""
NARROW: Components = ((0.75, 20.0), (0.25, 3.0))
"""The first fits the bulk of a nearly normal posterior, the second reaches its tails."""
WIDE: Components = ((0.5, 8.0), (0.5, 2.0))
"""For a posterior whose tails the narrow one does not reach; it is tried when that one fails its self-check."""
MIN_ACCEPTANCE = 0.1
NOTHING = -1e250
"""Stands for a log density of minus infinity: differences of it are still numbers."""
_MEMORY = 0.1
_MOST_SKEWNESS = 0.7
"""Of what weights tell of it; a split normal can have 0.995 at most."""
_MAX_NEWTON = 40
_LENGTHS = np.array([2.0, 1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001])
"""Of the steps that are tried, as multiples of Newton's."""
_FULL = 1
_NEGLIGIBLE_GAIN = 0.5
_FEWEST_FOR_K_HAT = 25


class NoMode(RanefError):
    """The search for the mode ended nowhere: the density is flat, unbounded, or not finite."""


@dataclass(frozen=True, slots=True)
class Chains:
    """What the sampler gives; `theta` (chain, draw, dim) and what was drawn with it, `carried` (chain, draw,
    carried)."""

    theta: Float
    carried: Float
    acceptance: float
    pareto_k: float
    log_evidence: float
    """Log of the integral of the density, by importance sampling."""
    evaluations: int

    @property
    def trustworthy(self) -> bool:
        """The sampler's judgment of itself."""
        return bool(self.pareto_k <= PARETO_K_LIMIT and self.acceptance >= MIN_ACCEPTANCE)


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A mixture of multivariate split-t distributions (Geweke 1989) with one location, scatter and skewness.

    Around `center` (dim,) lie axes, the columns of `root` (dim, dim); along each the scale is `left` on one side and
    `right` on the other (dim,).
    """

    center: Float
    root: Float
    left: Float
    right: Float
    components: Components = NARROW

    @classmethod
    def symmetric(cls, center: Float, covariance: Float) -> "_Proposal":
        """One without skewness."""
        even = np.ones(len(center))
        return cls(center, _root(covariance), even, even)

    @classmethod
    def matching(cls, points: Float, weights: Float) -> "_Proposal":
        """One whose mean, scatter and skewness along each axis are those of weighted points (point, dim)."""
        mean = weights @ points
        spread = points - mean
        # The narrow component takes the scatter as it is: its own variance is a tenth larger, which does no harm.
        root = _root((weights[:, None] * spread).T @ spread)
        along = np.linalg.solve(root, spread.T)
        skewness = np.clip((along**3) @ weights, -_MOST_SKEWNESS, _MOST_SKEWNESS)
        # Of the two-piece normal with variance 1 and right - left = d the skewness is c d (1 + (6 / pi - 2) d^2), and
        # the mean is c d to the right of the center.
        c = np.sqrt(2 / np.pi)
        d = skewness / c
        for _ in range(4):
            d = skewness / c / (1 + (6 / np.pi - 2) * d**2)
        right = (d + np.sqrt(d**2 + 4 * (1 - (1 - 2 / np.pi) * d**2))) / 2
        return cls(mean - root @ (c * d), root, right - d, right)

    def draw(self, size: int, source: np.random.Generator) -> Float:
        normal = source.standard_normal((size, len(self.center)))
        component = source.choice(len(self.components), size, p=[share for share, _ in self.components])
        degrees = np.array([df for _, df in self.components])[component]
        mixing = source.chisquare(degrees) / degrees
        # The side is taken in proportion to its scale, so that the density has no step at the center.
        side = source.random(normal.shape) * (self.left + self.right) < self.right
        scaled = np.abs(normal) * np.where(side, self.right, -self.left)
        return np.asarray(self.center + (scaled @ self.root.T) / np.sqrt(mixing)[:, None])

    def log_density(self, points: Float) -> Float:
        d = len(self.center)
        along = np.linalg.solve(self.root, (points - self.center).T)
        squared = ((along / np.where(along > 0, self.right[:, None], self.left[:, None])) ** 2).sum(axis=0)
        log_volume = float(np.log(np.diagonal(self.root) * (self.left + self.right) / 2).sum())
        parts = [
            np.log(share)
            + gammaln((df + d) / 2)
            - gammaln(df / 2)
            - d / 2 * np.log(df * np.pi)
            - (df + d) / 2 * np.log1p(squared / df)
            for share, df in self.components
        ]
        return np.asarray(np.logaddexp.reduce(parts) - log_volume)


def sample(
    density: Density,
    start: Float,
    walls: Walls,
    carried: int,
    chains: int,
    draws: int,
    seed: int,
    most_proposals: int = 1,
) -> Chains:
    """Sample `chains` x `draws` points; the result depends on the density, the seed and the sizes alone.

    A draw is where its chain stands after so many further proposals that it hardly remembers the last one, but at
    most `most_proposals`.

    A point and what is carried with it are proposed, and taken or left, together. Raises NoMode when no mode is found
    from `start` (dim,).
    """
    evaluations = 0

    def log_density(points: Float) -> Float:
        nonlocal evaluations
        evaluations += len(points)
        return _finite(density(points, np.zeros((len(points), carried)))[0])

    d = len(start)
    mode, curvature = find_mode(log_density, start, walls)
    try:
        proposal = _Proposal.symmetric(mode, np.asarray(np.linalg.inv(curvature), dtype=np.float64))
    except np.linalg.LinAlgError as error:
        raise NoMode("the curvature at the mode cannot be inverted") from error
    size = 1000 if d <= 8 else 2000
    rounds: list[tuple[Float, Float]] = []
    for number in range(MAX_ROUNDS):
        points = proposal.draw(size, stream(seed, "round", number))
        rounds.append((points, _inside(points, walls, log_density(points) - proposal.log_density(points))))
        improved = _improve(rounds)
        if improved is None:
            break
        proposal = improved
        if number + 1 >= MIN_ROUNDS and _effective_share(rounds[-1][1]) >= GOOD_SHARE:
            break
    if rounds[-1][1].max() <= NOTHING:
        raise NoMode("no proposal around the mode lies where the density is")
    proposals = _proposals_per_draw(rounds[-1][1], most_proposals)
    narrow = _walk(density, proposal, rounds[-1], walls, carried, chains, draws, seed, proposals)
    if narrow.trustworthy:
        return replace(narrow, evaluations=evaluations + chains * (draws * proposals + 1))
    wide = _walk(
        density,
        replace(proposal, components=WIDE),
        rounds[-1],
        walls,
        carried,
        chains,
        draws,
        seed,
        proposals,
    )
    return replace(wide, evaluations=evaluations + 2 * chains * (draws * proposals + 1))


def _walk(
    density: Density,
    proposal: _Proposal,
    pilot: tuple[Float, Float],
    walls: Walls,
    carried: int,
    chains: int,
    draws: int,
    seed: int,
    proposals: int,
) -> Chains:
    """Evaluate the proposals of all chains at once, then accept or reject them one after the other."""
    d, length = len(proposal.center), draws * proposals
    first = [_resample(*pilot, stream(seed, "start", number)) for number in range(chains)]
    # The first point of each chain stands before its proposals, so that it is evaluated and carried like them.
    streams = [stream(seed, "chain", number) for number in range(chains)]
    points = np.stack(
        [np.vstack([at, proposal.draw(length, source)]) for at, source in zip(first, streams, strict=True)]
    )
    noise = np.stack([source.standard_normal((length + 1, carried)) for source in streams])
    flat = points.reshape(-1, d)
    log_values, drawn = density(flat, noise.reshape(-1, carried))
    log_weights = _inside(flat, walls, _finite(log_values - proposal.log_density(flat))).reshape(chains, -1)
    coin = np.log(np.stack([source.random(length) for source in streams]))
    chosen = _accept(log_weights, coin)
    kept = chosen[:, proposals - 1 :: proposals, None]
    own = log_weights[:, 1:].ravel()
    return Chains(
        theta=np.take_along_axis(points, kept, axis=1),
        carried=np.take_along_axis(drawn.reshape(chains, length + 1, carried), kept, axis=1),
        acceptance=float(np.mean(chosen == np.arange(1, length + 1))),
        pareto_k=pareto_k(own) if len(own) >= _FEWEST_FOR_K_HAT else float("inf"),
        log_evidence=float(_log_sum_exp(own) - np.log(len(own))),
        evaluations=0,
    )


def find_mode(log_density: LogDensity, start: Float, walls: Walls) -> tuple[Float, Float]:
    """Mode (dim,) and negative Hessian (dim, dim) there, by damped Newton steps on finite differences, a batch each.

    Differences span a fraction of the density's own width, so they tell its shape rather than its rounding errors.
    Beyond a wall the density is its own mirror image, so a step that crosses one is mirrored back.
    """
    x, width = start.copy(), np.full(len(start), 1e-2)
    shape = _shape_at(log_density, x, width)
    for _ in range(_MAX_NEWTON):
        values, vectors = np.linalg.eigh(shape.curvature)
        # Directions that curve upwards are walked downhill as if they curved down as much; none is trusted too flat.
        floor = max(1e-3, 1e-10 * float(np.abs(values).max(initial=0)))
        step = vectors @ ((vectors.T @ shape.gradient) / np.maximum(np.abs(values), floor))
        longest = float(np.abs(step).max(initial=0.0))
        step *= min(1.0, 4.0 / longest) if longest > 0 else 1.0
        width = np.clip(0.3 / np.sqrt(np.maximum(np.abs(np.diagonal(shape.curvature)), 1e-2)), 1e-7, 0.3)
        # A full step is what most steps end as, so its derivatives come with the values along the way.
        stencil = _stencil(x + step, width)
        found = _finite(log_density(np.concatenate([x + _LENGTHS[:, None] * step, stencil])))
        along = found[: len(_LENGTHS)]
        best = int(np.argmax(along))
        # Near the mode nothing is to be gained from a length that is a little better than Newton's own.
        if along[_FULL] > shape.value and along[best] - along[_FULL] < _NEGLIGIBLE_GAIN:
            best = _FULL
        settled = float(shape.gradient @ step) < 1e-2 and np.all(values > floor)
        stuck = along[best] <= shape.value + 1e-9
        full = best == _FULL
        if along[best] > shape.value:
            ahead = x + _LENGTHS[best] * step
            x = _mirror(ahead, walls)
            full = full and np.array_equal(x, ahead)
        else:
            full = False
        shape = _read_stencil(found[len(_LENGTHS) :], width) if full else _shape_at(log_density, x, width)
        if settled or stuck:
            break
    value, curvature = shape.value, shape.curvature
    if value <= NOTHING or not np.all(np.isfinite(curvature)):
        raise NoMode("the log density is not finite at its mode")
    for i in np.flatnonzero((x - walls[0] < 2 * width) | (walls[1] - x < 2 * width)):
        # A mode at a wall is a corner, not a summit: no curvature there says how wide the density is.
        curvature[i, :] = curvature[:, i] = 0.0
        curvature[i, i] = _width_at_wall(log_density, x, int(i), x[i] - walls[0][i] < 2 * width[i]) ** -2
    values, vectors = np.linalg.eigh(curvature)
    return x, np.asarray(vectors @ np.diag(np.maximum(values, 1e-2)) @ vectors.T)


def _width_at_wall(log_density: LogDensity, x: Float, coordinate: int, lower: bool) -> float:
    """How far from a wall the log density has first dropped by one; farther out there may be mirror images."""
    distances = 1e-6 * 2.0 ** np.arange(25)
    points = np.tile(x, (len(distances), 1))
    points[:, coordinate] += distances if lower else -distances
    far = log_density(x[None])[0] - log_density(points) >= 1.0
    return float(distances[np.argmax(far)] if far.any() else distances[-1])


@dataclass(frozen=True, slots=True)
class _Shape:
    """A log density at a point: its value, gradient (dim,) and negative Hessian (dim, dim)."""

    value: float
    gradient: Float
    curvature: Float


def _shape_at(log_density: LogDensity, x: Float, width: Float) -> _Shape:
    return _read_stencil(_finite(log_density(_stencil(x, width))), width)


def _stencil(x: Float, width: Float) -> Float:
    """The 1 + d + d^2 points (point, dim) of central differences."""
    steps = np.diag(width)
    first, second = np.tril_indices(len(x), -1)
    both = steps[first] + steps[second]
    return np.concatenate([x[None], x + steps, x - steps, x + both, x - both])


def _read_stencil(f: Float, width: Float) -> _Shape:
    """Central differences from the values at the points of `_stencil`."""
    d = len(width)
    up, down = f[1 : d + 1], f[d + 1 : 2 * d + 1]
    hessian = np.diag((up + down - 2 * f[0]) / width**2)
    i, j = np.tril_indices(d, -1)
    plus, minus = f[2 * d + 1 :].reshape(2, -1)
    mixed = plus + minus - up[i] - down[i] - up[j] - down[j] + 2 * f[0]
    hessian[i, j] = hessian[j, i] = mixed / (2 * width[i] * width[j])
    return _Shape(float(f[0]), (up - down) / (2 * width), -hessian)


def _log_sum_exp(values: Float) -> float:
    largest = float(values.max())
    return largest + float(np.log(np.exp(values - largest).sum()))


def _proposals_per_draw(log_weights: Float, most: int) -> int:
    """Proposals after which a chain stands where it stood with a probability of at most `_MEMORY`.

    In the long run a proposal with weights w is taken with probability E[min(w, w')] / E[w], for independent w and w'.
    """
    weights = np.sort(np.exp(log_weights - log_weights.max()))[::-1]
    size = len(weights)
    taken = float(weights @ (2 * np.arange(size) + 1)) / size**2 / float(weights.mean())
    return int(np.clip(np.ceil(np.log(_MEMORY) / np.log(max(1.0 - taken, 1e-9))), 1, most))


def _effective_share(log_weights: Float) -> float:
    """Share of points that equally weighted ones would need to be to tell as much."""
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / np.sum(weights**2) / len(weights))


def _improve(rounds: list[tuple[Float, Float]]) -> _Proposal | None:
    """The t whose location and scatter are the weighted points' of all rounds; None when the weights tell too little.

    Weights are truncated (Ionides 2008), so that a single far point cannot decide the next proposal; each round
    counts by the number of points that its weights are worth.
    """
    points, weights = [], []
    for own, log_weights in rounds:
        cut = _log_sum_exp(log_weights) - 0.5 * np.log(len(log_weights))
        weight = np.exp(np.minimum(log_weights, cut) - cut)
        points.append(own)
        weights.append(weight * weight.sum() / np.sum(weight**2))
    pooled, weight = np.concatenate(points), np.concatenate(weights)
    weight /= weight.sum()
    if 1.0 / np.sum(weight**2) < 5 * pooled.shape[1]:
        return None
    return _Proposal.matching(pooled, weight)


def _resample(points: Float, log_weights: Float, source: np.random.Generator) -> Float:
    """One of the points, drawn by its weight: near enough to the posterior for a chain to begin without warm-up."""
    chance = np.exp(log_weights - _log_sum_exp(log_weights))
    return np.asarray(points[source.choice(len(points), p=chance / chance.sum())])


def _accept(log_weights: Float, coin: Float) -> NDArray[np.intp]:
    """Number of the point that each chain is at after each proposal; point 0 is where it starts.

    Metropolis: a proposal is taken with probability min(1, ratio of weights), else the last point stays.
    """
    chosen = []
    # A proposal is taken when this exceeds the weight of the point that the chain is at.
    bars = log_weights[:, 1:] - coin
    for start, bar, weights in zip(
        log_weights[:, 0], bars.tolist(), log_weights[:, 1:].tolist(), strict=True
    ):
        at, weight, path = 0, float(start), []
        for number, (high, own) in enumerate(zip(bar, weights, strict=True), start=1):
            if high > weight:
                at, weight = number, own
            path.append(at)
        chosen.append(path)
    return np.array(chosen, dtype=np.intp).reshape(coin.shape)


def _inside(points: Float, walls: Walls, log_weights: Float) -> Float:
    """Weights of points beyond a wall become zero."""
    return np.where(np.all((points > walls[0]) & (points < walls[1]), axis=1), log_weights, NOTHING)


def _mirror(x: Float, walls: Walls) -> Float:
    """The point between the walls that x is the image of."""
    lower, upper = (np.where(np.isfinite(wall), wall, 0.0) for wall in walls)
    below, above = np.isfinite(walls[0]), np.isfinite(walls[1])
    width = np.where(below & above, upper - lower, 1.0)
    both = lower + width - np.abs(width - np.mod(np.abs(x - lower), 2 * width))
    only_below, only_above = lower + np.abs(x - lower), upper - np.abs(upper - x)
    return np.select([below & above, below, above], [both, only_below, only_above], x)


def _finite(values: Float) -> Float:
    """A density that cannot be computed is none."""
    return np.where(np.isfinite(values), values, NOTHING)


def _root(covariance: Float) -> Float:
    symmetric = (covariance + covariance.T) / 2
    scale = np.sqrt(np.maximum(np.diagonal(symmetric), 1e-300))
    correlation = symmetric / np.outer(scale, scale)
    return np.asarray(scale[:, None] * np.linalg.cholesky(correlation + 1e-10 * np.eye(len(scale))))

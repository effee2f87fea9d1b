"""An independence sampler for a vectorized log density of a few dimensions: all proposals are evaluated in one batch.

The proposal is found around the mode and improved by rounds of importance weighting; whether it is good enough is
judged by its weights (Pareto k-hat, effective share) and the acceptance rate, and the chains are judged as any others.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float
from model.results.diagnostics import PARETO_K_LIMIT, pareto_k
from model.streams import stream
from worker.samplers.mode import NOTHING, NoMode, Walls, find_mode, finite
from worker.samplers.proposal import WIDE, Proposal

Density = Callable[[Float, Float], tuple[Float, Float]]
"""Log density (vector,) at points (vector, dim), -inf or NaN where there is none; and what is drawn (drawn, vector),
or found out, exactly given each point, from standard normal noise (vector, carried)."""
MIN_ROUNDS, MAX_ROUNDS = 2, 6
GOOD_SHARE = 0.2
"""Effective share of a round's points from which the proposal is good enough."""
MIN_ACCEPTANCE = 0.1
MIN_SHARE = 0.1
"""Of all proposals of a walk: with less a few weights outdo all others, as where a second mode was hardly met."""
_MEMORY = 0.3
"""How likely a draw may be to stand where the last one stood."""
_FEWEST_FOR_K_HAT = 25


@dataclass(frozen=True, slots=True)
class Chains:
    """What the sampler gives; `theta` (chain, draw, dim) and what was drawn with it, `drawn` (drawn, chain, draw)."""

    theta: Float
    drawn: Float
    acceptance: float
    pareto_k: float
    effective_share: float
    """Share of the proposals that equally weighted ones would need to be to tell as much."""
    log_evidence: float
    """Log of the integral of the density, by importance sampling."""
    evaluations: int
    proposal: Proposal
    """What was proposed in the end."""

    @property
    def trustworthy(self) -> bool:
        """The sampler's judgment of itself."""
        return bool(
            self.pareto_k <= PARETO_K_LIMIT
            and self.acceptance >= MIN_ACCEPTANCE
            and self.effective_share >= MIN_SHARE
        )


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
        return finite(density(points, np.zeros((len(points), carried)))[0])

    d = len(start)
    mode, curvature = find_mode(log_density, start, walls)
    try:
        proposal = Proposal.symmetric(mode, np.asarray(np.linalg.inv(curvature), dtype=np.float64))
    except np.linalg.LinAlgError as error:
        raise NoMode("the curvature at the mode cannot be inverted") from error
    size = 1000 if d <= 8 else 2000
    rounds: list[tuple[Float, Float]] = []
    for number in range(MAX_ROUNDS):
        drawn, log_proposal = proposal.draw(size, stream(seed, "round", number))
        points = drawn[:, 0].T
        rounds.append((points, _inside(points, walls, log_density(points) - log_proposal[0])))
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
    proposal: Proposal,
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
    streams = [stream(seed, "chain", number) for number in range(chains)]
    first = np.stack([_resample(*pilot, stream(seed, "start", number)) for number in range(chains)])
    # The first point of each chain stands before its proposals, so that it is evaluated and carried like them.
    points, log_proposal = np.empty((d, chains, length + 1)), np.empty((chains, length + 1))
    points[:, :, 0], log_proposal[:, 0] = first.T, proposal.log_density(first)
    points[:, :, 1:], log_proposal[:, 1:] = proposal.draw(length, *streams)
    noise = np.stack([source.standard_normal((carried, length + 1)) for source in streams], axis=1)
    flat = points.reshape(d, -1).T
    log_values, drawn = density(flat, noise.reshape(carried, -1).T)
    log_weights = _inside(flat, walls, finite(log_values - log_proposal.ravel())).reshape(chains, -1)
    coin = np.log(np.stack([source.random(length) for source in streams]))
    chosen = _accept(log_weights, coin)
    kept = (chosen[:, proposals - 1 :: proposals] + (length + 1) * np.arange(chains)[:, None]).ravel()
    own = log_weights[:, 1:].ravel()
    return Chains(
        theta=flat[kept].reshape(chains, draws, d),
        drawn=drawn[:, kept].reshape(-1, chains, draws),
        acceptance=float(np.mean(chosen == np.arange(1, length + 1))),
        pareto_k=pareto_k(own) if len(own) >= _FEWEST_FOR_K_HAT else float("inf"),
        effective_share=_effective_share(own),
        log_evidence=float(_log_sum_exp(own) - np.log(len(own))),
        evaluations=0,
        proposal=proposal,
    )


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


def _improve(rounds: list[tuple[Float, Float]]) -> Proposal | None:
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
    return Proposal.matching(pooled, weight)


def _resample(points: Float, log_weights: Float, source: np.random.Generator) -> Float:
    """One of the points, drawn by its weight: near enough to the posterior for a chain to begin without warm-up."""
    chance = np.cumsum(np.exp(log_weights - log_weights.max()))
    return np.asarray(points[np.searchsorted(chance, source.random() * chance[-1], side="right")])


def _accept(log_weights: Float, coin: Float) -> NDArray[np.intp]:
    """Number of the point that each chain is at after each proposal; point 0 is where it starts.

    Metropolis: a proposal is taken with probability min(1, ratio of weights), else the last point stays.
    """
    count, length = coin.shape
    # A proposal is taken when this exceeds the weight of the point that the chain is at.
    bars = log_weights[:, 1:] - coin
    path = np.tile(np.arange(1, length + 1), (count, 1))
    # Most proposals are taken, so only where one is not, given that the last one was, a chain is followed by itself.
    halts = bars <= log_weights[:, :-1]
    for own, bar, weights, halt in zip(path, bars.tolist(), log_weights.tolist(), halts, strict=True):
        moved = 0
        for number in np.flatnonzero(halt).tolist():
            if number < moved:
                continue
            weight, moved = weights[number], number + 1
            while moved < length and bar[moved] <= weight:
                moved += 1
            own[number:moved] = number
            moved += 1
    return path


def _inside(points: Float, walls: Walls, log_weights: Float) -> Float:
    """Weights of points beyond a wall become zero."""
    return np.where(np.all((points > walls[0]) & (points < walls[1]), axis=1), log_weights, NOTHING)


def _log_sum_exp(values: Float) -> float:
    largest = float(values.max())
    return largest + float(np.log(np.exp(values - largest).sum()))

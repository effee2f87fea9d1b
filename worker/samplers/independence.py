"""An independence sampler for a vectorized log density of a few dimensions: all proposals are evaluated in one batch.

The proposal is found around the mode and improved by rounds of importance weighting, and where one location and scatter
are not enough it becomes a mixture; whether it is good enough is judged by its weights (Pareto k-hat, effective share)
and the acceptance rate, and the chains are judged as any others. Weights do not tell of what is never proposed, so the
density is also looked at far and wide, and other modes of it are climbed.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float
from model.results.diagnostics import PARETO_K_LIMIT, pareto_k
from model.streams import stream
from worker.samplers.mixture import Mixture, fit_mixture
from worker.samplers.mode import AHEAD, FAR_AHEAD, NOTHING, NoMode, Walls, find_mode, finite
from worker.samplers.modes import Elsewhere, LogDensity, Several, around_mode, overlooked
from worker.samplers.proposal import WIDE, Proposal

Awaited = Callable[[], tuple[Float, Float]]
"""What a density gives: until it is asked for, something else can be done."""
Density = Callable[[Float, Float], Awaited]
"""Log density (vector,) at points (vector, dim), -inf or NaN where there is none; and what is drawn (drawn, vector),
or found out, exactly given each point, from standard normal noise (vector, carried)."""
Round = tuple[Float, Float]
"""Points (point, dim) and the logarithms of their weights (point,)."""
MIN_ROUNDS, MAX_ROUNDS = 2, 6
GOOD_SHARE = 0.2
"""Effective share of a round's points from which the proposal is good enough."""
MIXED_SHARE, SATISFYING = 0.5, 0.6
"""Effective share below which a mixture is tried in place of a single proposal, and at which it is good enough."""
MAX_MIXTURES, MAX_WALKS = 4, 4
MIN_ACCEPTANCE = 0.1
MIN_SHARE = 0.2
"""Of all proposals of a walk: with less a few weights outdo all others, as where a second mode was hardly met."""
_MEMORY = 0.3
"""How likely a draw may be to stand where the last one stood."""
_FEWEST_FOR_K_HAT = 25
_STARTS = 3
"""Points of a net that the search for a mode is begun at, where it finds none from its own start."""


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
    proposal: Proposal | Mixture | Several
    """What was proposed in the end."""
    minor_modes: float = 0.0
    """Share of the draws that belong to other modes than the one with most of them."""

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
    elsewhere: Elsewhere | None = None,
) -> Chains:
    """Sample `chains` x `draws` points; the result depends on the density, the seed and the sizes alone.

    A draw is where its chain stands after so many further proposals that it hardly remembers the last one, but at
    most `most_proposals`.

    A point and what is carried with it are proposed, and taken or left, together. The mode is looked for from `start`
    (dim,), and others are looked for `elsewhere`. Raises NoMode when none is found.
    """
    evaluations = 0

    def log_density(points: Float) -> Callable[[], Float]:
        nonlocal evaluations
        evaluations += len(points)
        awaited = density(points, np.zeros((len(points), carried)))
        return lambda: finite(awaited()[0])

    # A density worth several proposals a draw costs little beside a call.
    ahead = FAR_AHEAD if most_proposals > 1 else AHEAD
    found = _adapt(log_density, start, walls, seed, ahead, elsewhere or Elsewhere.nowhere(len(start)))
    single, chosen, rounds = found.single, found.chosen, found.rounds
    proposals = _proposals_per_draw(rounds[-1][1], most_proposals)
    for attempt in range(MAX_WALKS):
        size = chains, draws
        walked, weighted = _walk(density, chosen, rounds[-1], walls, carried, size, proposals, seed, attempt)
        evaluations += chains * (draws * proposals + 1)
        if walked.trustworthy:
            break
        # What held the chains up was met on the way: now it has its share in what is proposed.
        rounds.append(weighted)
        mixture = fit_mixture(single, *_pooled(rounds), stream(seed, "mixture", len(rounds)))
        if mixture is None and attempt > 0:
            break
        if mixture is not None or not found.modes:
            chosen = mixture or replace(single, components=WIDE)
    return replace(walked, evaluations=evaluations, minor_modes=_minor_modes(found.modes, walked.theta))


@dataclass(frozen=True, slots=True)
class _Found:
    """What to propose: the best single proposal, what is better than that if it is bad, all rounds that it was learnt
    from, and the modes that were climbed."""

    single: Proposal
    chosen: Proposal | Mixture | Several
    rounds: list[Round]
    modes: tuple[Proposal, ...]


class _Pilot:
    """Rounds of proposals, from each of which the next one learns."""

    def __init__(self, log_density: LogDensity, walls: Walls, seed: int, net: Float) -> None:
        self.log_density, self.walls, self.seed, self.net = log_density, walls, seed, net
        self.full = 1000 if net.shape[1] <= 8 else 2000
        self.rounds: list[Round] = []
        self.on_net = np.zeros(0)
        """Log density at the points of the net, once the first round is over."""
        self._number = 0

    def share_of(self, proposal: Proposal | Mixture | Several) -> float:
        """Evaluate a round of what is proposed; its effective share."""
        # Around the mode half as many find out what the next round should be of; a mixture has more to learn.
        single = isinstance(proposal, Proposal)
        size = self.full // 2 if not self._number else self.full if single else 2 * self.full
        drawn, log_proposal = proposal.draw(size, [stream(self.seed, "round", self._number)])
        points = drawn[0].T
        # Asked with the first round: a call of its own would take as long as that.
        awaited = self.log_density(points if self._number else np.concatenate([points, self.net]))
        minus_log_proposal, values = -log_proposal()[0], awaited()
        if not self._number:
            self.on_net, values = values[size:], values[:size]
        self.rounds.append((points, _inside(points, self.walls, minus_log_proposal + values)))
        self._number += 1
        return _effective_share(self.rounds[-1][1])

    def forget(self) -> None:
        """Learn nothing more of the rounds so far."""
        self.rounds.clear()

    @property
    def log_evidence(self) -> float:
        """Log of the integral of the density, as the last round saw it."""
        log_weights = self.rounds[-1][1]
        return _log_sum_exp(log_weights) - float(np.log(len(log_weights)))

    def mixture(self, single: Proposal) -> Mixture | None:
        """The mixture that all rounds suggest."""
        source = stream(self.seed, "mixture", self._number)
        return fit_mixture(single, *_pooled(self.rounds), source)


def _adapt(
    log_density: LogDensity,
    start: Float,
    walls: Walls,
    seed: int,
    ahead: tuple[float, ...],
    elsewhere: Elsewhere,
) -> _Found:
    """Find what to propose, and other modes where there are any."""
    pilot = _Pilot(log_density, walls, seed, elsewhere.net)
    first = _first_mode(log_density, start, walls, ahead, elsewhere.net)
    single, share = _improved(pilot, first)
    if pilot.rounds[-1][1].max() <= NOTHING:
        raise NoMode("no proposal around the mode lies where the density is")
    chosen = _mixed(pilot, single, single, share)
    others = overlooked(log_density, elsewhere, pilot.on_net, single, chosen, pilot.log_evidence, walls)
    if not others:
        return _Found(single, chosen, pilot.rounds, ())
    modes = single, *(mode.proposal for mode in others)
    several = Several.of(modes, np.array([pilot.log_evidence, *(mode.log_mass for mode in others)]))
    pilot.forget()
    share = pilot.share_of(several)
    single = _improve(pilot.rounds) or single
    return _Found(single, _mixed(pilot, single, several, share), pilot.rounds, modes)


def _first_mode(
    log_density: LogDensity, start: Float, walls: Walls, ahead: tuple[float, ...], net: Float
) -> Proposal:
    """What to propose around the mode that is found from `start`, or else from the best points of a net."""

    def found(at: Float) -> Proposal:
        return around_mode(*find_mode(lambda points: log_density(points)(), at, walls, ahead))

    try:
        return found(start)
    except NoMode:
        for point in net[np.argsort(-log_density(net)())[:_STARTS]] if len(net) else ():
            with suppress(NoMode):
                return found(point)
        raise


def _improved(pilot: _Pilot, single: Proposal) -> tuple[Proposal, float]:
    """The single proposal that the rounds lead to, and the effective share of the last of them."""
    share = 0.0
    for number in range(MAX_ROUNDS):
        share = pilot.share_of(single)
        improved = _improve(pilot.rounds)
        if improved is None:
            break
        single = improved
        if number + 1 >= MIN_ROUNDS and share >= GOOD_SHARE:
            break
    return single, share


def _mixed(
    pilot: _Pilot, single: Proposal, chosen: Proposal | Several, share: float
) -> Proposal | Mixture | Several:
    """What is proposed in the end: what was chosen, whose effective share is given, or a mixture that is better."""
    best: Proposal | Mixture | Several = chosen
    for _ in range(MAX_MIXTURES):
        if share >= (MIXED_SHARE if best is single else SATISFYING):
            break
        mixture = pilot.mixture(single)
        if mixture is None:
            break
        before, share = share, pilot.share_of(mixture)
        if share < before:
            break
        best = mixture
    return best


def _minor_modes(modes: Sequence[Proposal], theta: Float) -> float:
    """Share of points (chain, draw, dim) that belong to other modes than the one with most of them."""
    if not modes:
        return 0.0
    points = theta.reshape(-1, theta.shape[-1])
    nearest = np.argmax([mode.log_density(points) for mode in modes], axis=0)
    return float(1.0 - np.bincount(nearest).max() / len(nearest))


def _walk(
    density: Density,
    proposal: Proposal | Mixture | Several,
    pilot: Round,
    walls: Walls,
    carried: int,
    size: tuple[int, int],
    proposals: int,
    seed: int,
    attempt: int,
) -> tuple[Chains, Round]:
    """Evaluate the proposals of all chains at once, then accept or reject them one after the other.

    `size` are chains and draws. Each attempt has random numbers of its own, as what is proposed may have learnt from
    those before. Gives, beside the chains, all that was proposed as a round.
    """
    chains, draws = size
    d, length = len(pilot[0][0]), draws * proposals
    sources = [stream(seed, "chain", number) for number in range(chains * attempt, chains * (attempt + 1))]
    first = _resample(*pilot, sources)
    proposed, log_proposal_of = proposal.draw(length, sources)
    # The first point of each chain stands before its proposals, so that it is evaluated and carried like them.
    points, log_proposal = np.empty((d, chains, length + 1)), np.empty((chains, length + 1))
    points[:, :, 0], points[:, :, 1:] = first.T, np.swapaxes(proposed, 0, 1)
    flat = points.reshape(d, -1).T
    noise = np.stack([source.standard_normal((carried, length + 1)) for source in sources], axis=1)
    awaited = density(flat, noise.reshape(carried, len(flat)).T)
    log_proposal[:, 0] = proposal.log_density(first)
    log_proposal[:, 1:] = log_proposal_of()
    coin = np.log(np.stack([source.random(length) for source in sources]))
    log_values, drawn = awaited()
    log_weights = _inside(flat, walls, finite(log_values - log_proposal.ravel())).reshape(chains, -1)
    chosen = _accept(log_weights, coin)
    kept = (chosen[:, proposals - 1 :: proposals] + (length + 1) * np.arange(chains)[:, None]).ravel()
    own = log_weights[:, 1:].ravel()
    walked = Chains(
        theta=flat[kept].reshape(chains, draws, d),
        drawn=drawn[:, kept].reshape(-1, chains, draws),
        acceptance=float(np.mean(chosen == np.arange(1, length + 1))),
        pareto_k=pareto_k(own) if len(own) >= _FEWEST_FOR_K_HAT else float("inf"),
        effective_share=_effective_share(own),
        log_evidence=float(_log_sum_exp(own) - np.log(len(own))),
        evaluations=0,
        proposal=proposal,
    )
    return walked, (points[:, :, 1:].reshape(d, -1).T, own)


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


def _improve(rounds: list[Round]) -> Proposal | None:
    """The t whose location and scatter are the weighted points' of all rounds; None when the weights tell too little.

    Weights are truncated (Ionides 2008), so that a single far point cannot decide the next proposal; each round
    counts by the number of points that its weights are worth.
    """
    pooled, weight = _pooled(rounds)
    if 1.0 / np.sum(weight**2) < 5 * pooled.shape[1]:
        return None
    return Proposal.matching(pooled, weight)


def _pooled(rounds: list[Round]) -> tuple[Float, Float]:
    """Points (point, dim) of all rounds and their weights (point,), which sum to one."""
    points, weights = [], []
    for own, log_weights in rounds:
        cut = _log_sum_exp(log_weights) - 0.5 * np.log(len(log_weights))
        weight = np.exp(np.minimum(log_weights, cut) - cut)
        points.append(own)
        weights.append(weight * weight.sum() / np.sum(weight**2))
    pooled, weight = np.concatenate(points), np.concatenate(weights)
    return pooled, weight / weight.sum()


def _resample(points: Float, log_weights: Float, sources: Sequence[np.random.Generator]) -> Float:
    """One point for each source, drawn by weight: near enough to the posterior for chains to begin without warm-up."""
    chance = np.cumsum(np.exp(log_weights - log_weights.max()))
    drawn = np.array([source.random() for source in sources]) * chance[-1]
    return np.asarray(points[np.searchsorted(chance, drawn, side="right")])


def _accept(log_weights: Float, coin: Float) -> NDArray[np.intp]:
    """Number of the point that each chain is at after each proposal; point 0 is where it starts.

    Metropolis: a proposal is taken with probability min(1, ratio of weights), else the last point stays.
    """
    count, length = coin.shape
    # A proposal is taken when this exceeds the weight of the point that the chain is at.
    bars = log_weights[:, 1:] - coin
    taken = np.ones((count, length), dtype=bool)
    # Most proposals are taken, so only where one is not, given that the last one was, a chain is followed by itself.
    halts = bars <= log_weights[:, :-1]
    for own, bars_of, weights_of, halt in zip(taken, bars, log_weights, halts, strict=True):
        # Single numbers are read from memory several times faster than from an array.
        bar, weights = memoryview(bars_of), memoryview(weights_of)
        left, moved = list[int](), 0
        for number in np.flatnonzero(halt).tolist():
            if number < moved:
                continue
            weight, moved = weights[number], number
            while moved < length and bar[moved] <= weight:
                left.append(moved)
                moved += 1
            moved += 1
        own[left] = False
    return np.maximum.accumulate(np.where(taken, np.arange(1, length + 1), 0), axis=1)


def _inside(points: Float, walls: Walls, log_weights: Float) -> Float:
    """Weights of points beyond a wall become zero."""
    return np.where(np.all((points > walls[0]) & (points < walls[1]), axis=1), log_weights, NOTHING)


def _log_sum_exp(values: Float) -> float:
    largest = float(values.max())
    return largest + float(np.log(np.exp(values - largest).sum()))

"""Rank-normalized split r_hat and effective sample sizes of many quantities in one pass (Vehtari et al. 2021).

They are the estimators of `arviz_stats`, which the tests hold them against, without its price of a millisecond or two
for each quantity: ranks are sorted together, and autocovariances are computed only up to the lags that count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri

from model.frame.design import Float

Order = NDArray[np.intp]
"""Places (quantity, draw), smallest draw of each quantity first, in the flat array of all quantities' draws."""
FEWEST_DRAWS = 4
"""Of a chain; with fewer there is nothing to compare."""
TAIL = 0.05
"""The tail ESS is the smaller of those of this quantile and its counterpart."""
_PAIRS = (3, 7, 15)
"""Pairs of lags that are computed one by one: at first, and of the series that need more than those."""


@dataclass(frozen=True, slots=True)
class Convergence:
    """Figures of each quantity, (quantity,); NaN where one has no definition."""

    r_hat: Float
    ess_mean: Float
    ess_bulk: Float
    ess_tail: Float


def convergence(draws: Float, in_order: Float, order: Order) -> Convergence:
    """Judge draws (quantity, chain, draw) of at least four draws a chain; `in_order` (quantity, chain x draw) has the
    draws of each quantity sorted, `order` their places before (see `ascending`).

    r_hat is the larger of the bulk's and of the folded draws'; with one chain it compares the chain's halves.
    """
    low, high = (sorted_quantile(in_order, p)[:, None, None] for p in (TAIL, 1 - TAIL))
    halves = _split(draws)
    if halves.size < draws.size:
        in_order, order = ascending(_rows(halves))
    bulk = _normal_scores(in_order, order).reshape(halves.shape)
    size = in_order.shape[1]
    middle = (in_order[:, (size - 1) // 2] + in_order[:, size // 2]) / 2
    distance = np.abs(in_order - middle[:, None])
    nearest, places = ascending(distance)
    folded = _normal_scores(nearest, np.take(order, places)).reshape(halves.shape)
    series = np.concatenate([halves, bulk, halves <= low, halves <= high])
    mean, ranked, lower, upper = effective_sizes(series).reshape(4, -1)
    return Convergence(np.fmax(_r_hat(bulk), _r_hat(folded)), mean, ranked, np.minimum(lower, upper))


def effective_sizes(series: Float) -> Float:
    """Effective sample size (series,) of the mean of series (series, chain, draw), by Geyer's initial monotone
    sequence over all chains.

    A constant series is worth all its draws.
    """
    count, chains, length = series.shape
    size = chains * length
    means = series.mean(axis=2)
    # Geyer sums autocorrelations two by two: (0, 1), (2, 3), ..., until such a pair is no longer positive.
    last = max(0, -(-(length - 2) // 2) - 1)
    few = [min(last, pairs) for pairs in _PAIRS]
    # With as many zeros after each chain as there are lags, all chains are multiplied by themselves at once.
    padded = np.zeros((count, chains, length + 2 * few[-1] + 2))
    centered = np.subtract(series, means[:, :, None], out=padded[:, :, :length])
    joined = padded.reshape(count, -1)
    variance = np.vecdot(joined, joined) / size
    between = means.var(axis=1, ddof=1) if chains > 1 else np.zeros(count)
    within = variance * length / (length - 1.0)
    total = variance + between
    resolution = np.finfo(np.float64).resolution
    still = variance < resolution
    still[still] = np.ptp(series[still].reshape(-1, size), axis=1) < resolution
    tau = np.empty(count)
    todo = np.arange(count)
    lags = np.empty((count, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        for wanted in (*few, last):
            some = slice(None) if len(todo) == count else todo
            if wanted <= few[-1]:
                further = range(lags.shape[1], 2 * wanted + 2)
                lags = np.concatenate([lags, _covariances_at(further, joined[some]) / size], axis=1)
            else:
                lags = _covariances(centered[some])[:, : 2 * wanted + 2]
            rho = 1.0 - (within[todo, None] - lags) / total[todo, None]
            rho[:, 0] = 1.0
            pairs = rho[:, ::2] + rho[:, 1::2]
            ended = ~(pairs > 0)
            stop = np.where(ended.any(axis=1), ended.argmax(axis=1), wanted)
            before = np.arange(pairs.shape[1]) < stop[:, None]
            monotone = np.minimum.accumulate(pairs, axis=1)
            next_even = np.take_along_axis(rho, 2 * stop[:, None], axis=1)[:, 0]
            tau[todo] = -1.0 + 2.0 * np.where(before, monotone, 0.0).sum(axis=1) + np.fmax(next_even, 0.0)
            open_ = ~ended.any(axis=1)
            todo, lags = todo[open_], lags[open_]
            if wanted == last or not len(todo):
                break
        sizes = size / np.maximum(tau, 1.0 / np.log10(size))
    return np.where(still, float(size), np.where(total > 0, sizes, np.nan))


def ascending(values: Float) -> tuple[Float, Order]:
    """Each row's values (row, value), smallest first, and their places.

    A place is written into the last bits of its value, so that whole numbers are sorted by themselves, which takes less
    than half of the time that NumPy takes for places; the few that then stand wrong change theirs.
    """
    count, size = values.shape
    last = (1 << (size - 1).bit_length()) - 1
    keys = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    # As whole numbers, negative floats are in falling order.
    keys = keys ^ ((keys >> 63) & np.iinfo(np.int64).max)
    keys &= ~last
    keys |= np.arange(size)
    keys.sort(axis=1)
    keys &= last
    # To take values by places in the flat array is several times faster than along an axis.
    keys += size * np.arange(count)[:, None]
    in_order = np.take(values, keys)
    wrong = np.flatnonzero((in_order[:, 1:] < in_order[:, :-1]).any(axis=1))
    if len(wrong):
        keys[wrong] = np.argsort(values[wrong], axis=1) + size * wrong[:, None]
        in_order[wrong] = np.take(values, keys[wrong])
    return in_order, keys


def sorted_quantile(in_order: Float, probability: float) -> Float:
    """Quantile (row,) of sorted rows (row, value), interpolated as NumPy does by default."""
    at = (in_order.shape[1] - 1) * probability
    below = int(at)
    above = min(below + 1, in_order.shape[1] - 1)
    low, high = in_order[:, below], in_order[:, above]
    return np.asarray(low + (at - below) * (high - low))


def _r_hat(scores: Float) -> Float:
    """Split r_hat of normal scores (quantity, chain, draw); they lie so near zero that squares tell variances."""
    length = scores.shape[2]
    means = scores.mean(axis=2)
    within = (np.vecdot(scores, scores) - length * means**2).mean(axis=1) / (length - 1)
    between = means.var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt((length - 1.0) / length + between / within))


def _split(draws: Float) -> Float:
    """Each chain's halves as chains of their own; the draw in the middle of an odd number is left out."""
    count, chains, length = draws.shape
    half = length // 2
    even = draws if length % 2 == 0 else np.delete(draws, half, axis=2)
    return even.reshape(count, 2 * chains, half)


def _rows(draws: Float) -> Float:
    return draws.reshape(len(draws), -1)


def _normal_scores(in_order: Float, order: Order) -> Float:
    """Normal quantiles (quantity, draw) of the ranks of draws that are given sorted, with their places before; equal
    draws share the mean of their ranks."""
    count, size = in_order.shape
    by_rank = _scores(size)
    ranked = np.tile(by_rank[::2], count)
    # Equal draws are few, if there are any, so only the places where they lie are looked at.
    flat = in_order.reshape(-1)
    equal = flat[1:] == flat[:-1]
    equal[size - 1 :: size] = False
    places = np.flatnonzero(equal)
    if len(places):
        apart = np.diff(places) > 1
        begins, ends = np.append(True, apart), np.append(apart, True)
        first, last = places[begins], places[ends] + 1
        shared = by_rank[first % size + last % size]
        ranked[last], ranked[places] = shared, shared[np.cumsum(begins) - 1]
    scores = np.empty_like(in_order)
    scores.reshape(-1)[order.reshape(-1)] = ranked
    return scores


@lru_cache(maxsize=8)
def _scores(size: int) -> Float:
    """Normal quantile of each rank among `size` draws, by twice the rank from 0 (Blom's offset of 3/8)."""
    rank = np.arange(2 * size - 1) / 2 + 1
    scores: Float = ndtri((rank - 0.375) / (size + 0.25))
    scores.setflags(write=False)
    return scores


def _covariances_at(lags: Sequence[int], joined: Float) -> Float:
    """Sums of products (series, lag) of chains with as many zeros between them as the largest lag."""
    length = joined.shape[1]
    sums = [np.vecdot(joined[:, : length - lag], joined[:, lag:]) for lag in lags]
    return np.stack(sums, axis=1) if sums else np.empty((len(joined), 0))


def _covariances(centered: Float) -> Float:
    """Autocovariances at all lags, the means over chains, (series, lag)."""
    chains, length = centered.shape[1:]
    padded = next_fast_len(2 * length, real=True)
    spectrum = rfft(centered, n=padded, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
    return np.asarray(irfft(power, n=padded, axis=1)[:, :length] / (chains * length))

"""Rank histograms: flat where chains agree, and a chain that stands apart is seen."""

import numpy as np

from model.results.ranks import BINS, rank_histogram


def test_every_draw_is_counted_once_and_every_bin_is_as_full_as_any_other() -> None:
    draws = np.random.default_rng(1).normal(size=(4, 1000))
    counts = rank_histogram(draws)
    assert counts.shape == (4, BINS)
    np.testing.assert_array_equal(counts.sum(axis=1), 1000)
    np.testing.assert_array_equal(counts.sum(axis=0), 4 * 1000 / BINS)


def test_a_chain_that_stands_apart_has_all_ranks_at_one_end() -> None:
    draws = np.random.default_rng(2).normal(size=(4, 500))
    draws[2] += 100
    counts = rank_histogram(draws)
    assert counts[2, : 3 * BINS // 4].sum() == 0
    assert counts[2, 3 * BINS // 4 :].sum() == 500


def test_ranks_do_not_depend_on_the_scale() -> None:
    draws = np.random.default_rng(3).normal(size=(2, 200))
    np.testing.assert_array_equal(rank_histogram(np.exp(3 * draws)), rank_histogram(draws))


def test_few_draws_have_few_bins_and_equal_draws_one_place() -> None:
    assert rank_histogram(np.arange(12.0).reshape(2, 6)).shape == (2, 1)
    counts = rank_histogram(np.ones((2, 40)))
    assert counts.shape == (2, 8)
    assert np.count_nonzero(counts) == 2

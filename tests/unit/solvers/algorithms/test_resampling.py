"""Weighted populations: effective size, bounded weights, and resampling that keeps what the weights say."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qiosk.solvers.algorithms.resampling import flattened, normalized, replacements, spread, systematic_counts

log_weights = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6))
draws = st.floats(0.0, 1.0, exclude_max=True)


def test_spread_is_one_for_equal_weights_and_the_size_for_a_single_one():
    assert spread(np.full(7, -3.0)) == pytest.approx(1.0)
    assert spread(np.array([0.0, -1e6, -1e6, -1e6])) == pytest.approx(4.0)
    assert spread(np.log(np.array([3.0, 1.0]))) == pytest.approx(2 * 10 / 16)


@given(weights=log_weights)
def test_normalized_weights_add_up_to_one(weights):
    found, total = normalized(weights)
    assert np.exp(found).sum() == pytest.approx(1.0)
    npt.assert_allclose(found + total, weights, rtol=1e-9, atol=1e-6)


@given(weights=log_weights, limit=st.floats(1.01, 10.0))
def test_flattened_weights_spread_no_more_than_allowed_and_keep_their_order(weights, limit):
    found = flattened(weights, limit)
    assert spread(found) <= limit
    assert np.all(np.diff(found[np.argsort(weights, kind="stable")]) >= 0)
    if spread(weights) <= limit:
        npt.assert_array_equal(found, weights)


def test_weights_are_flattened_no_more_than_needed():
    weights = np.random.default_rng(1).normal(size=200) * 50.0
    assert 1.98 <= spread(flattened(weights, 2.0)) <= 2.0


@given(weights=log_weights, draw=draws)
def test_systematic_counts_are_expected_counts_rounded_down_or_up(weights, draw):
    counts = systematic_counts(weights, draw)
    expected = np.exp(normalized(weights)[0]) * len(weights)
    assert counts.sum() == len(weights)
    assert np.all(np.abs(counts - expected) < 1.0 + 1e-6)


def test_counts_are_right_on_average():
    weights = np.log(np.random.default_rng(2).random(9))
    found = np.mean([systematic_counts(weights, draw) for draw in (np.arange(5000) + 0.5) / 5000], axis=0)
    npt.assert_allclose(found, 9 * np.exp(normalized(weights)[0]), atol=1e-3)


@given(weights=log_weights, draw=draws, lanes=st.integers(1, 10))
def test_replacements_lead_to_the_counts_and_leave_survivors_in_place(weights, draw, lanes):
    counts = systematic_counts(weights, draw)
    to, source = replacements(counts, lanes)
    population = np.arange(len(counts))
    population[to] = source
    npt.assert_array_equal(np.bincount(population, minlength=len(counts)), counts)
    assert not set(to.tolist()) & set(source.tolist())
    pairs = {(int(t) // lanes, int(s) // lanes) for t, s in zip(to, source, strict=True)}
    assert len(pairs) <= 3 * -(-len(counts) // lanes)

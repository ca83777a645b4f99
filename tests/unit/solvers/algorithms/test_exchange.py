"""Exchanges on tempering ladders."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from qiosk.kernels.search.exchange import exchanges
from qiosk.solvers.search.counter import stream_state, uniforms


def exchanged(ladder, costs, lane_at, first, stream):
    lane_at, accepted = lane_at.copy(), np.zeros(len(ladder) - 1)
    with np.errstate(over="ignore"):
        exchanges()(ladder, costs, lane_at, first, stream_state(stream), accepted)
    return lane_at, accepted


@pytest.mark.parametrize("rungs", [1, 2, 5, 32])
@pytest.mark.parametrize("first", [0, 1])
def test_neighbours_change_places_by_the_metropolis_rule(rungs, first):
    rng = np.random.default_rng([rungs, first])
    ladders = 7
    ladder, costs = np.sort(rng.random(rungs)), rng.normal(size=ladders * rungs + 3)
    lane_at = rng.permutation(len(costs))[: ladders * rungs].reshape(ladders, rungs)
    stream = (-3, 2**70, 5)
    found, accepted = exchanged(ladder, costs, lane_at, first, stream)
    low = np.arange(first, rungs - 1, 2)
    draws = uniforms(stream, (ladders, len(low)))
    expected, swaps = lane_at.copy(), np.zeros(max(rungs - 1, 0))
    for w in range(ladders):
        for place, k in enumerate(low):
            hotter, colder = lane_at[w, k], lane_at[w, k + 1]
            if np.log(draws[w, place]) < (ladder[k + 1] - ladder[k]) * (costs[colder] - costs[hotter]):
                expected[w, k], expected[w, k + 1] = colder, hotter
                swaps[k] += 1
    npt.assert_array_equal(found, expected)
    npt.assert_array_equal(accepted, swaps)


def test_a_better_configuration_always_goes_to_the_cold():
    ladder, costs = np.array([0.1, 1.0]), np.array([-5.0, 5.0])
    found, accepted = exchanged(ladder, costs, np.array([[0, 1]]), 0, (1,))
    npt.assert_array_equal(found, [[1, 0]])
    npt.assert_array_equal(accepted, [1.0])


def test_streams_are_hashed_as_they_always_were():
    npt.assert_array_equal(uniforms((1, -2, 3), (2,)), [0.6243830848311811, 0.32265975449826817])
    assert len({int(stream_state(s)[0]) for s in [(), (0,), (0, 0), (1,), (1, 0), (0, 1), (-1,)]}) == 7

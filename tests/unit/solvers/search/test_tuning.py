"""Beta ranges and ladders."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.model.compile import compile_problem
from qiosk.solvers.search.moves.moves import Flips
from qiosk.solvers.search.tuning import BetaRange, beta_range, even_ladder, first_ladder
from strategies import cost_function


def glass(scale=1.0, n=40):
    rng = np.random.default_rng(3)
    return compile_problem(
        cost_function("ising", [(scale * rng.normal(), rng.choice(n, 2, replace=False).tolist()) for _ in range(4 * n)])
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e300])
def test_the_range_scales_with_the_cost(scale):
    plain, scaled = glass(), glass(scale)
    found, other = beta_range(plain, 1, Flips(plain)), beta_range(scaled, 1, Flips(scaled))
    npt.assert_allclose([other.hot * scale, other.cold * scale], [found.hot, found.cold], rtol=1e-6)
    assert 0.0 < found.hot <= found.ladder_hot < found.cold


def test_costs_below_the_normal_range_of_a_float_have_a_range_too():
    tiny = glass(1e-318)
    found = beta_range(tiny, 1, Flips(tiny))
    assert 0.0 < found.hot <= found.ladder_hot < found.cold < np.inf


def test_a_problem_without_moves_has_some_range():
    flat = compile_problem(cost_function("pubo", [(0.0, [0, 1])]))
    assert beta_range(flat, 1, Flips(flat)) == BetaRange(1.0, 2.0, 1.0)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=63))
def test_an_even_ladder_ascends_between_the_same_ends(rejections):
    ladder = first_ladder(BetaRange(0.1, 3.0, 0.2), len(rejections) + 1)
    even = even_ladder(ladder, np.array(rejections), (8, 64))
    npt.assert_allclose(even[[0, -1]], ladder[[0, -1]])
    assert np.all(np.diff(even) > 0)
    assert len(even) in (8, 16, 32, 64)


def test_rungs_move_to_where_exchanges_are_refused():
    ladder = np.linspace(1.0, 2.0, 17)
    rejections = np.where(np.arange(16) < 4, 0.9, 0.1)
    even = even_ladder(ladder, rejections, (8, 64))
    assert np.count_nonzero(even < 1.25) > len(even) / 2
    again = even_ladder(ladder, np.full(16, 0.5), (16, 16))
    npt.assert_allclose(np.diff(again), np.diff(again)[0])


def test_more_rungs_for_a_higher_barrier():
    ladder = np.linspace(1.0, 2.0, 33)
    sizes = [len(even_ladder(ladder, np.full(32, r), (8, 64))) for r in (0.05, 0.3, 0.9)]
    assert sizes == [8, 32, 64]

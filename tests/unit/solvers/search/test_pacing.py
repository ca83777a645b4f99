"""How long rounds are where time is limited."""

from __future__ import annotations

import math

import pytest

from qiosk.solvers.search.pacing import LAST_ROUND_MARGIN, LAST_ROUND_SHARE, next_length
from qiosk.solvers.search.solver import Budget


def rounds(budget, first=16, growth=2, cost=10):
    """Lengths of all rounds of a search whose clock permits ``budget`` spin updates, ``cost`` for every sweep."""
    lengths, done = [first], first * cost
    while True:
        length = next_length(
            growth * lengths[-1], lengths[-1], done, Budget(max(0, budget - done)), lambda u: max(0, int(u // cost))
        )
        if length is None:
            return lengths
        lengths.append(length)
        done += length * cost


@pytest.mark.parametrize("growth", [1, 2, 4])
def test_the_last_round_is_not_shorter_with_more_time(growth):
    longest = 0
    for step in range(400):
        budget = int(2000 * 1.02**step)
        lengths = rounds(budget, growth=growth)
        assert max(lengths) >= 0.98 * longest
        assert max(lengths) * 10 >= 0.95 * LAST_ROUND_SHARE * LAST_ROUND_MARGIN * budget
        assert sum(lengths) * 10 <= budget
        longest = max(longest, *lengths)


def test_rounds_grow_before_the_last():
    lengths = rounds(1_000_000)
    assert lengths[:10] == [16 << k for k in range(10)]
    assert lengths[-1] == max(lengths)


@pytest.mark.parametrize("updates", [None, math.inf])
def test_without_a_time_limit_rounds_are_as_planned(updates):
    assert next_length(64, 32, 10**9, Budget(updates), lambda _: 0) == 64


def test_no_round_is_begun_that_would_add_nothing():
    assert next_length(2000, 1000, 100_000, Budget(400.0), lambda u: max(0, int(u))) is not None
    assert next_length(2000, 1000, 100_000, Budget(200.0), lambda u: max(0, int(u))) is None

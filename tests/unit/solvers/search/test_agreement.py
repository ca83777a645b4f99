"""When independent searches agree, and when that ends a search."""

from __future__ import annotations

import pytest

from qiosk.solvers.search.agreement import ROUNDS_TO_AGREE, Agreement

RULE = Agreement(share=0.25, total=12)


@pytest.mark.parametrize(
    ("reached", "n", "expected"),
    [(4, 16, (2, 9)), (3, 16, (0, 0)), (2, 4, (2, 7)), (1, 4, (0, 0)), (1, 1, (0, 0))],
    ids=["the share", "less", "two of few", "one of few", "a single search"],
)
def test_a_round_agrees_by_its_share_and_by_two_searches_at_least(reached, n, expected):
    assert RULE.after_round(1, 5, reached, n) == expected


def test_enough_rounds_and_searches_end_a_search():
    assert RULE.is_enough(ROUNDS_TO_AGREE, 12)
    assert not RULE.is_enough(ROUNDS_TO_AGREE - 1, 40)
    assert not RULE.is_enough(ROUNDS_TO_AGREE + 5, 11)

"""What the progress of a job says."""

from __future__ import annotations

import pytest

from qiosk.contract.jobs import JobProgress


@pytest.mark.parametrize(
    ("best", "bound", "gap"),
    [
        (-8.0, -10.0, 0.25),
        (-10.0, -10.0, 0.0),
        (-9.0, -8.0, 0.0),
        (0.0, -1.0, None),
        (None, 1.0, None),
        (1.0, None, None),
    ],
)
def test_the_gap_is_a_share_of_the_best_cost(best: float | None, bound: float | None, gap: float | None) -> None:
    assert JobProgress(best_cost=best, bound=bound).gap == gap

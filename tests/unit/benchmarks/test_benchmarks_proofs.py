"""The benchmark of proofs: its problems, and that branch and bound and HiGHS agree on their minima."""

from __future__ import annotations

import pytest

from benchmarks.bounds.proofs import DEFAULT, by_highs, problem_of, proved
from patience import HANG_S

SMALL = sorted({name.split(":")[0] for name in DEFAULT})


@pytest.mark.parametrize("family", SMALL)
def test_highs_and_branch_and_bound_agree(family):
    pytest.importorskip("highspy")
    problem = problem_of(family, 4 if family == "torus" else 8, 1)
    _, _, least = proved(problem, HANG_S)
    _, best, bound = by_highs(problem, HANG_S)
    assert best == pytest.approx(least)
    assert bound == pytest.approx(least)


def test_a_problem_that_is_not_proved_in_time_has_no_minimum():
    assert proved(problem_of("units", 60, 1), 0.0)[2] is None

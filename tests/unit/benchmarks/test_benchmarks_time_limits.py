"""The benchmark of time limits: its problems, what it measures of a run, and which runs it calls late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest

from benchmarks.time_limits.__main__ import ALLOWED_S, HEADER, Row, measure
from benchmarks.time_limits.problems import PROBLEMS, dense, random_terms, sparse
from patience import HANG_S
from qiosk.model.compile import compile_problem
from qiosk.solvers.targets.catalogue import target

ROW = Row("tiny", "some.target", limit=2.0, wall=2.0, before=0.5, searching=1.0, sweeps=7, stop="timeout")
ENDS_BY_ITSELF = "microsoft.simulatedannealing-parameterfree.cpu"


@pytest.mark.parametrize(("wall", "is_late"), [(1.0, False), (2.149, False), (2.151, True)])
def test_a_run_is_late_beyond_five_percent_and_fifty_milliseconds(wall, is_late):
    row = replace(ROW, wall=wall)
    assert row.is_late == is_late
    assert ("late" in str(row)) == is_late


@pytest.mark.parametrize(("stop", "share"), [("timeout", "50 %"), ("converged", "100 %")])
def test_the_share_of_the_search_is_of_the_limit_only_where_that_ended_the_run(stop, share):
    row = str(replace(ROW, wall=1.0, stop=stop))
    assert share in row
    assert row.count("|") == HEADER.splitlines()[0].count("|")


@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_run_is_measured(is_fresh):
    row = measure("tiny", PROBLEMS["tiny"](), target(ENDS_BY_ITSELF), HANG_S, 1, is_fresh=is_fresh)
    assert row is not None
    assert row.stop in ("converged", "optimal")
    assert 0.0 < row.before + row.searching <= row.wall < HANG_S + ALLOWED_S


def test_the_time_limit_ends_searches_whose_parameters_would_not():
    row = measure("tiny", PROBLEMS["tiny"](), target("microsoft.simulatedannealing.cpu"), 0.1, 1, is_fresh=False)
    assert row is not None
    assert row.stop == "timeout"


def test_problems_that_a_target_does_not_take_are_left_out():
    problem = random_terms(30, 40, 3)
    assert measure("3-local", problem, target("toshiba.sbm.ising"), 0.1, 1, is_fresh=False) is None


def test_random_terms_are_as_many_of_distinct_spins_and_the_same_every_time():
    found = compile_problem(random_terms(2000, 500, 3).cost_function())
    assert found.is_spin
    npt.assert_array_equal(np.diff(found.term_indptr), 3)
    assert 490 <= len(found.term_values) <= 500  # equal ones are added up
    again = compile_problem(random_terms(2000, 500, 3).cost_function())
    npt.assert_array_equal(again.term_variables, found.term_variables)
    assert 490 <= compile_problem(sparse(2000, 500).cost_function()).n_pairs <= 500


def test_dense_problems_have_about_half_of_all_pairs():
    found = compile_problem(dense(60).cost_function())
    assert not found.is_spin
    assert found.n_pairs == pytest.approx(0.5 * 60 * 59 / 2, rel=0.1)

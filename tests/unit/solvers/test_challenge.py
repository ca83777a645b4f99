"""A search that is reported as converged is never beaten by a configuration that is easy to reach."""

from __future__ import annotations

import numpy as np
import pytest

import qiosk
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.problem import Problem, ProblemType
from qiosk.solvers.exact.challenge import challengers
from qiosk.solvers.exact.lower_bounds import unfrustrated
from strategies import cost_function

TARGETS = ["paralleltempering", "simulatedannealing", "tabu", "populationannealing", "substochasticmontecarlo"]


def needle(n, more=()):
    problem = Problem("needle", problem_type=ProblemType.pubo)
    for c, ids in [(-1.0, list(range(n))), *more, *((0.0, [i]) for i in range(n))]:
        problem.add_term(c, ids)
    return problem


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [21, 40])
def test_a_needle_is_found_and_proven(target, n):
    result = qiosk.solve(needle(n), target, seed=1, timeout=30)
    assert (result.cost, result.stop_reason) == (-1.0, "optimal")
    assert set(result.configuration.values()) == {1}


@pytest.mark.parametrize("target", TARGETS)
def test_a_needle_among_other_terms_is_found_or_the_search_has_not_converged(target):
    rng = np.random.default_rng(1)
    glass = [(float(rng.choice([-1, 1])), sorted(rng.choice(30, 2, replace=False).tolist())) for _ in range(60)]
    problem = needle(25, [(-999.0, list(range(25))), *glass])
    result = qiosk.solve(problem, target, seed=1, timeout=0.5)
    assert result.cost < -900 or result.stop_reason != "converged"


def test_bits_attain_the_least_of_all_terms_where_no_positive_one_counts():
    def least(terms, groups=()):
        kind = "pubo_grouped" if groups else "pubo"
        problem = compile_problem(cost_function(kind, terms, list(groups)))
        found = unfrustrated(problem)
        return None if found is None else (found.tolist(), cost_of(problem, found))

    assert least([(-1.0, [0, 1, 2]), (5.0, [3]), (-2.0, [1])]) == ([1, 1, 1, 0], -3.0)
    assert least([(-1.0, [0, 1, 2]), (5.0, [0, 1])]) is None
    assert least([(2.0, [0, 1, 2])]) == ([0, 0, 0], 0.0)
    assert least([(-1.0, [0, 1, 2])], [(3.0, [(1.0, 0), (-1.0, 1)])]) == ([1, 1, 1], -1.0)
    assert least([(-1.0, [0, 1, 2])], [(3.0, [(1.0, 0), (1.0, 1)])]) is None


def test_pairs_of_bits_that_are_unfrustrated_as_spins_are_solved():
    terms = [t for i in range(40) for t in ((2.2, [i, i + 1]), (-1.1, [i]), (-1.1, [i + 1]))]
    found = unfrustrated(compile_problem(cost_function("pubo", terms)))
    assert found is not None
    assert found.tolist() in ([i % 2 for i in range(41)], [1 - i % 2 for i in range(41)])


def test_spins_are_challenged_by_uniform_configurations():
    problem = compile_problem(cost_function("ising", [(1.0, [0, 1]), (1.0, [1, 2]), (1.0, [0, 2])]))
    assert [x.tolist() for x in challengers(problem, np.array([1, 1, -1], np.int8))] == [[-1] * 3, [1] * 3]

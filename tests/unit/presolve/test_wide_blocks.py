"""Blocks that are wide but small are solved apart by search trees."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patience import HANG_S
from qiosk.bounds.elimination import Effort
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import CostFunction
from qiosk.model.flips import cost_of
from qiosk.presolve import reduce
from qiosk.presolve.reduction import MOST_NODES, reduce_compiled
from qiosk.solvers.checkpoint import pack, unpack
from qiosk.solvers.exact.exhaustive import all_costs
from qiosk.solvers.exact.minimum import exact_minimum
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.presolving import falls_apart
from qiosk.solvers.solve import set_up, solve
from strategies import cost_function

pytestmark = pytest.mark.slow

FREE = "microsoft.simulatedannealing-parameterfree.cpu"
NARROW = Effort(width=4, work=1 << 25, looked=300_000)
"""So that blocks of seven spins are wide."""
WEIGHTS = [st.integers(-1, 1), st.just(-1), st.sampled_from([-3, 5]), st.integers(-(2**40), 2**40)]


@st.composite
def pieces(draw, kinds=("ising", "pubo")):
    """Dense pieces, of which each may begin at a spin of those before it: all are blocks of a tree of blocks."""
    weight, terms, n = draw(st.sampled_from(WEIGHTS)).map(float), [], 0
    for size in draw(st.lists(st.integers(5, 7), min_size=2, max_size=3)):
        first = draw(st.integers(0, n - 1)) if n and draw(st.booleans()) else n
        own = [first, *range(max(n, first + 1), max(n, first + 1) + size - 1)]
        terms += [(draw(weight), list(pair)) for pair in itertools.combinations(own, 2)]
        n = own[-1] + 1
    fields = draw(st.sampled_from([(), (0,), (3, n - 1), tuple(range(n))]))
    terms += [(draw(weight), [i]) for i in fields]
    return compile_problem(cost_function(draw(st.sampled_from(kinds)), [*terms, (draw(weight), [])]))


def dense(size, begin=0, seed=1, most=1):
    """Couplings of all pairs of some spins."""
    rng, values = np.random.default_rng((seed, begin)), [k for k in range(-most, most + 1) if k]
    return [(float(rng.choice(values)), [begin + i, begin + j]) for i, j in itertools.combinations(range(size), 2)]


def least_with(kind, terms, ids, values, force=1000.0):
    """The minimum where some variables have these values; strong fields see to that."""
    fields = [(force if value < 1 else -force, [i]) for i, value in zip(ids, values, strict=True)]
    problem = compile_problem(cost_function(kind, [*terms, *fields]))
    return exact_minimum(problem, 1, 100.0).bound.value - sum(c * v for (c, _), v in zip(fields, values, strict=True))


@given(pieces())
def test_wide_blocks_are_solved_apart(problem):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qiosk.presolve.blocks.EFFORT", NARROW)
        reduced = reduce_compiled(problem, eliminates=True, nodes=MOST_NODES)
    assert reduced.problem.n == 0
    assert cost_of(problem, reduced.lift([])) == reduced.problem.constant == all_costs(problem).min()


@pytest.mark.parametrize("overlap", [0, 1])
def test_nothing_is_left_of_dense_pieces(overlap):
    problem = compile_problem(cost_function("ising", [t for k in range(5) for t in dense(25, (25 - overlap) * k)]))
    reduced = reduce_compiled(problem, eliminates=True, nodes=MOST_NODES)
    assert reduced.problem.n == 0
    least = sum(
        exact_minimum(compile_problem(cost_function("ising", dense(25, k * (25 - overlap)))), 1, 10.0).bound.value
        for k in range(5)
    )
    assert cost_of(problem, reduced.lift([])) == reduced.problem.constant == least


def test_pieces_are_solved_where_a_larger_one_stays():
    """The smallest first, and what hangs on the large piece, too."""
    problem = compile_problem(cost_function("ising", dense(80) + dense(24, 79) + dense(20, 200) + [(0.5, [3])]))
    reduced = reduce_compiled(problem, eliminates=True, nodes=MOST_NODES)
    assert set(reduced.problem.variables.tolist()) <= set(range(80))
    x = np.random.default_rng(1).choice([-1, 1], reduced.problem.n).astype(np.int8)
    assert cost_of(problem, reduced.lift(x)) == cost_of(reduced.problem, x)


def test_a_limit_of_nodes_leaves_the_largest_pieces():
    function = cost_function("ising", dense(34) + dense(24, 34) + dense(28, 58))
    problem = compile_problem(function)
    left = [reduce_compiled(problem, eliminates=True, nodes=n).problem.n for n in (0, 3_000, 8_000, MOST_NODES)]
    assert left == [86, 62, 34, 0]
    assert reduce(function, eliminates=True).problem.n == 0
    assert reduce(function, is_strict=True, eliminates=True).problem.n == 86


def test_a_tree_that_has_more_nodes_than_expected_is_given_up(monkeypatch):
    monkeypatch.setattr("qiosk.presolve.blocks.expected_nodes", lambda n: 0)
    problem = compile_problem(cost_function("ising", dense(40)))
    assert reduce_compiled(problem, eliminates=True, nodes=500).problem.n == 40


def test_the_caller_is_asked_during_a_tree(monkeypatch):
    asked, before = [], []
    problem = compile_problem(cost_function("ising", dense(36)))
    reduce_compiled(problem, eliminates=True, nodes=0, check=lambda: before.append(1))
    monkeypatch.setattr("qiosk.kernels.exact.best.NODES_BETWEEN", 100)
    reduce_compiled(problem, eliminates=True, nodes=MOST_NODES, check=lambda: asked.append(1))
    assert len(asked) >= len(before) + 20

    def stop():
        if len(asked) > len(before) + 10:
            raise TimeoutError
        asked.append(1)

    asked.clear()
    with pytest.raises(TimeoutError):
        reduce_compiled(problem, eliminates=True, nodes=MOST_NODES, check=stop)


def test_the_largest_integers_do_not_overflow():
    terms = [(c * 2.0**52, ids) for c, ids in dense(20, most=9) + dense(20, 20, most=9)] + [(1.0, [0]), (-1.0, [25])]
    problem = compile_problem(cost_function("ising", terms))
    reduced = reduce_compiled(problem, eliminates=True, nodes=MOST_NODES)
    assert reduced.problem.n == 0
    least = sum(
        exact_minimum(compile_problem(cost_function("ising", dense(20, k, most=9))), 1, 10.0).bound.value
        for k in (0, 20)
    )
    assert reduced.problem.constant == pytest.approx(least * 2.0**52, rel=1e-12)


def test_wide_leaves_with_fields_become_fields_of_what_stays():
    """A large piece in the middle; two pieces hang on it, one of them on the other side of a third one."""
    terms = dense(70) + dense(22, 69) + dense(22, 90) + dense(20, 111)
    problem = compile_problem(cost_function("ising", [*terms, *((float(1 + i % 3), [i]) for i in range(131))]))
    reduced = reduce_compiled(problem, eliminates=True, nodes=MOST_NODES)
    assert set(reduced.problem.variables.tolist()) <= set(range(70))
    for x in np.random.default_rng(1).choice([-1, 1], (20, reduced.problem.n)).astype(np.int8):
        assert cost_of(problem, reduced.lift(x)) == cost_of(reduced.problem, x)


@pytest.mark.parametrize(("kind", "step"), [("ising", 30), ("ising", 29), ("pubo", 30), ("pubo", 29)])
def test_six_dense_pieces_of_thirty_are_optimal(kind, step):
    """Apart from each other, or each with a variable of the one before it."""
    parts = [[*dense(30, step * k, most=4), *((float(k - 2), [step * k + i]) for i in range(9))] for k in range(6)]
    problem = cost_function(kind, [term for part in parts for term in part])
    found = solve(problem, FREE, timeout=HANG_S, seed=1)
    assert (found.stop_reason, found.bound, found.gap) == ("optimal", found.cost, 0.0)
    values, least = (-1, 1) if kind == "ising" else (0, 1), {0: 0.0, 1: 0.0}  # by the first variable of what follows
    for k in reversed(range(6)):
        ends = [step * k, step * (k + 1)] if step == 29 else [step * k, step * k + 1]
        ahead = least if step == 29 else dict.fromkeys((0, 1), min(least.values()))
        least = {
            a: min(least_with(kind, parts[k], ends, (values[a], values[b])) + ahead[b] for b in (0, 1)) for a in (0, 1)
        }
    assert found.cost == min(least.values())
    assert found.statistics["presolve"]["variables"] == 0
    assert "presolve" not in solve(problem, FREE, timeout=0.5, seed=1, presolve=False).statistics
    assert "presolve" not in solve(problem, FREE, timeout=0.5, seed=1, bound="none").statistics
    assert "presolve" not in solve(problem, FREE, timeout=0.5, seed=1, number_of_solutions=2).statistics


def test_problems_that_fall_apart_are_tried_others_are_not():
    apart = compile_problem(cost_function("ising", [t for k in range(4) for t in dense(30, 30 * k)]))
    assert falls_apart(apart, 5.0)
    assert not falls_apart(apart, 0.1)  # too few nodes
    assert not falls_apart(compile_problem(cost_function("ising", dense(80))), 5.0)
    whole = compile_problem(
        cost_function(
            "ising",
            [t for k in range(4) for t in dense(30, 30 * k)]
            + [(1.0, [5, 35]), (1.0, [40, 70]), (1.0, [70, 100]), (1.0, [8, 110])],
        )
    )
    assert not falls_apart(whole, 5.0)


def test_a_checkpoint_of_a_run_without_trees_is_continued_without_them():
    """It has a large piece, so that something is searched, and no ``nodes``, as those of older versions."""
    problem: CostFunction = cost_function("ising", dense(70) + dense(24, 70))
    setup = set_up(
        "microsoft.simulatedannealing.cpu",
        {"timeout": None, "seed": 4, "threads": 1, "kernel": None},
        {"presolve": True, "sweeps": 200},
    )
    saved = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qiosk.solvers.presolving.MOST_NODES", 0)
        whole = setup.run(problem, Hooks(on_chunk=lambda report: saved.append(report.checkpoint())))
    assert whole.statistics["presolve"]["variables"] == 94
    content = unpack(saved[0])
    assert content.pop("nodes") == 0
    continued = setup.run(problem, Hooks(resume=pack(content)))
    npt.assert_equal(continued.configuration, whole.configuration)
    assert setup.run(problem, Hooks()).statistics["presolve"]["variables"] == 70

"""What is kept between solves: the same objects, as long as the problem and the memory last."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from patience import HANG_S
from qiosk.model.compile import compile_problem
from qiosk.optimization import Problem, ProblemType, Term
from qiosk.solvers import kept, searched
from qiosk.solvers.kept import Kept, bytes_of
from qiosk.solvers.solve import solve


def ring(n=30, c=1.0):
    ids = np.stack([np.arange(n), (np.arange(n) + 1) % n], axis=1)
    return Problem.from_arrays(np.full(n, c), ids, problem_type=ProblemType.ising)


@pytest.fixture
def store(monkeypatch):
    own = Kept(2**20, 2**20)
    monkeypatch.setattr(searched, "KEPT", own)
    return own


@pytest.fixture
def compiled(monkeypatch):
    made = []

    def compile_(cost_function):
        made.append(compile_problem(cost_function))
        return made[-1]

    monkeypatch.setattr(searched, "compile_problem", compile_)
    return made


@pytest.mark.parametrize("target", ["tabu", "populationannealing"])
def test_a_problem_is_compiled_once_until_it_changes(store, compiled, target):
    problem = ring()
    first, again = (solve(problem, target, seed=1, timeout=5, kernel=None) for _ in range(2))
    assert len(compiled) == 1
    assert len(store) == 1
    assert (first.cost, first.configuration) == (again.cost, again.configuration)
    problem.add_term(c=-3.0, indices=[0])
    changed = solve(problem, target, seed=1, timeout=5)
    assert len(compiled) == 2
    assert changed.cost == first.cost - 3.0


def test_what_is_derived_is_made_once(store):
    problem = compile_problem(ring().cost_function())
    made = []
    assert problem.derived(lambda p: made.append(p)) is None
    make = lambda p: made.append(p) or len(made)  # noqa: E731
    assert problem.derived(make) == problem.derived(make) == 2
    inner = problem.derived(lambda p: compile_problem(ring().cost_function()))
    inner.derived(make)
    problem.forget()
    assert "_derived" not in vars(inner)
    assert problem.derived(make) == 4


def test_it_goes_with_the_cost_function(store):
    cost_function = ring().cost_function()
    problem = compile_problem(cost_function)
    store.problem(cost_function, None, lambda: problem)
    assert len(store) == 1
    del cost_function
    gc.collect()
    assert len(store) == 0


def test_cost_functions_may_be_collected_while_sizes_are_added_up(monkeypatch):
    own, functions, measured = Kept(2**40, 2**40), [ring(c=c).cost_function() for c in (1.0, 2.0, 3.0)], []
    for k in range(3):
        own.problem(functions[k], None, lambda k=k: compile_problem(functions[k]))

    def collecting(problem):
        measured.append(problem)
        if len(measured) == 2:  # the first is that of the new one
            functions.clear()
        return bytes_of(problem)

    monkeypatch.setattr(kept, "bytes_of", collecting)
    latest = ring(c=4.0).cost_function()
    own.problem(latest, None, lambda: compile_problem(latest))
    assert (len(own), len(measured)) == (1, 5)


def test_the_oldest_go_and_what_is_too_large_is_never_kept():
    some = [ring(n) for n in (40, 50, 60, 4000)]
    functions = [problem.cost_function() for problem in some]
    sizes = [bytes_of(compile_problem(function)) for function in functions]
    store = Kept(sizes[1] + sizes[2], sizes[3] - 1)
    problems = [store.problem(f, None, lambda f=f: compile_problem(f)) for f in functions[:2]]
    assert store.problem(functions[0], None, lambda: None) is problems[0]  # now the second one is the oldest
    problems[1].derived(len_of)
    store.problem(functions[2], None, lambda: compile_problem(functions[2]))
    assert len(store) == 2
    assert store.problem(functions[0], None, lambda: None) is problems[0]
    assert "_derived" not in vars(problems[1])
    large = store.problem(functions[3], None, lambda: compile_problem(functions[3]))
    assert len(store) == 2
    large.derived(len_of)
    store.let_go(large)
    assert "_derived" not in vars(large)
    problems[0].derived(len_of)
    store.let_go(problems[0])
    assert "_derived" in vars(problems[0])


def test_a_large_problem_is_kept_alone():
    functions = [ring(n).cost_function() for n in (40, 4000, 50)]
    sizes = [bytes_of(compile_problem(function)) for function in functions]
    store = Kept(sizes[0] + sizes[2], sizes[1])
    small = store.problem(functions[0], None, lambda: compile_problem(functions[0]))
    small.derived(len_of)
    large = store.problem(functions[1], None, lambda: compile_problem(functions[1]))
    large.derived(len_of)
    assert store.problem(functions[1], None, lambda: None) is large
    assert len(store) == 1
    assert "_derived" not in vars(small)
    store.problem(functions[2], None, lambda: compile_problem(functions[2]))
    assert len(store) == 1
    assert "_derived" not in vars(large)


def len_of(problem):
    return problem.n


def test_declared_groups_are_part_of_what_is_kept(store, compiled):
    problem = Problem("choice", [Term(c=c, indices=[i]) for i, c in enumerate((3.0, 1.0, 2.0))], problem_type="pubo")
    assert solve(problem, "tabu", seed=1, timeout=5).cost == 0.0
    problem.metadata["oneHot"] = [[0, 1, 2]]
    problem.metadata["name"] = "other"
    solve(problem, "tabu", seed=1, timeout=5)
    assert len(compiled) == 2


def test_a_forked_child_has_a_lock_of_its_own(store):
    cost_function = ring().cost_function()
    store._lock.acquire()
    store.renew_lock()
    taken = []
    other = threading.Thread(
        target=lambda: taken.append(store.problem(cost_function, None, lambda: compile_problem(cost_function)))
    )
    other.start()
    other.join(HANG_S)
    assert len(taken) == 1


def test_there_is_room_on_this_machine():
    assert 0 < kept.KEPT.most_bytes <= min(kept.MOST_BYTES, kept.KEPT.largest)


@pytest.mark.parametrize(
    ("memory", "expected"),
    [(0, (2**30, 2**30)), (2**32, (2**29, 2**29)), (2**35, (2**30, 2**32))],
)
def test_a_share_of_the_memory_is_used(memory, expected):
    assert kept.limits(memory) == expected

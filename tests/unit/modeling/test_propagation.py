"""Propagation with learned clauses, against the enumeration of all bits: what it finds holds, what it denies is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qiosk.kernels.propagation import state
from qiosk.modeling import Encoding, Model, total
from qiosk.modeling.propagation import tree
from qiosk.modeling.propagation.tree import Outcome, tree_of
from random_models import feasible, models, pigeons, rows_of

PLENTY = 10**9


def tree_for(model, seed=1):
    return tree_of(rows_of(model), model.cost, model._n_bits, seed)


def solutions(found, steps=PLENTY):
    """All solutions of a search, each better than the one before, to the end."""
    every = []
    while (outcome := found.search(steps)) is not Outcome.EXHAUSTED:
        if outcome is Outcome.SOLVED:
            every.append(dict(enumerate(found.bits().tolist())))
    assert found.search(steps) is Outcome.EXHAUSTED
    return every


@settings(max_examples=300)
@given(models(), st.integers(0, 3))
def test_solutions_are_feasible_and_the_last_one_is_the_best_there_is(model, seed):
    expected = feasible(model)
    found = tree_for(model, seed)
    assert found.is_bounded
    every = solutions(found)
    assert bool(every) == bool(expected)
    costs = [model.objective.value(x) for x in every]
    for x, cost in zip(every, costs, strict=True):
        assert (x, cost) in expected
    assert all(later < earlier for earlier, later in itertools.pairwise(costs))
    if expected:
        assert costs[-1] == min(cost for _, cost in expected)


@settings(max_examples=100)
@given(models(has_objective=False))
def test_bits_that_propagation_fixes_have_that_value_in_all_solutions(model):
    found = tree_for(model)
    found.search(1)
    for bit, value in found.fixed().items():
        assert all(x[bit] == value for x, _ in feasible(model))
    if found.search(PLENTY) is Outcome.SOLVED:
        assert found.fixed().keys() <= set(range(model._n_bits))


@settings(max_examples=50)
@given(models())
def test_parts_change_nothing(model):
    whole, parts = tree_for(model), tree_for(model)
    assert solutions(whole) == solutions(parts, steps=1)
    assert whole.conflicts == parts.conflicts


def queens(n, colours):
    """A colouring of the squares of a board: no two on a line have the same colour."""
    model = Model()
    squares = list(itertools.product(range(n), range(n)))
    colour = model.choices("colour", squares, range(colours))
    for (a, b), (c, d) in itertools.combinations(squares, 2):
        if a == c or b == d or abs(a - c) == abs(b - d):
            for k in range(colours):
                model.add(colour[a, b][k] + colour[c, d][k] <= 1)
    return model


def partition(sizes):
    model = Model()
    x = model.bits("x", range(len(sizes)))
    model.add(total(size * x[k] for k, size in enumerate(sizes)) == sum(sizes) // 2)
    return model


def shop(deadline):
    """Three jobs of three tasks each on three machines, with starting times and the order of two tasks on a machine."""
    model = Model()
    jobs = [[(0, 3), (1, 2), (2, 2)], [(0, 2), (2, 1), (1, 4)], [(1, 4), (2, 3), (0, 1)]]
    start = {}
    for j, job in enumerate(jobs):
        for k, (_, length) in enumerate(job):
            start[j, k] = model.integer(f"start {j} {k}", 0, deadline - length, Encoding.one_hot)
            if k:
                model.add(start[j, k] - start[j, k - 1] >= job[k - 1][1])
    tasks = [(j, k, *task) for j, job in enumerate(jobs) for k, task in enumerate(job)]
    for (i, a, machine, long), (j, b, other, length) in itertools.combinations(tasks, 2):
        if machine == other and i != j:
            first = model.bit(f"{i} {a} before {j} {b}")
            model.add(start[j, b] - start[i, a] >= long - 2 * deadline * (1 - first))
            model.add(start[i, a] - start[j, b] >= length - 2 * deadline * first)
    return model


@pytest.mark.parametrize(
    ("model", "is_feasible"),
    [
        (queens(5, 5), True),
        (queens(4, 4), False),
        (pigeons(5), False),
        (partition([3**k for k in range(12)] + [3**12 // 2]), True),
        (shop(11), True),
        (shop(10), False),
    ],
    ids=["queens 5", "queens 4", "pigeons", "partition", "shop 11", "shop 10"],
)
def test_problems_that_need_search(model, is_feasible, monkeypatch):
    outcomes = []
    for most in (tree.MAX_CLAUSES, 40):  # so few that clauses are dropped all the time
        monkeypatch.setattr(tree, "MAX_CLAUSES", most)
        monkeypatch.setattr(tree, "FIRST_LIMIT", most // 2)
        found = tree_for(model)
        outcomes.append(found.search(PLENTY))
        if outcomes[-1] is Outcome.SOLVED:
            assert model.decode(dict(enumerate(found.bits().tolist()))).is_feasible
            assert found.search(PLENTY) is Outcome.EXHAUSTED
    assert outcomes == [Outcome.SOLVED if is_feasible else Outcome.EXHAUSTED] * 2


def test_a_seed_repeats_and_others_differ():
    runs = [tree_for(queens(6, 7), seed) for seed in (1, 1, 2)]
    for run in runs:
        assert run.search(PLENTY) is Outcome.SOLVED
    assert (runs[0].steps, runs[0].bits().tolist()) == (runs[1].steps, runs[1].bits().tolist())
    assert runs[0].bits().tolist() != runs[2].bits().tolist()


def test_a_search_ends_between_two_parts(monkeypatch):
    monkeypatch.setattr(tree, "PART_STEPS", 1000)
    found = tree_for(pigeons(8))
    calls = []
    assert found.search(PLENTY, lambda: calls.append(found.steps) or len(calls) == 3) is Outcome.PAUSED
    assert len(calls) == 3
    assert np.diff([0, *calls]).max() < 20_000
    assert found.search(2000) is Outcome.PAUSED


def test_choices_with_numbers_propagate_their_bounds():
    model = Model()
    start = {name: model.integer(name, 0, 50, Encoding.one_hot) for name in "abc"}
    model.add(start["b"] - start["a"] >= 20)
    model.add(start["c"] - start["b"] >= 20)
    found = tree_for(model)
    while found.state.counters[state.DECISIONS] == 0:
        assert found.search(1) is Outcome.PAUSED
    ranges = {"a": range(11), "b": range(20, 31), "c": range(40, 51)}
    bits = {name: model.variables[name].bits for name in ranges}
    assert found.fixed() == {
        bit: 0 for name, some in bits.items() for k, bit in enumerate(some) if k not in ranges[name]
    }

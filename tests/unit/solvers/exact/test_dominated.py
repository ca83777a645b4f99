"""One-hot groups found in a QUBO: only where no configuration that breaks them is the only best."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qiosk
from one_hot_problems import grid
from qiosk.model.compile import compile_problem
from qiosk.optimization import Problem, ProblemType
from qiosk.solvers.exact.dominated import dominated_groups
from qiosk.solvers.exact.exhaustive import all_costs


def with_penalties(groups, penalty, n, terms):
    """Terms, and penalty times (sum - 1)**2 of each group, as an ordinary QUBO."""
    problem = Problem("qubo", problem_type=ProblemType.pubo)
    problem.add_terms(coefficients=[c for c, _ in terms], ids=np.array([i for _, i in terms], np.int64).reshape(-1, 2))
    for i in range(n):
        problem.add_term(0, [i])
    for members in groups:
        problem.add_term(penalty, [])
        for i in members:
            problem.add_term(-penalty, [i])
        for pair in itertools.combinations(members, 2):
            problem.add_term(2 * penalty, list(pair))
    return problem


def compiled(problem):
    return compile_problem(problem.cost_function())


def coloured(nodes, colours, edges, penalty):
    terms = [(1, [a * colours + c, b * colours + c]) for a, b in edges for c in range(colours)]
    return with_penalties(grid(nodes, colours)[0], penalty, nodes * colours, terms)


def assigned(n, penalty, seed=0):
    rng = np.random.default_rng(seed)
    pairs = itertools.combinations(range(n * n), 2)
    terms = [(int(rng.integers(0, 10)), list(p)) for p in pairs if p[0] // n != p[1] // n and p[0] % n != p[1] % n]
    return with_penalties([*grid(n, n)[0], *grid(n, n)[1]], penalty, n * n, terms)


def test_colours_of_nodes_are_groups():
    problem = coloured(5, 4, list(itertools.combinations(range(5), 2)), 4)
    found = dominated_groups(compiled(problem))
    assert sorted(members for members, is_exact in found.groups() if is_exact) == grid(5, 4)[0]
    assert qiosk.solve(problem, "tabu", seed=1, timeout=2).cost == 1  # five nodes, four colours


def test_rows_and_columns_are_groups_if_the_penalty_is_large_enough():
    found = dominated_groups(compiled(assigned(5, 40)))
    assert sorted(members for members, _ in found.groups()) == sorted([*grid(5, 5)[0], *grid(5, 5)[1]])
    assert dominated_groups(compiled(assigned(5, 9))) is None


def test_searches_use_what_is_found():
    problem = assigned(6, 60)
    result = qiosk.solve(problem, "simulatedannealing", seed=1, timeout=1)
    assert result.statistics["kernel"].startswith("one-hot")
    assert qiosk.solve(problem, "simulatedannealing", kernel="packed-int16", timeout=1).cost >= result.cost


def test_groups_are_not_looked_for_where_it_is_declared_that_there_are_none():
    problem = assigned(6, 60)
    problem.metadata["one_hot"] = {}
    for same in (problem, Problem.deserialize(problem.to_json())):
        result = qiosk.solve(same, "simulatedannealing", seed=1, sweeps=1, restarts=1)
        assert not result.statistics["kernel"].startswith("one-hot")


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_dense_problems_without_groups_have_none(kind):
    rng = np.random.default_rng(1)
    matrix = np.triu(rng.integers(-9, 10, (40, 40)))
    problem = Problem.from_matrix(matrix, problem_type=ProblemType(kind))
    assert dominated_groups(compiled(problem)) is None


@given(data=st.data(), columns=st.integers(3, 4), rows=st.integers(2, 3), is_square=st.booleans())
def test_a_best_configuration_keeps_the_groups_that_are_found(data, columns, rows, is_square):
    rows = min(rows, 12 // columns) if not is_square else columns
    rows = rows if rows * columns <= 9 or not is_square else 3
    columns = rows if is_square else columns
    n = rows * columns + (0 if is_square else data.draw(st.integers(0, 2)))
    groups = [*grid(rows, columns)[0], *(grid(rows, columns)[1] if is_square else [])]
    pairs = list(itertools.combinations(range(n), 2))
    values = data.draw(st.lists(st.integers(-2, 5), min_size=len(pairs), max_size=len(pairs)))
    terms = [(value, list(pair)) for value, pair in zip(values, pairs, strict=True)]
    penalty = data.draw(st.integers(1, 40))
    problem = compiled(with_penalties(groups, penalty, n, terms))
    found = dominated_groups(problem)
    if found is None:
        return
    costs = all_costs(problem)
    x = (np.arange(len(costs))[:, None] >> np.arange(n)) & 1
    assert costs[found.is_kept_by(x > 0)].min() == costs.min()

"""Small problems with one-hot groups, and all configurations that keep them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.one_hot import OneHot
from strategies import cost_function


def grid(rows: int, columns: int, first: int = 0) -> tuple[list[list[int]], list[list[int]]]:
    """The rows and the columns of a matrix of ids."""
    ids = np.arange(first, first + rows * columns).reshape(rows, columns)
    return ids.tolist(), ids.T.tolist()


def exactly(groups):
    return [(members, True) for members in groups]


def at_most(groups):
    return [(members, False) for members in groups]


GROUPS = {
    "one group": (3, exactly([[0, 1, 2]])),
    "at most one of three": (3, at_most([[0, 1, 2]])),
    "choices and free bits": (9, [*exactly([[0, 4, 2], [1, 3]]), *at_most([[5, 6]])]),
    "groups of one": (4, [([0], True), ([2], False)]),
    "permutation": (9, exactly([*grid(3, 3)[0], *grid(3, 3)[1]])),
    "permutation of four": (16, exactly([*grid(4, 4)[0], *grid(4, 4)[1]])),
    "two permutations": (8, exactly([some for first in (0, 4) for side in grid(2, 2, first) for some in side])),
    "more columns than rows": (6, [*exactly(grid(2, 3)[0]), *at_most(grid(2, 3)[1])]),
    "more rows than columns": (8, [*at_most(grid(4, 2)[0]), *exactly(grid(4, 2)[1])]),
    "some columns must be used": (8, [*exactly(grid(2, 4)[0]), ([0, 4], True), *at_most([[1, 5], [2, 6], [3, 7]])]),
    "permutation, choice and free bits": (13, [*exactly([*grid(3, 3)[0], *grid(3, 3)[1]]), *at_most([[9, 10]])]),
    "never set": (5, exactly([[0, 1, 2]])),
    "none": (3, []),
}
"""Numbers of variables, and groups that choices and assignments keep by themselves."""


def one_hot_problem(
    name: str, *, kind: str = "pubo", locality: int = 2, seed: int = 0, integers: bool = True
) -> CompiledProblem:
    """Random terms over the variables of a family, and two squared linear combinations if the kind is grouped."""
    n, groups = GROUPS[name]
    rng = np.random.default_rng([seed, n, locality])

    def coefficient() -> float:
        return float(rng.integers(-3, 4)) if integers else float(rng.normal())

    terms = [(coefficient(), []), *((coefficient(), [i]) for i in range(n))]
    for size in range(2, locality + 1):
        subsets = list(itertools.combinations(range(n), size))
        terms += [(coefficient(), list(ids)) for ids in subsets if rng.random() < min(1.0, 30 / len(subsets))]
    squares = []
    if kind.endswith("grouped"):
        members = [(coefficient(), i) for i in range(n)]
        squares = [(0.5, [*members, (1.0, None)]), (-0.25, [(w, i) for w, i in members if i % 2])]
        squares.append((2.0, [(1.0, i) for i in (groups[0][0] if groups else [0])]))
    problem = compile_problem(cost_function(kind, terms, squares))
    return replace(problem, one_hot=OneHot.of(groups, [4] if name == "never set" else []))


def kept_configurations(problem: CompiledProblem) -> np.ndarray:
    """(m, n) int8."""
    low = -1 if problem.is_spin else 0
    x = np.array(list(itertools.product([low, 1], repeat=problem.n)), np.int8).reshape(-1, problem.n)
    return x[problem.one_hot.is_kept_by(x > 0)]

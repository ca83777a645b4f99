"""The problems whose runs are timed, from fixed seeds: what a program hands over before each solve."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.families import assignment, lattice, many_body
from qiosk import Problem
from qiosk.model.cost_function import CostFunction, ProblemType


def _problem(cost_function: CostFunction) -> Problem:
    return Problem.from_cost_function(cost_function)


def dense(n: int) -> Problem:
    """A QUBO of integers from -100 to 100 on half of all pairs, as a matrix."""
    rng = np.random.default_rng(1)
    matrix = np.triu(rng.integers(-100, 101, (n, n)) * (rng.random((n, n)) < 0.5))
    return Problem.from_matrix(matrix, problem_type=ProblemType.pubo)


def sparse(n: int, pairs: int) -> Problem:
    """Couplings of +-1 between random spins."""
    return random_terms(n, pairs, 2)


def random_terms(n: int, terms: int, locality: int) -> Problem:
    """Terms of +-1 of so many random spins, in no order."""
    rng = np.random.default_rng(2)
    ids = rng.integers(0, n, (terms + terms // 8, locality))
    ordered = np.sort(ids, axis=1)
    ids = ids[(ordered[:, 1:] > ordered[:, :-1]).all(axis=1)][:terms]
    return Problem.from_arrays(rng.choice([-1.0, 1.0], len(ids)), ids, problem_type=ProblemType.ising)


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "tiny": lambda: _problem(lattice(np.random.default_rng(3), 4, 3, is_normal=True)),
    "dense 3000": lambda: dense(3000),
    "sparse 1e6": lambda: sparse(1_000_000, 3_000_000),
    "3-local 1e6": lambda: random_terms(250_000, 1_000_000, 3),
    "6-local": lambda: _problem(many_body(np.random.default_rng(4), ProblemType.pubo, 1000, 6, 5000)),
    "one-hot": lambda: _problem(assignment(np.random.default_rng(5), 15)),
}
"""Those that all targets are timed on."""

LARGE: Mapping[str, Callable[[], Problem]] = {
    "pairs 1e7": lambda: sparse(1_000_000, 10_000_000),
    "3-local 1e7": lambda: random_terms(1_000_000, 10_000_000, 3),
}
"""Larger ones, which are timed only if they are asked for."""

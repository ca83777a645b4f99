"""The same cost function over the other domain, or without groups. Costs stay the same: x = (1 + s) / 2."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from qiosk.errors import NotEnoughMemory
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I64, CostFunction, Groups, ProblemType

MAX_IDS = 1 << 28
"""Most ids that an expansion may write, which take 2 GiB."""

_Part = tuple[F64, I64]
"""Coefficients (m,) and positions (m, k) of terms of one degree k."""


def to_bits(cost_function: CostFunction) -> CostFunction:
    """The cost function of bits x that has at x the cost of the spins s = 2 x - 1; itself if it has bits.

    Like terms are merged and groups expanded. A term of k variables becomes 2**k: raises NotEnoughMemory
    beyond ``MAX_IDS`` ids.
    """
    return cost_function if not cost_function.problem_type.is_ising else _converted(cost_function, 2.0, -1.0)


def to_spins(cost_function: CostFunction) -> CostFunction:
    """The cost function of spins s that has at s the cost of the bits x = (1 + s) / 2; itself if it has spins.

    As :func:`to_bits` otherwise.
    """
    return cost_function if cost_function.problem_type.is_ising else _converted(cost_function, 0.5, 0.5)


def flattened(cost_function: CostFunction) -> CostFunction:
    """The cost function without groups: like terms merged, squares multiplied out; ids that cancel stay.

    Raises NotEnoughMemory beyond ``MAX_IDS`` ids.
    """
    problem = compile_problem(cost_function)
    return _assembled(cost_function, problem, _parts(problem), cost_function.problem_type.is_ising)


def multiplied_out(problem: CompiledProblem) -> CompiledProblem:
    """The same costs without groups, over the same variables and without promises. Raises as :func:`to_bits`."""
    source = CostFunction(ProblemType.ising, np.empty(0), np.zeros(1, np.int64), np.empty(0, np.int64))
    return compile_problem(_assembled(source, problem, _parts(problem), problem.is_spin))


def products_of_groups(problem: CompiledProblem) -> int:
    """How many products of two members multiplying the squares out makes."""
    sizes = np.diff(problem.group_indptr)
    return int((sizes * (sizes + 1) // 2).sum())


def _converted(cost_function: CostFunction, slope: float, offset: float) -> CostFunction:
    problem = compile_problem(cost_function)
    parts: list[_Part] = []
    size = 0
    for coefficients, positions in _parts(problem):
        degree = positions.shape[1]
        size += len(coefficients) * degree << max(0, degree - 1)
        _check_size(size)
        for k in range(degree + 1):
            scaled = coefficients * (slope**k * offset ** (degree - k))
            parts += [(scaled, positions[:, list(chosen)]) for chosen in combinations(range(degree), k)]
    merged = _assembled(cost_function, problem, parts, not cost_function.problem_type.is_ising)
    return flattened(merged)


def _parts(problem: CompiledProblem) -> list[_Part]:
    """All terms by degree, the constant first, squares multiplied out."""
    n = problem.n
    parts: list[_Part] = [
        (np.array([problem.constant]), np.empty((1, 0), np.int64)),
        (problem.linear, np.arange(n, dtype=np.int64)[:, None]),
        (problem.pair_values, np.stack([problem.pair_rows, problem.pair_cols], axis=1).astype(np.int64)),
    ]
    degrees = np.diff(problem.term_indptr)
    for degree in np.unique(degrees):
        where = np.flatnonzero(degrees == degree)
        members = problem.term_variables[problem.term_indptr[where][:, None] + np.arange(degree)]
        parts.append((problem.term_values[where], members.astype(np.int64)))
    return parts + _expanded_groups(problem)


def _expanded_groups(problem: CompiledProblem) -> list[_Part]:
    sizes = np.diff(problem.group_indptr)
    _check_size(int((sizes * (sizes + 1)).sum()))
    parts: list[_Part] = []
    for g in range(len(sizes)):
        own = slice(problem.group_indptr[g], problem.group_indptr[g + 1])
        members, weights = problem.group_variables[own].astype(np.int64), problem.group_weights[own]
        c, k = float(problem.group_values[g]), float(problem.group_offsets[g])
        rows, cols = np.triu_indices(len(members), 1)
        squares = c * weights**2
        parts.append((np.array([c * k * k]), np.empty((1, 0), np.int64)))
        parts.append((2 * c * k * weights, members[:, None]))
        parts.append((squares, np.empty((len(members), 0), np.int64) if problem.is_spin else members[:, None]))
        parts.append((2 * c * weights[rows] * weights[cols], np.stack([members[rows], members[cols]], axis=1)))
    return parts


def _assembled(source: CostFunction, problem: CompiledProblem, parts: list[_Part], is_ising: bool) -> CostFunction:
    """One cost function of all parts; terms of degree 0 or 1 are added up, so that every variable stays."""
    linear, constant = np.zeros(problem.n), 0.0
    higher: dict[int, list[_Part]] = {}
    for coefficients, positions in parts:
        if positions.shape[1] == 0:
            constant += float(coefficients.sum())
        elif positions.shape[1] == 1:
            np.add.at(linear, positions[:, 0], coefficients)
        else:
            higher.setdefault(positions.shape[1], []).append((coefficients, positions))
    columns = [(linear, np.arange(problem.n, dtype=np.int64)[:, None])]
    if constant:
        columns.insert(0, (np.array([constant]), np.empty((1, 0), np.int64)))
    columns += [part for degree in sorted(higher) for part in higher[degree]]
    degrees = np.repeat([p.shape[1] for _, p in columns], [len(c) for c, _ in columns])
    initial = source.initial_configuration
    if initial is not None and is_ising != source.problem_type.is_ising:
        initial = {i: 2 * v - 1 if is_ising else (v + 1) // 2 for i, v in initial.items()}
    return replace(
        source,
        problem_type=ProblemType.ising if is_ising else ProblemType.pubo,
        coefficients=np.concatenate([c for c, _ in columns]),
        indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(degrees, dtype=np.int64)]),
        ids=problem.variables[np.concatenate([p.ravel() for _, p in columns])],
        groups=Groups(),
        initial_configuration=initial,
    )


def _check_size(ids: int) -> None:
    if ids > MAX_IDS:
        raise NotEnoughMemory(f"expanding the terms would need {ids} ids, at most {MAX_IDS} are allowed")

"""Slow, obvious oracles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from fractions import Fraction

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import CONSTANT, CostFunction


def cost(cost_function: CostFunction, configuration: Mapping[int, int]) -> Fraction:
    """Cost in exact arithmetic, straight from the definition."""
    total = Fraction(0)
    indptr, ids = cost_function.indptr.tolist(), cost_function.ids.tolist()
    for t, coefficient in enumerate(cost_function.coefficients.tolist()):
        product = Fraction(coefficient)
        for i in ids[indptr[t] : indptr[t + 1]]:
            product *= configuration[i]
        total += product
    groups = cost_function.groups
    for g, coefficient in enumerate(groups.coefficients.tolist()):
        inner = Fraction(0)
        for m in range(int(groups.indptr[g]), int(groups.indptr[g + 1])):
            i = int(groups.ids[m])
            inner += Fraction(float(groups.weights[m])) * (1 if i == CONSTANT else configuration[i])
        total += Fraction(coefficient) * inner**2
    return total


def compiled_cost(problem: CompiledProblem, x: list[int]) -> Fraction:
    """Cost in exact arithmetic of values in the order of ``problem.variables``."""
    total = Fraction(problem.constant)
    for i, h in enumerate(problem.linear.tolist()):
        total += Fraction(h) * x[i]
    pairs = (problem.pair_rows.tolist(), problem.pair_cols.tolist(), problem.pair_values.tolist())
    for i, j, J in zip(*pairs, strict=True):
        total += Fraction(J) * x[i] * x[j]
    for t, coefficient in enumerate(problem.term_values.tolist()):
        product = Fraction(coefficient)
        for i in problem.term_variables[problem.term_indptr[t] : problem.term_indptr[t + 1]].tolist():
            product *= x[i]
        total += product
    for g, coefficient in enumerate(problem.group_values.tolist()):
        inner = Fraction(float(problem.group_offsets[g]))
        for m in range(int(problem.group_indptr[g]), int(problem.group_indptr[g + 1])):
            inner += Fraction(float(problem.group_weights[m])) * x[int(problem.group_variables[m])]
        total += Fraction(coefficient) * inner**2
    return total


def configurations(cost_function: CostFunction) -> Iterator[dict[int, int]]:
    """Every configuration."""
    domain = (-1, 1) if cost_function.problem_type.is_ising else (0, 1)
    variables = cost_function.variables.tolist()
    for values in itertools.product(domain, repeat=len(variables)):
        yield dict(zip(variables, values, strict=True))

"""Slow, obvious oracles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

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


def trotter_averages(cost_function: CostFunction, beta: float, cut: float, slices: int) -> tuple[Any, ...]:
    """Mean cost of a slice (1,), mean product of every two variables of one, a variable with itself included
    (n (n + 1) / 2,), and of each variable the share of neighbouring slices that agree (n,).

    The weight of a path x_1 .. x_P is prod_k exp(-beta cost(x_k)) prod_i (1 if x_k and x_k+1 agree on variable i, else
    cut): a trace of transfer matrices.
    """
    all_of_them = list(configurations(cost_function))
    x = np.array([list(c.values()) for c in all_of_them])
    costs = np.array([float(cost(cost_function, c)) for c in all_of_them])
    agree = x[:, None, :] == x[None, :, :]
    step = np.exp(-beta * (costs - costs.min()))[:, None] * np.where(agree, 1.0, cut).prod(axis=2)
    rest = np.linalg.matrix_power(step / step.sum(axis=1).max(), slices - 1)
    weights = step[:, :, None] * rest.T[:, :, None]  # of a path's first two slices
    total = weights.sum()
    share = weights[:, :, 0].sum(axis=1) / total
    first, second = np.triu_indices(x.shape[1])
    products = x[:, first] * x[:, second]
    return np.array([share @ costs]), share @ products, (weights * agree).sum(axis=(0, 1)) / total

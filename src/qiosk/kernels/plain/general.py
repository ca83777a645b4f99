"""Metropolis sweeps, costs and descent of any problem in float64, written for clarity.

Shapes: n variables, R replicas, T terms of two or more variables with K ids in all, G squared linear
combinations with M members in all. Both incidences are given: by term (or group), and by variable.

With dx the change of x_i when it flips, the change of cost is

    dx * (linear_i + sum_t c_t prod_{j in t, j != i} x_j) + sum_g c_g a dx (2 S_g + a dx),   S_g = k_g + sum_j
    a_gj x_j

for spins (dx = -2 x) and bits (dx = 1 - 2 x) alike. Group sums are added up again at the start of every sweep,
so that rounding does not build up and sweeps need no other state than the values.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@inlined()
def uniform(states: Any, replica: int) -> Any:
    """The next float64 in [0, 1) of a splitmix64 generator."""
    states[replica] += _GOLDEN
    x = states[replica]
    x = (x ^ (x >> _30)) * _MIX1
    x = (x ^ (x >> _27)) * _MIX2
    return float((x ^ (x >> _31)) >> _11) * 2.0**-53


@inlined()
def add_up_groups(groups: Any, values: Any, sums: Any) -> None:
    """sums[g] = k_g + sum_j a_gj x_j for one configuration."""
    indptr, variables, weights, _, offsets = groups
    for g in range(offsets.size):
        total = offsets[g]
        for k in range(indptr[g], indptr[g + 1]):
            total += weights[k] * values[variables[k]]
        sums[g] = total


@inlined()
def change_of(i: int, linear: Any, terms: Any, groups: Any, by_variable: Any, values: Any, sums: Any, dx: Any) -> Any:
    """Change of cost when x_i changes by ``dx``."""
    term_indptr, term_variables, term_values = terms
    var_indptr, var_terms, member_indptr, member_groups, member_weights = by_variable
    derivative = linear[i]
    for k in range(var_indptr[i], var_indptr[i + 1]):
        t = var_terms[k]
        product = term_values[t]
        for q in range(term_indptr[t], term_indptr[t + 1]):
            if term_variables[q] != i:
                product *= values[term_variables[q]]
        derivative += product
    delta = dx * derivative
    for k in range(member_indptr[i], member_indptr[i + 1]):
        g = member_groups[k]
        change = member_weights[k] * dx
        delta += groups[3][g] * change * (2.0 * sums[g] + change)
    return delta


@inlined()
def apply_flip(i: int, by_variable: Any, values: Any, sums: Any, dx: Any) -> None:
    """Change x_i by ``dx``, and the sums of its groups with it."""
    _, _, member_indptr, member_groups, member_weights = by_variable
    values[i] += dx
    for k in range(member_indptr[i], member_indptr[i + 1]):
        sums[member_groups[k]] += member_weights[k] * dx


@cache
def general_sweeps() -> Any:
    """``sweeps(linear, terms, groups, by_variable, is_spin, values, sums, states, betas, part)``.

    terms: (indptr (T + 1,), variables (K,), values (T,)); groups: (indptr (G + 1,), variables (M,), weights (M,),
    values (G,), offsets (G,)); by_variable: (indptr (n + 1,), terms (K,), indptr (n + 1,), groups (M,), weights (M,)).
    values: (R, n) int8, updated. sums: (G,) float64 scratch. states: (R,) uint64, updated. betas: (sweeps, R) float64.
    part: the first variable and the one after the last that are visited. A sweep of one replica may be made of several
    calls, one for each part in order, with the same sums.
    """

    @kernel
    def sweeps(
        linear: Any,
        terms: Any,
        groups: Any,
        by_variable: Any,
        is_spin: Any,
        values: Any,
        sums: Any,
        states: Any,
        betas: Any,
        part: Any,
    ) -> None:
        for r in range(values.shape[0]):
            x = values[r]
            for sweep in range(betas.shape[0]):
                beta = betas[sweep, r]
                if part[0] == 0:
                    add_up_groups(groups, x, sums)
                for i in range(part[0], part[1]):
                    dx = -2 * x[i] if is_spin else 1 - 2 * x[i]
                    delta = change_of(i, linear, terms, groups, by_variable, x, sums, dx)
                    if delta <= 0.0 or uniform(states, r) < np.exp(-beta * delta):
                        apply_flip(i, by_variable, x, sums, dx)

    return sweeps


@cache
def general_costs() -> Any:
    """``costs(constant, linear, terms, groups, values, out)``: of every row of values (R, n), out (R,)."""

    @kernel
    def costs(constant: Any, linear: Any, terms: Any, groups: Any, values: Any, out: Any) -> None:
        term_indptr, term_variables, term_values = terms
        group_indptr, group_variables, group_weights, group_values, group_offsets = groups
        for r in range(values.shape[0]):
            total = constant
            for i in range(linear.size):
                total += linear[i] * values[r, i]
            for t in range(term_values.size):
                product = term_values[t]
                for q in range(term_indptr[t], term_indptr[t + 1]):
                    product *= values[r, term_variables[q]]
                total += product
            for g in range(group_values.size):
                combination = group_offsets[g]
                for k in range(group_indptr[g], group_indptr[g + 1]):
                    combination += group_weights[k] * values[r, group_variables[k]]
                total += group_values[g] * combination * combination
            out[r] = total

    return costs


@inlined()
def _slope(i: int, linear: Any, coefficients: Any, by_variable: Any, is_spin: Any, values: Any, marks: Any) -> Any:
    """What a change of x_i by 1 adds to the terms; ``marks`` as in ``general_descent``."""
    var_indptr, var_terms = by_variable[0], by_variable[1]
    slope = linear[i]
    for k in range(var_indptr[i], var_indptr[i + 1]):
        t = var_terms[k]
        if is_spin:
            slope += coefficients[t] * (marks[t] * values[i])
        elif marks[t] == 1 - values[i]:
            slope += coefficients[t]
    return slope


@cache
def general_descent() -> Any:
    """``descend(linear, terms, groups, by_variable, is_spin, values, sums, marks, tolerances, passes) -> flips``.

    Passes over the variables in order, flipping each whose flip lowers the cost by more than ``tolerances[i]``, until a
    pass flips nothing. values: (n,) int8, updated. sums: (G,) float64 scratch. marks: (T,) int32 scratch, the product
    of each term's spins, or how many of its bits are 0: so a variable takes as long as it has terms, however long these
    are. tolerances: (n,) float64 [cost], above rounding error, so that no cycle is possible; ``passes`` bounds the time
    nevertheless.
    """

    @kernel
    def descend(
        linear: Any,
        terms: Any,
        groups: Any,
        by_variable: Any,
        is_spin: Any,
        values: Any,
        sums: Any,
        marks: Any,
        tolerances: Any,
        passes: Any,
    ) -> int:
        term_indptr, term_variables, term_values = terms
        var_indptr, var_terms, member_indptr, member_groups, member_weights = by_variable
        for t in range(term_values.size):
            marks[t] = 1 if is_spin else 0
            for q in range(term_indptr[t], term_indptr[t + 1]):
                if is_spin:
                    marks[t] *= values[term_variables[q]]
                else:
                    marks[t] += 1 - values[term_variables[q]]
        flips = 0
        for _ in range(passes):
            before = flips
            add_up_groups(groups, values, sums)
            for i in range(values.size):
                dx = -2 * values[i] if is_spin else 1 - 2 * values[i]
                delta = dx * _slope(i, linear, term_values, by_variable, is_spin, values, marks)
                for k in range(member_indptr[i], member_indptr[i + 1]):
                    g = member_groups[k]
                    change = member_weights[k] * dx
                    delta += groups[3][g] * change * (2.0 * sums[g] + change)
                if delta < -tolerances[i]:
                    apply_flip(i, by_variable, values, sums, dx)
                    flips += 1
                    for k in range(var_indptr[i], var_indptr[i + 1]):
                        if is_spin:
                            marks[var_terms[k]] = -marks[var_terms[k]]
                        else:
                            marks[var_terms[k]] -= dx
            if flips == before:
                break
        return flips

    return descend

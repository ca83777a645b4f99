"""Path-integral sweeps of any problem in float64: many slices in imaginary time, clusters along it.

Shapes: n variables, P slices, D = 2 x pairs, T terms of three or more variables with K ids in all, G squared linear
combinations with M members in all. Slices are stored next to each other, so that what happens to all of them at once
runs over contiguous memory.

The P values of one variable are its world line, a ring. Of the weight

    prod_k exp(-beta cost(slice k)) * prod_i prod_k (1 if slices k and k + 1 agree on x_i, else cut)

the second part ties the values of a line together, with cut = tanh(beta gamma) for a transverse field gamma. A line is
updated as a whole: neighbours that agree are tied with probability 1 - cut, and every stretch of tied slices takes its
other value with the heat-bath probability of the sum of its changes of cost. Slices interact through the line alone, so
all stretches of a line are independent. (Metropolis would not do: where flips cost nothing it flips every stretch, and
no two neighbours that agree ever come to differ.)

References: R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987), doi:10.1103/PhysRevLett.58.86; H. Rieger, N.
Kawashima, Eur. Phys. J. B 9, 233 (1999), doi:10.1007/s100510050761.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@inlined()
def _draw(state: Any, draws: Any) -> None:
    """The next P numbers of a splitmix64 generator; the upper half of each ties, the lower half flips."""
    counter = state[0]
    for k in range(draws.size):
        z = counter + np.uint64(k + 1) * _GOLDEN
        z = (z ^ (z >> _30)) * _MIX1
        z = (z ^ (z >> _27)) * _MIX2
        draws[k] = z ^ (z >> _31)
    state[0] = counter + np.uint64(draws.size) * _GOLDEN


@inlined()
def _add_up_groups(groups: Any, values: Any, sums: Any) -> None:
    """sums[g, k] = offset_g + sum_j a_gj x_j in slice k."""
    indptr, variables, weights, _, offsets = groups
    for g in range(offsets.size):
        sums[g, :] = offsets[g]
        for m in range(indptr[g], indptr[g + 1]):
            j, weight = variables[m], weights[m]
            for k in range(values.shape[1]):
                sums[g, k] += weight * values[j, k]


@inlined()
def _deltas(i: int, arrays: Any, is_spin: Any, values: Any, sums: Any, deltas: Any, products: Any) -> None:
    """deltas[k]: change of cost if x_i took its other value in slice k alone. products: (P,) scratch."""
    linear, pairs, terms, groups, by_variable = arrays
    pair_indptr, neighbours, couplings = pairs
    term_indptr, term_variables, term_values = terms
    var_indptr, var_terms, member_indptr, member_groups, member_weights = by_variable
    slices = values.shape[1]
    for k in range(slices):
        deltas[k] = linear[i]
    for p in range(pair_indptr[i], pair_indptr[i + 1]):
        j, coupling = neighbours[p], couplings[p]
        for k in range(slices):
            deltas[k] += coupling * values[j, k]
    for p in range(var_indptr[i], var_indptr[i + 1]):
        t = var_terms[p]
        for k in range(slices):
            products[k] = term_values[t]
        for q in range(term_indptr[t], term_indptr[t + 1]):
            j = term_variables[q]
            if j != i:
                for k in range(slices):
                    products[k] *= values[j, k]
        for k in range(slices):
            deltas[k] += products[k]
    for k in range(slices):
        deltas[k] *= -2.0 * values[i, k] if is_spin else 1.0 - 2.0 * values[i, k]
    for m in range(member_indptr[i], member_indptr[i + 1]):
        g, weight = member_groups[m], member_weights[m]
        value = groups[3][g]
        for k in range(slices):
            change = weight * (-2.0 * values[i, k] if is_spin else 1.0 - 2.0 * values[i, k])
            deltas[k] += value * change * (2.0 * sums[g, k] + change)


@inlined()
def _flips(beta: Any, total: Any, draw: Any) -> Any:
    """The heat bath's decision: probability 1 / (1 + exp(beta * total)), also at beta = infinity."""
    uniform = (float(draw & _LOW) + 0.5) * 2.0**-32
    if total == 0.0:
        return uniform < 0.5
    return uniform * (1.0 + np.exp(beta * total)) < 1.0


@inlined()
def _turn(first: int, length: int, i: int, arrays: Any, is_spin: Any, values: Any, sums: Any) -> None:
    """Give ``length`` slices of x_i their other value, from slice ``first`` on around the ring."""
    _, _, member_indptr, member_groups, member_weights = arrays[4]
    slices = values.shape[1]
    for step in range(length):
        k = first + step
        if k >= slices:
            k -= slices
        dx = -2 * values[i, k] if is_spin else 1 - 2 * values[i, k]
        values[i, k] += dx
        for m in range(member_indptr[i], member_indptr[i + 1]):
            sums[member_groups[m], k] += member_weights[m] * dx


@inlined()
def _find_cuts(i: int, values: Any, draws: Any, threshold: Any, is_cut: Any) -> int:
    """is_cut[k]: whether slice k is not tied to the one before it; returns how many are not."""
    slices = values.shape[1]
    last = slices - 1
    is_cut[0] = values[i, 0] != values[i, last] or (draws[0] >> _32) < threshold
    count = 0
    for k in range(1, slices):
        is_cut[k] = (values[i, k] != values[i, k - 1]) | ((draws[k] >> _32) < threshold)
    for k in range(slices):
        count += is_cut[k]
    return count


@cache
def world_line_sweeps() -> Any:
    """``sweeps(arrays, is_spin, values, sums, state, betas, cuts)``: one sweep per entry of betas and cuts (S,).

    arrays: (linear (n,), pairs, terms, groups, by_variable), with pairs (indptr (n + 1,), neighbours (D,), couplings
    (D,)), terms (indptr (T + 1,), variables (K,), values (T,)), groups (indptr (G + 1,), variables (M,), weights (M,),
    values (G,), offsets (G,)), by_variable (indptr (n + 1,), terms (K,), indptr (n + 1,), groups (M,), weights (M,)).
    values: (n, P) int8, updated. sums: (G, P) float64 scratch. state: (1,) uint64, updated. betas: float64 [1/cost] of
    a slice, may be infinite. cuts: float64, the probability 0..1 that equal neighbours are not tied, 0 below 2**-32.
    """

    @kernel
    def sweeps(arrays: Any, is_spin: Any, values: Any, sums: Any, state: Any, betas: Any, cuts: Any) -> None:
        slices = values.shape[1]
        deltas, products = np.empty(slices), np.empty(slices)
        draws, is_cut = np.empty(slices, np.uint64), np.empty(slices, np.uint8)
        for sweep in range(betas.size):
            beta, threshold = betas[sweep], np.uint64(cuts[sweep] * 4294967296.0)
            _add_up_groups(arrays[3], values, sums)
            for i in range(values.shape[0]):
                _deltas(i, arrays, is_spin, values, sums, deltas, products)
                _draw(state, draws)
                stretches = max(1, _find_cuts(i, values, draws, threshold, is_cut))
                begin = 0  # of the first stretch; a ring without a cut is one stretch from anywhere
                while begin < slices - 1 and not is_cut[begin]:
                    begin += 1
                for _ in range(stretches):
                    length, total, k = 0, 0.0, begin
                    while length == 0 or (length < slices and not is_cut[k]):
                        total += deltas[k]
                        length += 1
                        k = k + 1 if k + 1 < slices else 0
                    if _flips(beta, total, draws[begin]):
                        _turn(begin, length, i, arrays, is_spin, values, sums)
                    begin = k

    return sweeps


@cache
def world_line_costs() -> Any:
    """``costs(constant, arrays, values, sums, out)``: of every slice of values (n, P), into out (P,)."""

    @kernel
    def costs(constant: Any, arrays: Any, values: Any, sums: Any, out: Any) -> None:
        linear, pairs, terms, groups, _ = arrays
        pair_indptr, neighbours, couplings = pairs
        term_indptr, term_variables, term_values = terms
        slices = values.shape[1]
        products = np.empty(slices)
        out[:] = constant
        for i in range(linear.size):
            products[:] = linear[i]
            for p in range(pair_indptr[i], pair_indptr[i + 1]):
                j, coupling = neighbours[p], couplings[p]
                if j < i:
                    for k in range(slices):
                        products[k] += coupling * values[j, k]
            for k in range(slices):
                out[k] += products[k] * values[i, k]
        for t in range(term_values.size):
            products[:] = term_values[t]
            for q in range(term_indptr[t], term_indptr[t + 1]):
                for k in range(slices):
                    products[k] *= values[term_variables[q], k]
            for k in range(slices):
                out[k] += products[k]
        _add_up_groups(groups, values, sums)
        for g in range(groups[3].size):
            for k in range(slices):
                out[k] += groups[3][g] * sums[g, k] * sums[g, k]

    return costs

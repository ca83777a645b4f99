"""Path-integral sweeps of any problem in float64: many slices in imaginary time, clusters along it.

Shapes: n variables, P slices, D = 2 x pairs, T terms of three or more variables with K ids in all, G squared linear
combinations with M members in all. Slices are stored next to each other, so that what happens to all of them at once
runs over contiguous memory.

The P values of one variable are its world line, a ring. Of the weight

    prod_k exp(-beta cost(slice k)) * prod_i prod_k (1 if slices k and k + 1 agree on x_i, else cut)

the second part ties the values of a line together, with cut = tanh(beta gamma) for a transverse field gamma. A line is
updated as a whole: neighbours that agree are tied with probability 1 - cut, and every stretch of tied slices takes its
other value with the heat-bath probability of the sum of its changes of cost. Slices interact through the line alone, so
all stretches of a line are independent. (The Metropolis rule fails here: where flips cost nothing it flips every
stretch, and neighbours that agree never come to differ.)

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
    begin, end = pair_indptr[i], pair_indptr[i + 1]
    for p in range(begin, end - 3, 4):  # four at a time: a quarter of the passes over deltas
        j0, j1, j2, j3 = neighbours[p], neighbours[p + 1], neighbours[p + 2], neighbours[p + 3]
        c0, c1, c2, c3 = couplings[p], couplings[p + 1], couplings[p + 2], couplings[p + 3]
        for k in range(slices):
            deltas[k] += c0 * values[j0, k] + c1 * values[j1, k] + (c2 * values[j2, k] + c3 * values[j3, k])
    for p in range(end - (end - begin) % 4, end):
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
def _exp(t: Any) -> Any:
    """exp(t) for |t| <= 24 to 5e-9 of its value: exp(t / 32) by its series, squared five times.

    In plain arithmetic, so that it is computed for many slices at once, and the same everywhere.
    """
    y = t * 0.03125
    power = 1.0 + y * (1.0 / 11.0)
    power = 1.0 + y * (0.1 * power)
    power = 1.0 + y * ((1.0 / 9.0) * power)
    power = 1.0 + y * (0.125 * power)
    power = 1.0 + y * ((1.0 / 7.0) * power)
    power = 1.0 + y * ((1.0 / 6.0) * power)
    power = 1.0 + y * (0.2 * power)
    power = 1.0 + y * (0.25 * power)
    power = 1.0 + y * ((1.0 / 3.0) * power)
    power = 1.0 + y * (0.5 * power)
    power = 1.0 + y * power
    power *= power
    power *= power
    power *= power
    power *= power
    return power * power


@inlined()
def _decide(beta: Any, totals: Any, draws: Any, flips: Any) -> None:
    """The heat bath's decisions: probability 1 / (1 + exp(beta * total)), also at beta = infinity."""
    for k in range(totals.size):
        t = beta * totals[k] if totals[k] != 0.0 else 0.0
        t = min(max(t, -24.0), 24.0)  # beyond, the 32 bits of the draw always decide alike
        uniform = (float(draws[k] & _LOW) + 0.5) * 2.0**-32
        flips[k] = uniform * (1.0 + _exp(t)) < 1.0


@inlined()
def _find_cuts(i: int, values: Any, draws: Any, threshold: Any, is_cut: Any) -> Any:
    """is_cut[k]: whether slice k is not tied to the one before it. Returns the first such k; P if there is none."""
    slices = values.shape[1]
    is_cut[0] = (values[i, 0] != values[i, slices - 1]) | ((draws[0] >> _32) < threshold)
    for k in range(1, slices):
        is_cut[k] = (values[i, k] != values[i, k - 1]) | ((draws[k] >> _32) < threshold)
    first = 0
    while first < slices and not is_cut[first]:
        first += 1
    return first


@inlined()
def _add_up_stretches(first: Any, is_cut: Any, deltas: Any) -> None:
    """Make deltas[k], where a stretch begins, its sum. The stretch of the slices before ``first`` begins at the end."""
    total = 0.0
    for k in range(first):
        total += deltas[k]
    for k in range(deltas.size - 1, first - 1, -1):
        total += deltas[k]
        deltas[k] = total
        total *= 1.0 - is_cut[k]  # no branch: it would be mispredicted half of the time


@inlined()
def _spread(first: Any, is_cut: Any, flips: Any) -> None:
    """Copy the decision of the beginning of each stretch to all its slices."""
    flip = flips[first]
    for k in range(first, flips.size):
        flip += is_cut[k] * (flips[k] - flip)
        flips[k] = flip
    for k in range(first):
        flips[k] = flip


@inlined()
def _turn(i: int, by_variable: Any, is_spin: Any, values: Any, sums: Any, flips: Any) -> None:
    """Give the slices of x_i that flip their other value."""
    _, _, member_indptr, member_groups, member_weights = by_variable
    slices = values.shape[1]
    for m in range(member_indptr[i], member_indptr[i + 1]):
        g, weight = member_groups[m], member_weights[m]
        for k in range(slices):
            sums[g, k] += weight * flips[k] * (-2.0 * values[i, k] if is_spin else 1.0 - 2.0 * values[i, k])
    for k in range(slices):
        values[i, k] += flips[k] * (-2 * values[i, k] if is_spin else 1 - 2 * values[i, k])


@cache
def world_line_sweeps() -> Any:
    """``sweeps(arrays, is_spin, values, sums, state, betas, cuts, part)``: one sweep per entry of betas, cuts (S,).

    arrays: (linear (n,), pairs, terms, groups, by_variable), with pairs (indptr (n + 1,), neighbours (D,), couplings
    (D,)), terms (indptr (T + 1,), variables (K,), values (T,)), groups (indptr (G + 1,), variables (M,), weights (M,),
    values (G,), offsets (G,)), by_variable (indptr (n + 1,), terms (K,), indptr (n + 1,), groups (M,), weights (M,)).
    values: (n, P) int8, updated. sums: (G, P) float64 scratch. state: (1,) uint64, updated. betas: float64 [1/cost] of
    a slice, may be infinite. cuts: float64, the probability 0..1 that equal neighbours are not tied, 0 below 2**-32.
    part: the first variable and the one after the last that are visited. A sweep may be made of several calls, one for
        each part in order, with the same scratch.
    """

    @kernel
    def sweeps(arrays: Any, is_spin: Any, values: Any, sums: Any, state: Any, betas: Any, cuts: Any, part: Any) -> None:
        slices = values.shape[1]
        deltas, products = np.empty(slices), np.empty(slices)
        draws = np.empty(slices, np.uint64)
        is_cut, flips = np.empty(slices, np.bool_), np.empty(slices, np.int8)
        for sweep in range(betas.size):
            beta, threshold = betas[sweep], np.uint64(cuts[sweep] * 4294967296.0)
            if part[0] == 0:
                _add_up_groups(arrays[3], values, sums)
            for i in range(part[0], part[1]):
                _deltas(i, arrays, is_spin, values, sums, deltas, products)
                _draw(state, draws)
                first = _find_cuts(i, values, draws, threshold, is_cut)
                if first == slices:  # one stretch all around
                    first = 0
                    is_cut[0] = True
                _add_up_stretches(first, is_cut, deltas)
                _decide(beta, deltas, draws, flips)
                _spread(first, is_cut, flips)
                _turn(i, arrays[4], is_spin, values, sums, flips)

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

"""Sweep of problems with terms of any size and squared linear combinations, 64 replicas at once.

Variables are bits as in ``packed``: word ``spins[i]`` holds lane r of variable i in bit r, set for spin -1 or for bit
1. The change of cost when variable i flips is twice

    constant_i - parity_i + s_i * (base_i - pairs_i - products_i + sum_g member_weight S_g),    s_i = 1 - 2 * bit_i

    pairs_i     couplings2[k] for every neighbour that is set
    parity_i    (spins) term_values2[k] for every term of i whose product is -1; one cached word per term says in which
                lanes that is, and an accepted flip of i toggles the words of its terms
    products_i  (bits) term_values2[k] for every term of i of which all other variables are 1: the AND of their words
    S_g         running sum of a squared linear combination, one per lane, never expanded into pairs

Everything is recomputed but the parity words and the running sums, which are set up anew at the beginning of a call and
of every sweep: so a group of lanes is its spins and its random state, and no rounding builds up.

Thresholds are those of ``packed``: compared with half the change of cost.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel, simd_available
from qiosk.kernels.packed import subtract_where_set
from qiosk.kernels.plain import klocal as plain
from qiosk.kernels.rng import LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT
from qiosk.kernels.thresholds import fill_thresholds, load_generators, set_scales, store_generators

if simd_available():
    from qiosk.kernels.simd import load, mask_to_word, pointer, select, splat, store, word_to_mask, zeros

LANES = 64
_ALL = np.uint64(2**64 - 1)


@inlined()
def _parity(spins: Any, variables: Any, begin: Any, end: Any) -> Any:
    """Lanes in which an odd number of the variables is set."""
    word = spins[variables[begin]]
    for q in range(begin + 1, end):
        word ^= spins[variables[q]]
    return word


@inlined()
def _all_set(spins: Any, variables: Any, begin: Any, end: Any) -> Any:
    """Lanes in which all of the variables are set."""
    word = spins[variables[begin]]
    for q in range(begin + 1, end):
        word &= spins[variables[q]]
    return word


@inlined()
def _set_parities(parities: Any, spins: Any, term_indptr: Any, term_variables: Any, n_terms: Any) -> None:
    for t in range(n_terms):
        parities[t] = _parity(spins, term_variables, term_indptr[t], term_indptr[t + 1])


@inlined()
def _add_up(total: Any, spins: Any, variables: Any, steps: Any, begin: Any, end: Any) -> Any:
    """``total`` plus ``steps[k]`` in the lanes where variable k of a linear combination is set."""
    for k in range(begin, end):
        total = select(word_to_mask(spins[variables[k]]), total + steps[k], total)
    return total


@inlined()
def _subtract_products(
    total: Any, spins: Any, terms: Any, indptr: Any, variables: Any, values: Any, begin: Any, end: Any
) -> Any:
    """``total`` less ``values[k]`` in the lanes where all variables of term ``terms[k]`` are set."""
    for k in range(begin, end):
        t = terms[k]
        product = word_to_mask(_all_set(spins, variables, indptr[t], indptr[t + 1]))
        total = select(product, total - values[k], total)
    return total


@cache
def klocal_sweeps(is_spin: bool) -> Any:
    """The sweep kernel for spins or for bits; specialized for an accumulator type, float32 or float64, when called.

    ``sweeps(pairs, terms, groups, constants, base, spins, generators, offsets, parities, sums, scales, lane_scales,
    pool, offset_mask, period, cap, uniform, n_sweeps)``. Shapes: n variables, P pairs, T terms with K ids, G groups
    with M members; "real" is the accumulator's type.

    pairs: indptr (n + 1,) int64, neighbors (2P,) int32, couplings2 (2P,) real: -2 J (spins), -J / 2 (bits).
    terms: indptr (T + 1,) int64 and variables (K,) int32 of each term; then by variable indptr (n + 1,) int64, terms
    (K,)
        int32, values2 (K,) real: -2 c (spins), -c / 2 (bits).
    groups: indptr (G + 1,) int64, variables (M,) int32, steps (M,) real and starts (G,) real of each group's sum: a
        member that is set adds its step, -2 a (spins) or a (bits), to the sum at nothing set; then by variable indptr
        (n + 1,) int64, groups (M,) int32, weights (M,) real: -2 c a (spins), c a (bits), and changes (M,) real: what
        setting the variable adds to the sum.
    constants, base: (n,) real. spins: base is -(h + sum J) and constants -sum c + sum 2 c a**2; bits: base is h / 2 and
        constants sum c a**2 / 2.
    spins: (n,) uint64; updated. parities: (T,) uint64 scratch, unused for bits. sums: (64 G,) real scratch.
    generators, offsets, scales, lane_scales, pool, offset_mask, period, cap, uniform, n_sweeps: as in ``packed``.
    """
    if not simd_available():
        return plain.klocal_sweeps(is_spin)

    @kernel
    def sweeps(
        pairs: Any,
        terms: Any,
        groups: Any,
        constants: Any,
        base: Any,
        spins: Any,
        generators: Any,
        offsets: Any,
        parities: Any,
        sums: Any,
        scales: Any,
        lane_scales: Any,
        pool: Any,
        offset_mask: Any,
        period: Any,
        cap: Any,
        uniform: Any,
        n_sweeps: Any,
    ) -> None:
        indptr, neighbors, couplings2 = pairs
        term_indptr, term_variables, terms_of_indptr, terms_of, values2 = terms
        group_indptr, members, steps, starts, groups_of_indptr, groups_of, weights, changes = groups
        spins_at, parities_at, sums_at, pool_at = pointer(spins), pointer(parities), pointer(sums), pointer(pool)
        neighbors_at, couplings2_at = pointer(neighbors), pointer(couplings2)
        terms_of_at, values2_at = pointer(terms_of), pointer(values2)
        term_indptr_at, term_variables_at = pointer(term_indptr), pointer(term_variables)
        groups_of_at, weights_at, changes_at = pointer(groups_of), pointer(weights), pointer(changes)
        members_at, steps_at, lane_scales_at = pointer(members), pointer(steps), pointer(lane_scales)
        a, b, c, d = load_generators(pointer(generators))
        zero = zeros(pool, LANES)
        state = offsets[0]
        if is_spin:
            _set_parities(parities_at, spins_at, term_indptr_at, term_variables_at, parities.size)
        for sweep in range(n_sweeps):
            if uniform:
                set_scales(lane_scales_at, LANES, scales[sweep])
            for g in range(starts.size):
                start = splat(starts[g], LANES)
                total = _add_up(start, spins_at, members_at, steps_at, group_indptr[g], group_indptr[g + 1])
                store(sums_at, g * LANES, total)
            until_fill = 0
            for i in range(base.size):
                if until_fill == 0:
                    until_fill = period
                    a, b, c, d = fill_thresholds(pool_at, pool.size, lane_scales_at, LANES - 1, cap, a, b, c, d)
                until_fill -= 1
                state = state * LCG_MULTIPLIER + LCG_INCREMENT
                begin, end = terms_of_indptr[i], terms_of_indptr[i + 1]
                first_group, last_group = groups_of_indptr[i], groups_of_indptr[i + 1]
                is_set = word_to_mask(spins_at[i])
                half = splat(constants[i], LANES)
                signed = subtract_where_set(
                    splat(base[i], LANES), zero, spins_at, 1, neighbors_at, couplings2_at, indptr[i], indptr[i + 1]
                )
                if is_spin:
                    half = subtract_where_set(half, zero, parities_at, 1, terms_of_at, values2_at, begin, end)
                else:
                    word = spins_at[i]
                    spins_at[i] = _ALL  # then the AND of all variables of a term is that of the others
                    signed = _subtract_products(
                        signed, spins_at, terms_of_at, term_indptr_at, term_variables_at, values2_at, begin, end
                    )
                    spins_at[i] = word
                for k in range(first_group, last_group):
                    signed = signed + load(sums_at, groups_of_at[k] * LANES, LANES) * weights_at[k]
                half = half + select(is_set, zero - signed, signed)
                flips = half <= load(pool_at, (state >> OFFSET_SHIFT) & offset_mask, LANES)
                word = mask_to_word(flips)
                spins_at[i] ^= word
                if is_spin:
                    for k in range(begin, end):
                        parities_at[terms_of_at[k]] ^= word
                for k in range(first_group, last_group):
                    at = groups_of_at[k] * LANES
                    change = splat(changes_at[k], LANES)
                    change = select(flips, select(is_set, zero - change, change), zero)
                    store(sums_at, at, load(sums_at, at, LANES) + change)
        store_generators(pointer(generators), a, b, c, d)
        offsets[0] = state

    return sweeps


@cache
def klocal_costs(is_spin: bool) -> Any:
    """The cost kernel: ``costs(start, linear2, terms, groups, spins, out)``, added up in float64.

    start: the cost without groups at nothing set. linear2: (n,) what a set variable takes off it.
    terms: indptr (T + 1,), variables (K,), values2 (T,): what a term (pairs among them) takes off ``start`` where its
    product is -1 (spins) or 1 (bits): 2 c or -c.
    groups: indptr (G + 1,), variables (M,), steps (M,), starts (G,), values (G,) c; all float64.
    spins: (n,) uint64. out: (64,) float64.
    """
    if not simd_available():
        return plain.klocal_costs(is_spin)

    @kernel
    def costs(start: Any, linear2: Any, terms: Any, groups: Any, spins: Any, out: Any) -> None:
        term_indptr, term_variables, values2 = terms
        group_indptr, members, steps, starts, values = groups
        spins_at, variables_at, members_at, steps_at = (
            pointer(spins),
            pointer(term_variables),
            pointer(members),
            pointer(steps),
        )
        total = splat(start, LANES)
        for i in range(linear2.size):
            total = select(word_to_mask(spins_at[i]), total - linear2[i], total)
        for t in range(values2.size):
            if is_spin:
                word = _parity(spins_at, variables_at, term_indptr[t], term_indptr[t + 1])
            else:
                word = _all_set(spins_at, variables_at, term_indptr[t], term_indptr[t + 1])
            total = select(word_to_mask(word), total - values2[t], total)
        for g in range(values.size):
            combination = splat(starts[g], LANES)
            combination = _add_up(combination, spins_at, members_at, steps_at, group_indptr[g], group_indptr[g + 1])
            total = total + combination * combination * values[g]
        store(out, 0, total)

    return costs

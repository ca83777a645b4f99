"""Sweep of problems with terms of any size and squared linear combinations, many replicas at once.

Variables are bits as in ``packed``: word ``spins[i * words + r // 64]`` holds lane r of variable i in bit r % 64, set
for spin -1 or for bit 1. The change of cost when variable i flips is twice

    constant_i - parity_i + s_i * (base_i - pairs_i - products_i + sum_g member_weight S_g),    s_i = 1 - 2 * bit_i

    pairs_i     couplings2[k] for every neighbour that is set
    parity_i    (spins) term_values2[k] for every term of i whose product is -1; cached words of each term mark those
                lanes, and an accepted flip of i toggles those of its terms
    products_i  (bits) term_values2[k] for every term of i of which all other variables are 1: the AND of their words
    S_g         running sum of a squared linear combination, one per lane, never expanded into pairs

Everything is recomputed except the parity words and the running sums, which are set up again at the beginning of a call
and of every sweep: so a group of lanes is its spins and its random state, and no rounding builds up.

Thresholds are those of ``packed``: compared with half the change of cost. So are the types of the accumulator: integers
are exact while every half change fits the type, even if sums on the way to it wrap.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import inlined, kernel, simd_available
from qiosk.kernels.plain import klocal as plain
from qiosk.kernels.rng import LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT
from qiosk.kernels.sweeps.packed import subtract_where_set
from qiosk.kernels.sweeps.thresholds import fill_thresholds, load_generators, set_scales, store_generators

if simd_available():
    from qiosk.kernels.simd import (
        at_most,
        load,
        load_mask,
        load_words,
        mask_to_words,
        pointer,
        select,
        splat,
        store,
        store_mask,
        words_to_mask,
        zeros,
    )


@inlined()
def _parity(spins: Any, words: Any, word: Any, variables: Any, begin: Any, end: Any, lanes: Any) -> Any:
    """Bits of ``lanes`` lanes, from word ``word`` of each on: whether an odd number of the variables is set."""
    odd = load_words(spins, variables[begin] * words + word, lanes)
    for q in range(begin + 1, end):
        odd = odd ^ load_words(spins, variables[q] * words + word, lanes)
    return odd


@inlined()
def _all_set(spins: Any, words: Any, word: Any, variables: Any, begin: Any, end: Any, lanes: Any) -> Any:
    """Bits of ``lanes`` lanes, from word ``word`` of each on: whether all of the variables are set."""
    every = load_words(spins, variables[begin] * words + word, lanes)
    for q in range(begin + 1, end):
        every = every & load_words(spins, variables[q] * words + word, lanes)
    return every


@inlined()
def _add_up(total: Any, spins: Any, words: Any, word: Any, variables: Any, steps: Any, begin: Any, end: Any) -> Any:
    """``total`` plus ``steps[k]`` in the lanes where variable k of a linear combination is set."""
    for k in range(begin, end):
        total = select(load_mask(spins, variables[k] * words + word, total), total + steps[k], total)
    return total


@inlined()
def _subtract_products(
    total: Any, spins: Any, words: Any, terms: Any, indptr: Any, variables: Any, values: Any, begin: Any, end: Any
) -> Any:
    """``total`` less ``values[k]`` in the lanes where all variables of term ``terms[k]`` are set."""
    for k in range(begin, end):
        t = terms[k]
        product = _all_set(spins, words, 0, variables, indptr[t], indptr[t + 1], total)
        total = select(words_to_mask(product), total - values[k], total)
    return total


@cache
def klocal_sweeps(is_spin: bool, lanes: int, ladder: bool = False) -> Any:
    """The sweep kernel for spins or for bits and 64, 128, ... lanes; specialized for an accumulator type when called.

    Replicas of a ``ladder`` are scaled where thresholds are used, as in ``packed``.

    ``sweeps(pairs, terms, groups, constants, base, spins, generators, offsets, parities, sums, thresholds, part)``.
    Shapes: n variables, P pairs, T terms with K ids, G groups with M members; "real" is the accumulator's type: int8,
    int16, float32 or float64.

    pairs: indptr (n + 1,) int64, neighbors (2P,) int32, couplings2 (2P,) real: -2 J (spins), -J / 2 (bits).
    terms: indptr (T + 1,) int64 and variables (K,) int32 of each term; then by variable indptr (n + 1,) int64, terms
        (K,) int32, values2 (K,) real: -2 c (spins), -c / 2 (bits).
    groups: indptr (G + 1,) int64, variables (M,) int32, steps (M,) real and starts (G,) real of each group's sum: a
        member that is set adds its step, -2 a (spins) or a (bits), to the sum at nothing set; then by variable indptr
        (n + 1,) int64, groups (M,) int32, weights (M,) real: -2 c a (spins), c a (bits), and changes (M,) real: what
        setting the variable adds to the sum.
    constants, base: (n,) real. spins: base is -(h + sum J) and constants -sum c + sum 2 c a**2; bits: base is h / 2 and
        constants sum c a**2 / 2.
    spins: (n * lanes / 64,) uint64; updated. parities: (T * lanes / 64,) uint64 scratch, unused for bits. sums: (lanes
    G,) real scratch.
    generators, offsets, thresholds, part: as in ``packed``.
    """
    if not simd_available():
        return plain.klocal_sweeps(is_spin, lanes, ladder)
    words = lanes // 64

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
        thresholds: Any,
        part: Any,
    ) -> None:
        scales, lane_scales, pool, offset_mask, period, cap, uniform, n_sweeps = thresholds
        indptr, neighbors, couplings2 = pairs
        term_indptr, term_variables, terms_of_indptr, terms_of, values2 = terms
        group_indptr, members, steps, starts, groups_of_indptr, groups_of, weights, changes = groups
        spins_at, parities_at, sums_at, pool_at = pointer(spins), pointer(parities), pointer(sums), pointer(pool)
        neighbors_at, couplings2_at = pointer(neighbors), pointer(couplings2)
        terms_of_at, values2_at = pointer(terms_of), pointer(values2)
        term_indptr_at, term_variables_at = pointer(term_indptr), pointer(term_variables)
        groups_of_at, weights_at, changes_at = pointer(groups_of), pointer(weights), pointer(changes)
        members_at, steps_at = pointer(members), pointer(steps)
        scales_at, lane_scales_at = pointer(scales), pointer(lane_scales)
        a, b, c, d = load_generators(pointer(generators))
        zero = zeros(base, lanes)
        state = offsets[0]
        if is_spin and part[0] == 0:
            for t in range(parities.size // words):
                odd = _parity(spins_at, words, 0, term_variables_at, term_indptr[t], term_indptr[t + 1], lanes)
                store(parities_at, t * words, odd)
        for sweep in range(n_sweeps):
            if uniform:
                set_scales(lane_scales_at, lanes, scales[sweep])
            for g in range(starts.size if part[0] == 0 else 0):
                start = splat(starts[g], lanes)
                total = _add_up(start, spins_at, words, 0, members_at, steps_at, group_indptr[g], group_indptr[g + 1])
                store(sums_at, g * lanes, total)
            until_fill = -part[0] % period
            for i in range(part[0], part[1]):
                if until_fill == 0:
                    until_fill = period
                    a, b, c, d = fill_thresholds(pool_at, pool.size, lane_scales_at, lanes - 1, cap, a, b, c, d)
                until_fill -= 1
                state = state * LCG_MULTIPLIER + LCG_INCREMENT
                begin, end = terms_of_indptr[i], terms_of_indptr[i + 1]
                first_group, last_group = groups_of_indptr[i], groups_of_indptr[i + 1]
                set_bits = load_words(spins_at, i * words, lanes)  # without AVX-512 a wide mask over loops is slow
                half = splat(constants[i], lanes)
                signed = subtract_where_set(
                    splat(base[i], lanes), zero, spins_at, words, neighbors_at, couplings2_at, indptr[i], indptr[i + 1]
                )
                if is_spin:
                    half = subtract_where_set(half, zero, parities_at, words, terms_of_at, values2_at, begin, end)
                else:
                    store_mask(spins_at, i * words, zero == zero)  # then the product of a term is that of the others
                    signed = _subtract_products(
                        signed, spins_at, words, terms_of_at, term_indptr_at, term_variables_at, values2_at, begin, end
                    )
                for k in range(first_group, last_group):
                    signed = signed + load(sums_at, groups_of_at[k] * lanes, lanes) * weights_at[k]
                is_set = words_to_mask(set_bits)
                half = half + select(is_set, zero - signed, signed)
                threshold = load(pool_at, (state >> OFFSET_SHIFT) & offset_mask, lanes)
                if ladder:  # noqa: SIM108 - pruned when compiled, where a conditional expression would be typed whole
                    flips = at_most(half, threshold * load(scales_at, 0, lanes))
                else:
                    flips = half <= threshold
                store_mask(spins_at, i * words, is_set ^ flips)
                if is_spin:
                    toggled = mask_to_words(flips)
                    for k in range(begin, end):
                        at = terms_of_at[k] * words
                        store(parities_at, at, load_words(parities_at, at, lanes) ^ toggled)
                for k in range(first_group, last_group):
                    at = groups_of_at[k] * lanes
                    change = splat(changes_at[k], lanes)
                    change = select(words_to_mask(set_bits), zero - change, change)
                    change = select(flips, change, zero)
                    store(sums_at, at, load(sums_at, at, lanes) + change)
        store_generators(pointer(generators), a, b, c, d)
        offsets[0] = state

    return sweeps


@cache
def klocal_costs(is_spin: bool, lanes: int) -> Any:
    """The cost kernel: ``costs(start, linear2, terms, groups, spins, out)``, added up in float64.

    start: the cost without groups at nothing set. linear2: (n,) what a set variable takes off it.
    terms: indptr (T + 1,), variables (K,), values2 (T,): what a term (pairs among them) takes off ``start`` where its
    product is -1 (spins) or 1 (bits): 2 c or -c.
    groups: indptr (G + 1,), variables (M,), steps (M,), starts (G,), values (G,) c; all float64.
    spins: (n * lanes / 64,) uint64. out: (lanes,) float64.
    """
    if not simd_available():
        return plain.klocal_costs(is_spin, lanes)
    words = lanes // 64

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
        for w in range(words):  # 64 float64 fill eight registers
            total = splat(start, 64)
            for i in range(linear2.size):
                total = select(load_mask(spins_at, i * words + w, 64), total - linear2[i], total)
            for t in range(values2.size):
                first, last = term_indptr[t], term_indptr[t + 1]
                if is_spin:
                    less = _parity(spins_at, words, w, variables_at, first, last, total)
                else:
                    less = _all_set(spins_at, words, w, variables_at, first, last, total)
                total = select(words_to_mask(less), total - values2[t], total)
            for g in range(values.size):
                first, last = group_indptr[g], group_indptr[g + 1]
                combination = _add_up(splat(starts[g], 64), spins_at, words, w, members_at, steps_at, first, last)
                total = total + combination * combination * values[g]
            store(out, 64 * w, total)

    return costs

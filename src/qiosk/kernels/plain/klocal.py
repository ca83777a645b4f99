"""Reference kernels of ``kernels.klocal``, in plain loops; the arguments are documented there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel
from qiosk.kernels.plain.random import fill_thresholds
from qiosk.kernels.rng import GENERATORS, LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT

_ONE = np.uint64(1)


@inlined()
def _is_set(bits: Any, words: Any, i: Any, r: Any) -> bool:
    return bool((bits[i * words + r // 64] >> np.uint64(r % 64)) & _ONE)


@inlined()
def _n_set(spins: Any, words: Any, variables: Any, begin: Any, end: Any, r: Any) -> int:
    count = 0
    for q in range(begin, end):
        count += _is_set(spins, words, variables[q], r)
    return count


@inlined()
def _subtract_where_set(
    total: Any, bits: Any, words: Any, indices: Any, values: Any, begin: Any, end: Any, r: Any
) -> Any:
    """As the vector kernel: even and odd k apart."""
    odd = total - total
    for q in range(end - begin):
        k = begin + q
        if _is_set(bits, words, indices[k], r):
            if q % 2 == 1:
                odd -= values[k]
            else:
                total -= values[k]
    return total + odd


@inlined()
def _combination(start: Any, spins: Any, words: Any, variables: Any, steps: Any, begin: Any, end: Any, r: Any) -> Any:
    for k in range(begin, end):
        if _is_set(spins, words, variables[k], r):
            start += steps[k]
    return start


@cache
def klocal_sweeps(is_spin: bool, lanes: int, ladder: bool = False) -> Any:
    """Reference kernel of ``kernels.klocal.klocal_sweeps``."""
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
        if is_spin and part[0] == 0:
            parities[:] = 0
            for t in range(parities.size // words):
                for q in range(term_indptr[t], term_indptr[t + 1]):
                    for w in range(words):
                        parities[t * words + w] ^= spins[term_variables[q] * words + w]
        for sweep in range(n_sweeps):
            if uniform:
                lane_scales[:] = scales[sweep]
            for g in range(starts.size if part[0] == 0 else 0):
                for r in range(lanes):
                    first, last = group_indptr[g], group_indptr[g + 1]
                    sums[g * lanes + r] = _combination(starts[g], spins, words, members, steps, first, last, r)
            for i in range(part[0], part[1]):
                if i % period == 0:
                    fill_thresholds(pool, pool.size, generators, GENERATORS, lane_scales, cap)
                offsets[0] = offsets[0] * LCG_MULTIPLIER + LCG_INCREMENT
                offset = int((offsets[0] >> OFFSET_SHIFT) & offset_mask)
                for r in range(lanes):
                    half = constants[i]
                    begin, end = terms_of_indptr[i], terms_of_indptr[i + 1]
                    signed = _subtract_where_set(
                        base[i], spins, words, neighbors, couplings2, indptr[i], indptr[i + 1], r
                    )
                    own = _is_set(spins, words, i, r)
                    if is_spin:
                        half = _subtract_where_set(half, parities, words, terms_of, values2, begin, end, r)
                    else:
                        for k in range(begin, end):
                            first, last = term_indptr[terms_of[k]], term_indptr[terms_of[k] + 1]
                            if _n_set(spins, words, term_variables, first, last, r) == last - first - 1 + own:
                                signed -= values2[k]
                    first, last = groups_of_indptr[i], groups_of_indptr[i + 1]
                    for k in range(first, last):
                        signed += sums[groups_of[k] * lanes + r] * weights[k]
                    half += -signed if own else signed
                    threshold = pool[offset + r] * scales[r] if ladder else pool[offset + r]
                    if half <= threshold:
                        bit = _ONE << np.uint64(r % 64)
                        spins[i * words + r // 64] ^= bit
                        if is_spin:
                            for k in range(begin, end):
                                parities[terms_of[k] * words + r // 64] ^= bit
                        for k in range(first, last):
                            sums[groups_of[k] * lanes + r] += -changes[k] if own else changes[k]

    return sweeps


@cache
def klocal_costs(is_spin: bool, lanes: int) -> Any:
    """Reference kernel of ``kernels.klocal.klocal_costs``."""
    words = lanes // 64

    @kernel
    def costs(start: Any, linear2: Any, terms: Any, groups: Any, spins: Any, out: Any) -> None:
        term_indptr, term_variables, values2 = terms
        group_indptr, members, steps, starts, values = groups
        for r in range(lanes):
            total = start
            for i in range(linear2.size):
                if _is_set(spins, words, i, r):
                    total -= linear2[i]
            for t in range(values2.size):
                size = term_indptr[t + 1] - term_indptr[t]
                n_set = _n_set(spins, words, term_variables, term_indptr[t], term_indptr[t + 1], r)
                if (n_set % 2 == 1) if is_spin else (n_set == size):
                    total -= values2[t]
            for g in range(values.size):
                combination = _combination(
                    starts[g], spins, words, members, steps, group_indptr[g], group_indptr[g + 1], r
                )
                total += combination * combination * values[g]
            out[r] = total

    return costs

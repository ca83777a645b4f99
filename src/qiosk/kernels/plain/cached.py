"""Reference kernel of ``kernels.cached``, and what needs no vectors: fields, costs and an order of variables."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel
from qiosk.kernels.plain.random import minus_log2, next_uint32

BLOCK = 64
"""Variables tested at once."""
REFRESH_SWEEPS = 256
"""Sweeps after which fields are summed again."""
PADDING = 3e38
"""Field of a padding variable: larger than every threshold, and finite in float32."""


@inlined()
def add_up_fields(indptr: Any, neighbors: Any, couplings2: Any, base: Any, spins: Any, fields: Any) -> None:
    """fields_i = base_i - sum_j J_ij s_j of one replica, summed in float64; its padding is left alone."""
    for i in range(base.size):
        total = base[i]
        for k in range(indptr[i], indptr[i + 1]):
            total -= np.float64(0.5) * couplings2[k] * spins[neighbors[k]]
        fields[i] = total


@inlined()
def draw_block(generators: Any, replica: Any, out: Any) -> None:
    """-log2(u) for a block of variables of one replica, whose generators advance."""
    mine = generators[replica * 4 * BLOCK : (replica + 1) * 4 * BLOCK]
    for lane in range(BLOCK):
        out[lane] = minus_log2(next_uint32(mine, lane, BLOCK))


@cache
def fields_of() -> Any:
    """``fill(indptr, neighbors, couplings2, base, spins, fields)``: the fields of every row of ``spins`` (R, N)."""

    @kernel
    def fill(indptr: Any, neighbors: Any, couplings2: Any, base: Any, spins: Any, fields: Any) -> None:
        for r in range(spins.shape[0]):
            fields[r, base.size :] = PADDING
            add_up_fields(indptr, neighbors, couplings2, base, spins[r], fields[r])

    return fill


@cache
def field_costs() -> Any:
    """``costs(base, spins, fields, out)``: sum_i h_i s_i + sum_p J_p s s of every row, from its fields.

    It is half the sum of s_i (h_i - field_i), added up in float64; base is (n,) -h_i, out (R,) float64.
    """

    @kernel
    def costs(base: Any, spins: Any, fields: Any, out: Any) -> None:
        for r in range(spins.shape[0]):
            total = 0.0
            for i in range(base.size):
                total -= np.float64(spins[r, i]) * (base[i] + np.float64(fields[r, i]))
            out[r] = 0.5 * total

    return costs


@cache
def color_order() -> Any:
    """``order(indptr, neighbors, colors, used)``: greedy coloring, largest color returned.

    colors: (n,) int32, set to the least color that no earlier neighbour has. used: (n + 1,) int32 scratch, at -1.
    """

    @kernel
    def order(indptr: Any, neighbors: Any, colors: Any, used: Any) -> int:
        largest = 0
        for i in range(colors.size):
            for k in range(indptr[i], indptr[i + 1]):
                if neighbors[k] < i:
                    used[colors[neighbors[k]]] = i
            color = 0
            while used[color] == i:
                color += 1
            colors[i] = color
            largest = max(largest, color)
        return largest

    return order


@cache
def cached_sweeps() -> Any:
    """Reference kernel of ``kernels.cached.cached_sweeps``; the arguments are documented there."""

    @kernel
    def sweeps(
        indptr: Any,
        neighbors: Any,
        couplings2: Any,
        base: Any,
        spins: Any,
        fields: Any,
        generators: Any,
        age: Any,
        scales: Any,
        by_replica: Any,
        n_sweeps: Any,
        part: Any,
    ) -> None:
        drawn = np.empty(BLOCK, np.float32)
        for r in range(spins.shape[0]):
            for sweep in range(n_sweeps):
                if part[0] == 0 and (age[0] + sweep) % REFRESH_SWEEPS == 0:
                    add_up_fields(indptr, neighbors, couplings2, base, spins[r], fields[r])
                scale = scales[r] if by_replica else scales[sweep]
                for i in range(part[0], part[1]):
                    if i % BLOCK == 0:
                        draw_block(generators, r, drawn)
                    if fields[r, i] * spins[r, i] <= drawn[i % BLOCK] * scale:
                        s = spins[r, i]
                        spins[r, i] = -s
                        for k in range(indptr[i], indptr[i + 1]):
                            fields[r, neighbors[k]] += s * couplings2[k]
        if part[1] == spins.shape[1]:
            age[0] += n_sweeps

    return sweeps

"""Exchanges between neighbours on tempering ladders."""

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
def _uniform(state: Any, place: Any) -> Any:
    """Number ``place`` of the stream in (0, 1): a splitmix64 hash."""
    x = state + np.uint64(place) * _GOLDEN
    x = (x ^ (x >> _30)) * _MIX1
    x = (x ^ (x >> _27)) * _MIX2
    return (np.float64((x ^ (x >> _31)) >> _11) + 0.5) * 2.0**-53


@cache
def exchanges() -> Any:
    """``exchange(ladder, costs, lane_at, first, state, accepted)``: pairs (k, k + 1) for k = first, first + 2, ...

    Neighbours change places with probability min(1, exp((beta' - beta) (cost' - cost))). Shapes: W ladders of K rungs.

    ladder: (K,) float64 betas [1/cost]. costs: float64 cost of every lane. lane_at: (W, K) int64 lane on each rung;
    updated. state: (1,) uint64, of a stream of its own for every call. accepted: (K - 1,) float64; counted up.
    Plain loops: it is its own reference kernel.
    """

    @kernel
    def exchange(ladder: Any, costs: Any, lane_at: Any, first: Any, state: Any, accepted: Any) -> None:
        place = 0
        for w in range(lane_at.shape[0]):
            for k in range(first, lane_at.shape[1] - 1, 2):
                place += 1
                hotter, colder = lane_at[w, k], lane_at[w, k + 1]
                gain = (ladder[k + 1] - ladder[k]) * (costs[colder] - costs[hotter])
                if np.log(_uniform(state[0], place)) < gain:
                    lane_at[w, k], lane_at[w, k + 1] = colder, hotter
                    accepted[k] += 1.0

    return exchange

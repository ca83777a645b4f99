"""Spins that feel the same, or the opposite, of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from qiosk.kernels.presolve.graph import Graph


def merge_twins(graph: Graph, *, is_strict: bool) -> int:
    """Merge twins; returns how many spins are taken out. Merges may make further twins."""
    from qiosk.kernels.presolve.twins import merge_coupled_twins, merge_separate_twins, reduced_sums, sum_couplings

    n = len(graph.start)
    divisors, sums, marks = np.zeros((3, n), np.int64)
    with np.errstate(over="ignore"):  # sums are modulo 2**64
        sum_couplings()(graph, divisors, sums)
        count = int(merge_coupled_twins()(graph, sums, marks))
        reduced_sums()(graph, divisors, sums)
        spins = np.flatnonzero(graph.is_left)
        spins = spins[np.argsort(sums[spins], kind="stable")]
        if len(spins) > 1:
            count += int(merge_separate_twins()(graph, spins, sums, divisors, marks, is_strict))
    return count

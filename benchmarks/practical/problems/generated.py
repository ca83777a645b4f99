"""Packings and choices from fixed seeds: the data of a :class:`BinPacking` or a :class:`Selection`."""

from __future__ import annotations

from typing import Any

import numpy as np


def triplets(bins: int, seed: int) -> dict[str, Any]:
    """Three items that fill each bin exactly, of a quarter to half of its size (after E. Falkenauer)."""
    rng = np.random.default_rng(seed)
    capacity, sizes = 100, list[int]()
    for _ in range(bins):
        large = int(rng.integers(38, 50))
        middle = int(rng.integers(26, capacity - large - 25))
        sizes += [large, middle, capacity - large - middle]
    rng.shuffle(sizes)
    return {"sizes": [*map(int, sizes)], "capacity": capacity, "bins": bins + 2}


def uniform_bins(items: int, seed: int, bins: int) -> dict[str, Any]:
    """Items of 20 to 100 in bins of 150 (as OR-Library's u classes)."""
    return {"sizes": np.random.default_rng(seed).integers(20, 101, items).tolist(), "capacity": 150, "bins": bins}


def partitioning(rows: int, columns: int, seed: int) -> dict[str, Any]:
    """Columns of two to six rows; those of a planted partition are among them."""
    rng = np.random.default_rng(seed)
    sets = np.array_split(rng.permutation(rows), rows // 4)
    sets += [rng.choice(rows, int(rng.integers(2, 7)), replace=False) for _ in range(columns - len(sets))]
    costs = [int(10 * len(members) + rng.integers(0, 20)) for members in sets]
    order = rng.permutation(columns)
    weights = np.zeros((rows, columns), np.int64)
    for place, k in enumerate(order):
        weights[sets[k], place] = 1
    return {"costs": [costs[k] for k in order], "weights": weights.tolist(), "limits": [1] * rows, "is_equal": True}


def knapsacks(items: int, limits: int, seed: int) -> dict[str, Any]:
    """Weights to 1000, half of which fit, and profits that go with them (P. C. Chu, J. E. Beasley)."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 1001, (limits, items))
    profits = weights.sum(axis=0) // limits + rng.integers(0, 501, items)
    limit = (weights.sum(axis=1) // 2).tolist()
    return {"costs": (-profits).tolist(), "weights": weights.tolist(), "limits": limit, "is_equal": False}


def subset_sums(items: int, digits: int, seed: int) -> dict[str, Any]:
    """Numbers of at most so many digits, half of which have a sum that is asked for; all choices cost nothing."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 10**digits, items)
    planted = rng.permutation(items)[: items // 2]
    limit = [int(numbers[planted].sum())]
    return {"costs": [0] * items, "weights": [numbers.tolist()], "limits": limit, "is_equal": True}

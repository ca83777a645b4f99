"""Generated problems of every kind."""

from __future__ import annotations

import itertools

import numpy as np

from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from strategies import cost_function


def random_problem(
    kind: str, n: int, *, locality: int, seed: int, integers: bool = True, density: float = 0.7
) -> CompiledProblem:
    """Terms of up to ``locality`` variables and, for grouped kinds, two squared linear combinations."""
    rng = np.random.default_rng([seed, n, locality])

    def coefficient() -> float:
        return float(rng.integers(-3, 4)) if integers else float(rng.normal())

    terms = [(coefficient(), [])] + [(0.0, [i]) for i in range(n)]
    subsets = itertools.chain.from_iterable(itertools.combinations(range(n), k) for k in range(1, locality + 1))
    terms += [(coefficient(), list(ids)) for ids in subsets if rng.random() < density / len(ids)]
    groups = []
    if kind.endswith("grouped"):
        for _ in range(2):
            members = [(coefficient(), i) for i in range(n) if rng.random() < 0.8]
            groups.append((coefficient() / 2, [*members, (coefficient(), None)]))
    return compile_problem(cost_function(kind, terms, groups))


def sliceable_problem(kind: str, n: int, *, most: int, seed: int) -> CompiledProblem:
    """Couplings and fields of a few units: per spin at most ``most`` in all, of either parity; of either domain."""
    rng = np.random.default_rng([seed, n, most])
    room = rng.integers(max(0, most - 2), most + 1, n)
    linear, pairs = np.zeros(n), []
    for _ in range(most * n):
        i, j = (int(k) for k in rng.integers(n, size=2))
        if i != j and room[i] > 0 and room[j] > 0:
            pairs.append((float(rng.choice([-1.0, 1.0])), sorted((i, j))))
            room[[i, j]] -= 1
    filled = rng.random(n) < 0.5
    linear[filled] = (room * rng.choice([-1, 1], n))[filled]
    if kind == "pubo":  # s = 1 - 2 x
        for value, (i, j) in pairs:
            linear[[i, j]] += value
        linear, pairs = -2 * linear, [(4 * value, ids) for value, ids in pairs]
    unit = float(rng.choice([1.0, 0.3]))
    terms = [(unit * float(h), [i]) for i, h in enumerate(linear)]
    return compile_problem(cost_function(kind, [(0.7, []), *terms, *((unit * v, ids) for v, ids in pairs)]))

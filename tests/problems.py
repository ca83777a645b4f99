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

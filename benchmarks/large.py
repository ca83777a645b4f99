"""Problems on which heuristics of the literature are strongest: dense ones, wide weights, sparse cuts; fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.families import dense_cut, qubo, sparse_cut, wide
from benchmarks.instance import Instance
from qiosk.model.cost_function import CostFunction

_MAKERS: Mapping[str, Callable[[np.random.Generator], CostFunction]] = {
    "qubo 2500 0.1": lambda rng: qubo(rng, 2500, 0.1),
    "qubo 3000 0.5": lambda rng: qubo(rng, 3000, 0.5),
    "qubo 3000 0.8": lambda rng: qubo(rng, 3000, 0.8),
    "cut 3000 1.0": lambda rng: dense_cut(rng, 3000),
    "qubo 5000 0.5": lambda rng: qubo(rng, 5000, 0.5),
    "qubo 10000 0.1": lambda rng: qubo(rng, 10_000, 0.1),
    "wide 2000": lambda rng: wide(rng, 2000, 6000),
    "cut 2000 8000": lambda rng: sparse_cut(rng, 2000, 8000),
    "cut 7000 17000": lambda rng: sparse_cut(rng, 7000, 17000),
    "cut 10000 20000": lambda rng: sparse_cut(rng, 10_000, 20_000),
}


def names() -> list[str]:
    """Every problem here."""
    return list(_MAKERS)


def make(name: str) -> Instance:
    """The problem of a name; its seed is the place in the list. Raises SystemExit with the names there are."""
    if name not in _MAKERS:
        raise SystemExit(f"problem {name!r} is unknown; problems are {', '.join(_MAKERS)}")
    return Instance(name, _MAKERS[name](np.random.default_rng((11, list(_MAKERS).index(name)))), None)

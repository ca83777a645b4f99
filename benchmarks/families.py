"""Twenty-one problems of ten families and one large, from fixed seeds, beside those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks import generators
from benchmarks.instance import Instance
from benchmarks.practical.problems.assignments import QuadraticAssignment
from benchmarks.practical.problems.colourings import Colouring
from qiosk.model.cost_function import F64, I64, CostFunction, ProblemType

Generator = np.random.Generator


def _terms(kind: ProblemType, values: F64 | I64, ids: I64) -> CostFunction:
    """Terms of equal locality: values (m,) and ids (m, k)."""
    bounds = np.arange(len(ids) + 1) * ids.shape[1]
    return CostFunction(kind, np.asarray(values, np.float64), bounds, ids.astype(np.int64).ravel())


def _distinct(rng: Generator, n: int, size: int, count: int) -> I64:
    """(count, size) rows of distinct variables, no row twice."""
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        rows = np.sort(rng.integers(0, n, (count, size)), axis=1)
        good = (np.diff(rows, axis=1) > 0).all(axis=1)
        found.update(dict.fromkeys(map(tuple, rows[good].tolist())))
    return np.array(list(found)[:count], np.int64)


def _all_pairs(n: int) -> I64:
    return np.stack(np.triu_indices(n, 1), axis=1)


def lattice(rng: Generator, side: int, dimensions: int, *, is_normal: bool) -> CostFunction:
    """Spins on a periodic lattice, with couplings of +-1 or normal ones."""
    sites = np.arange(side**dimensions).reshape((side,) * dimensions)
    pairs = [np.stack([sites.ravel(), np.roll(sites, 1, axis).ravel()], axis=1) for axis in range(dimensions)]
    ids = np.concatenate(pairs)
    values = rng.normal(size=len(ids)) if is_normal else rng.choice([-1.0, 1.0], len(ids))
    return _terms(ProblemType.ising, values, ids)


def sparse_cut(rng: Generator, n: int, edges: int) -> CostFunction:
    """Max-cut of a random graph."""
    return _terms(ProblemType.ising, np.ones(edges), _distinct(rng, n, 2, edges))


def dense_cut(rng: Generator, n: int) -> CostFunction:
    """Max-cut of a complete graph with weights of +-1."""
    ids = _all_pairs(n)
    return _terms(ProblemType.ising, rng.choice([-1.0, 1.0], len(ids)), ids)


def qubo(rng: Generator, n: int, density: float) -> CostFunction:
    """Integers from -100 to 100 on a share of all pairs and on the diagonal, as Beasley's problems have them."""
    ids = _all_pairs(n)
    ids = np.concatenate([ids[rng.random(len(ids)) < density], np.repeat(np.arange(n)[:, None], 2, axis=1)])
    return _terms(ProblemType.pubo, rng.integers(-100, 101, len(ids)), ids)


def wide(rng: Generator, n: int, edges: int) -> CostFunction:
    """A random graph with weights from 1 to a million, uniform in their logarithm, of either sign."""
    values = np.rint(10 ** rng.uniform(0, 6, edges)) * rng.choice([-1.0, 1.0], edges)
    return _terms(ProblemType.ising, values, _distinct(rng, n, 2, edges))


def many_body(rng: Generator, kind: ProblemType, n: int, size: int, count: int) -> CostFunction:
    """Random terms of one size, with coefficients of +-1."""
    return _terms(kind, rng.choice([-1.0, 1.0], count), _distinct(rng, n, size, count))


def autocorrelations(rng: Generator, n: int) -> CostFunction:
    """Low-autocorrelation binary sequence: the sum over k of (sum over i of s_i s_(i + k))^2, without its constant."""
    counts: dict[tuple[int, ...], int] = {}
    for k in range(1, n):
        for i in range(n - k):
            for j in range(i + 1, n - k):
                key = tuple(sorted(v for v, c in _multiplicities(i, i + k, j, j + k) if c % 2))
                counts[key] = counts.get(key, 0) + 2
    rows = list(counts.items())
    ids = [i for key, _ in rows for i in key]
    bounds = np.concatenate([[0], np.cumsum([len(key) for key, _ in rows])])
    values = np.array([value for _, value in rows], np.float64)
    return CostFunction(ProblemType.ising, values, bounds, np.array(ids, np.int64))


def _multiplicities(*variables: int) -> list[tuple[int, int]]:
    return [(v, variables.count(v)) for v in dict.fromkeys(variables)]


def satisfiability(rng: Generator, n: int, ratio: float) -> CostFunction:
    """Clauses of three literals: each costs 7/8 where all its literals are false, and -1/8 else."""
    clauses = _distinct(rng, n, 3, round(ratio * n))
    signs = rng.choice([-1.0, 1.0], clauses.shape)
    values, ids, sizes = [], [], []
    for clause, sign in zip(clauses.tolist(), signs.tolist(), strict=True):
        for chosen in range(1, 8):  # the product of (1 + sign * s) / 2 over its literals
            members = [k for k in range(3) if chosen >> k & 1]
            values.append(float(np.prod([sign[k] for k in members])) / 8)
            ids += [clause[k] for k in members]
            sizes.append(len(members))
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return CostFunction(ProblemType.ising, np.array(values), bounds, np.array(ids, np.int64))


def assignment(rng: Generator, n: int) -> CostFunction:
    """Quadratic assignment with flows and distances from 0 to 9, as a model: a permutation of one-hot groups."""
    flows, distances = (np.triu(rng.integers(0, 10, (n, n)), 1) for _ in range(2))
    parts = {"flows": (flows + flows.T).tolist(), "distances": (distances + distances.T).tolist()}
    return QuadraticAssignment("assignment", 0.0, **parts).model().problem().cost_function()


def colouring(rng: Generator, n: int, edges: int, colours: int) -> CostFunction:
    """A random graph to be coloured, as a model: a choice of one-hot groups for every vertex."""
    pairs = [(a, b) for a, b in _distinct(rng, n, 2, edges).tolist()]
    return Colouring("colouring", 0.0, n=n, edges=pairs, colours=colours).model().problem().cost_function()


def regular(rng: Generator, n: int) -> CostFunction:
    """Spins with three couplings of +-1 each: a ring and a random matching, so that edges may be double."""
    ring = np.stack([np.arange(n), np.roll(np.arange(n), 1)], axis=1)
    ids = np.concatenate([ring, rng.permutation(n).reshape(-1, 2)])
    return _terms(ProblemType.ising, rng.choice([-1.0, 1.0], len(ids)), ids)


_MAKERS: Mapping[str, Callable[[Generator], CostFunction]] = {
    "glass 2d 60": lambda rng: lattice(rng, 60, 2, is_normal=False),
    "glass 3d 12 normal": lambda rng: lattice(rng, 12, 3, is_normal=True),
    "cut sparse 2000": lambda rng: sparse_cut(rng, 2000, 8000),
    "cut sparse 7000": lambda rng: sparse_cut(rng, 7000, 17000),
    "cut dense 300": lambda rng: dense_cut(rng, 300),
    "cut dense 1200": lambda rng: dense_cut(rng, 1200),
    "qubo 1000 0.5": lambda rng: qubo(rng, 1000, 0.5),
    "qubo 2500 0.1": lambda rng: qubo(rng, 2500, 0.1),
    "wide 500": lambda rng: wide(rng, 500, 2500),
    "wide 2000": lambda rng: wide(rng, 2000, 6000),
    "4-local 300": lambda rng: many_body(rng, ProblemType.ising, 300, 4, 1500),
    "3-local bits 1500": lambda rng: many_body(rng, ProblemType.pubo, 1500, 3, 9000),
    "labs 35": lambda rng: autocorrelations(rng, 35),
    "labs 60": lambda rng: autocorrelations(rng, 60),
    "sat 400": lambda rng: satisfiability(rng, 400, 4.25),
    "sat 2000": lambda rng: satisfiability(rng, 2000, 4.2),
    "assignment 14": lambda rng: assignment(rng, 14),
    "colouring 150": lambda rng: colouring(rng, 150, 1000, 5),
    "large 1000000": lambda rng: regular(rng, 1_000_000),
}


def _planted() -> dict[str, Callable[[], Instance]]:
    return {
        "planted wishart 120": lambda: generators.wishart(120, 0.7, 3),
        "planted tiles 40": lambda: generators.tiles(40, 3),
    }


def names() -> list[str]:
    """Every problem here."""
    return [*_MAKERS, *_planted()]


def make(name: str) -> Instance:
    """The problem of a name; its seed is the place in the list."""
    if name in _MAKERS:
        return Instance(name, _MAKERS[name](np.random.default_rng((7, list(_MAKERS).index(name)))), None)
    found = _planted()[name]()
    return Instance(name, found.cost_function, found.best_known)

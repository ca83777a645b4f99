"""Fifty-two problems of ten families, from fixed seeds, beside those that are stored.

A name may end in ``#`` and a number: that is another problem of the same kind and size.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import numpy as np

from benchmarks import generators
from benchmarks.instance import Instance
from benchmarks.practical.problems.assignments import QuadraticAssignment
from benchmarks.practical.problems.colourings import Colouring
from benchmarks.practical.problems.tours import TravellingSalesman
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


def regular(rng: Generator, n: int, *, is_cut: bool = False) -> CostFunction:
    """Spins with three couplings of +-1, or of 1, each: a ring and a random matching, so that edges may be double."""
    ring = np.stack([np.arange(n), np.roll(np.arange(n), 1)], axis=1)
    ids = np.concatenate([ring, rng.permutation(n).reshape(-1, 2)])
    return _terms(ProblemType.ising, np.ones(len(ids)) if is_cut else rng.choice([-1.0, 1.0], len(ids)), ids)


def sherrington_kirkpatrick(rng: Generator, n: int) -> CostFunction:
    """Normal couplings between all spins."""
    ids = _all_pairs(n)
    return _terms(ProblemType.ising, rng.normal(size=len(ids)), ids)


def tour(rng: Generator, n: int) -> CostFunction:
    """A tour through cities in the plane, as a model: a permutation of one-hot groups."""
    places = rng.integers(0, 1000, (n, 2))
    distances = np.rint(np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))).astype(int).tolist()
    return TravellingSalesman("tour", 0.0, distances=distances).model().problem().cost_function()


def mixed(rng: Generator, n: int, counts: Mapping[int, int]) -> CostFunction:
    """Random terms of several sizes with coefficients of +-1; ``counts``: how many of each."""
    ids = [_distinct(rng, n, size, count) for size, count in counts.items()]
    bounds = np.concatenate([[0], np.cumsum(np.repeat(list(counts), list(counts.values())))])
    values = rng.choice([-1.0, 1.0], sum(counts.values()))
    return CostFunction(ProblemType.ising, values, bounds, np.concatenate([some.ravel() for some in ids]))


Maker = Callable[[Generator], CostFunction]
ISING, PUBO = ProblemType.ising, ProblemType.pubo

_FAMILIES: Mapping[str, Mapping[str, Maker]] = {
    "spin glass": {
        "glass 2d 60": lambda rng: lattice(rng, 60, 2, is_normal=False),
        "glass 2d 30 normal": lambda rng: lattice(rng, 30, 2, is_normal=True),
        "glass 3d 8": lambda rng: lattice(rng, 8, 3, is_normal=False),
        "glass 3d 12 normal": lambda rng: lattice(rng, 12, 3, is_normal=True),
        "glass 3d 20": lambda rng: lattice(rng, 20, 3, is_normal=False),
    },
    "sparse max-cut": {
        "cut sparse 800": lambda rng: sparse_cut(rng, 800, 4700),
        "cut sparse 2000": lambda rng: sparse_cut(rng, 2000, 8000),
        "cut sparse 7000": lambda rng: sparse_cut(rng, 7000, 17000),
        "cut sparse 20000": lambda rng: sparse_cut(rng, 20_000, 40_000),
        "cut cubic 5000": lambda rng: regular(rng, 5000, is_cut=True),
    },
    "dense max-cut": {
        "cut dense 300": lambda rng: dense_cut(rng, 300),
        "cut dense 1200": lambda rng: dense_cut(rng, 1200),
        "cut 6 % 800": lambda rng: sparse_cut(rng, 800, 19_176),
        "cut 30 % 1000": lambda rng: sparse_cut(rng, 1000, 150_000),
        "sk 500": lambda rng: sherrington_kirkpatrick(rng, 500),
    },
    "qubo": {
        "qubo 250 1.0": lambda rng: qubo(rng, 250, 1.0),
        "qubo 1000 0.5": lambda rng: qubo(rng, 1000, 0.5),
        "qubo 2500 0.1": lambda rng: qubo(rng, 2500, 0.1),
        "qubo 3000 0.5": lambda rng: qubo(rng, 3000, 0.5),
        "qubo 5000 0.002": lambda rng: qubo(rng, 5000, 0.002),
    },
    "weighted": {
        "wide 500": lambda rng: wide(rng, 500, 2500),
        "wide 2000": lambda rng: wide(rng, 2000, 6000),
        "wide 1000 dense": lambda rng: wide(rng, 1000, 50_000),
        "wide 20000": lambda rng: wide(rng, 20_000, 60_000),
    },
    "k-local": {
        "3-local 600": lambda rng: many_body(rng, ISING, 600, 3, 1800),
        "4-local 300": lambda rng: many_body(rng, ISING, 300, 4, 1500),
        "4-local 2000": lambda rng: many_body(rng, ISING, 2000, 4, 6000),
        "mixed 500": lambda rng: mixed(rng, 500, {2: 800, 3: 800, 5: 300}),
        "3-local bits 300": lambda rng: many_body(rng, PUBO, 300, 3, 3000),
        "3-local bits 1500": lambda rng: many_body(rng, PUBO, 1500, 3, 9000),
        "4-local bits 1000": lambda rng: many_body(rng, PUBO, 1000, 4, 8000),
    },
    "autocorrelations": {
        "labs 35": lambda rng: autocorrelations(rng, 35),
        "labs 48": lambda rng: autocorrelations(rng, 48),
        "labs 60": lambda rng: autocorrelations(rng, 60),
        "labs 77": lambda rng: autocorrelations(rng, 77),
        "labs 100": lambda rng: autocorrelations(rng, 100),
    },
    "satisfiability": {
        "sat 200": lambda rng: satisfiability(rng, 200, 4.3),
        "sat 400": lambda rng: satisfiability(rng, 400, 4.25),
        "sat 800": lambda rng: satisfiability(rng, 800, 5.0),
        "sat 2000": lambda rng: satisfiability(rng, 2000, 4.2),
        "sat 10000": lambda rng: satisfiability(rng, 10_000, 4.0),
    },
    "models": {
        "assignment 14": lambda rng: assignment(rng, 14),
        "assignment 22": lambda rng: assignment(rng, 22),
        "colouring 150": lambda rng: colouring(rng, 150, 1000, 5),
        "colouring 400": lambda rng: colouring(rng, 400, 1800, 4),
        "tour 13": lambda rng: tour(rng, 13),
    },
    "large": {
        "large 200000": lambda rng: lattice(rng, 447, 2, is_normal=False),
        "large 1000000": lambda rng: regular(rng, 1_000_000),
    },
}
_PLANTED: Mapping[str, Callable[[int], Instance]] = {
    "planted wishart 120": lambda seed: generators.wishart(120, 0.7, seed),
    "planted wishart 60": lambda seed: generators.wishart(60, 0.6, seed),
    "planted tiles 40": lambda seed: generators.tiles(40, seed),
    "planted loops 50": lambda seed: generators.frustrated_loops(50, 0.9, seed),
}
_MAKERS: Mapping[str, Maker] = {name: maker for family in _FAMILIES.values() for name, maker in family.items()}


def names() -> list[str]:
    """Every problem here."""
    return [*_MAKERS, *_PLANTED]


def is_here(name: str) -> bool:
    """Whether ``make`` knows a name."""
    return name.split("#")[0] in names()


def make(name: str) -> Instance:
    """The problem of a name, which also is its seed. Raises KeyError."""
    kind, seed = name.split("#")[0], zlib.crc32(name.encode())
    if kind in _PLANTED:
        found = _PLANTED[kind](seed)
        return Instance(name, found.cost_function, found.best_known)
    return Instance(name, _MAKERS[kind](np.random.default_rng(seed)), None)

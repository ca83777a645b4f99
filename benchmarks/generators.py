"""Problems with a planted optimum: its cost is known by construction, and so is the configuration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.instance import Instance
from qiosk.model.cost_function import F64, I64, CostFunction, ProblemType

# A walk longer than this starts anew; nearly all close far sooner.
LONGEST_WALK = 1000
SHORTEST_LOOP = 6


def wishart(n: int, alpha: float, seed: int) -> Instance:
    """Dense couplings sum_m w_mi w_mj of ``round(alpha n)`` vectors of ±1, each orthogonal to the planted spins.

    2 cost + n M is the sum over m of (w_m s)^2, which the planted spins make 0. n is even. Hardest around alpha = 0.75
    and below. Hamze, Raymond, Pattison, Biswas, Katzgraber, Phys. Rev. E 101, 052102 (2020),
    doi:10.1103/PhysRevE.101.052102, with balanced signs in place of normal ones, so that couplings are integers.
    """
    if n < 2 or n % 2:
        raise ValueError(f"number of spins: must be even and positive, found {n}")
    rng = np.random.default_rng((seed, 1))
    planted = _spins(rng, n)
    columns = round(alpha * n)
    balanced = np.repeat(np.array([-1, 1], np.int64), n // 2)
    vectors = np.array([rng.permutation(balanced) for _ in range(columns)]).reshape(columns, n) * planted
    couplings = vectors.T @ vectors
    pairs = np.stack(np.triu_indices(n, 1), axis=1)
    return _ising(
        f"wishart n={n} a={alpha:g} seed={seed}", couplings[pairs[:, 0], pairs[:, 1]], pairs, -n * columns / 2
    )


def xorsat(n: int, seed: int) -> Instance:
    """3-regular 3-XORSAT: n terms of three spins, every spin in three of them, all satisfied by the planted spins.

    Best cost -n. Hen, Phys. Rev. Applied 12, 011003 (2019), doi:10.1103/PhysRevApplied.12.011003.
    """
    if n < 4:
        raise ValueError(f"number of spins: must be at least 4, found {n}")
    rng = np.random.default_rng((seed, 2))
    planted = _spins(rng, n)
    clauses = _regular(rng, n, 3)
    return _ising(f"3r3x n={n} seed={seed}", -planted[clauses].prod(axis=1), clauses, -n)


def frustrated_loops(side: int, density: float, seed: int) -> Instance:
    """``round(density side^2)`` loops on a square lattice with periodic boundaries, each with one coupling against it.

    A loop of k couplings costs 2 - k at least, as it does at the planted spins; couplings of several loops add up.
    Hen, Job, Albash, Rønnow, Troyer, Lidar, Phys. Rev. A 92, 042325 (2015), doi:10.1103/PhysRevA.92.042325.
    """
    rng = np.random.default_rng((seed, 3))
    n = side * side
    planted = _spins(rng, n)
    pairs, signs, optimum = [], [], 0
    for _ in range(round(density * n)):
        loop = _loop(rng, side)
        pairs.append(np.sort(np.stack([loop, np.roll(loop, -1)], axis=1), axis=1))
        sign = np.full(len(loop), -1)
        sign[rng.integers(len(loop))] = 1
        signs.append(sign)
        optimum += 2 - len(loop)
    ids, total = _added(np.concatenate(pairs), np.concatenate(signs), n)
    return _ising(f"loops {side}x{side} d={density:g} seed={seed}", total * planted[ids].prod(axis=1), ids, optimum)


def tiles(side: int, seed: int) -> Instance:
    """Every other plaquette of a square lattice with periodic boundaries is frustrated; ``side`` is even, 4 or more.

    Every coupling belongs to one of these plaquettes. Its weakest coupling (1) is against the planted spins, the other
    three (1 or 2) are for them, so no spins do better on any plaquette. Hamze, Jacob, Ochoa, Perera, Wang, Katzgraber,
    Phys. Rev. E 97, 043303 (2018), doi:10.1103/PhysRevE.97.043303.
    """
    if side < 4 or side % 2:
        raise ValueError(f"side of the lattice: must be even and at least 4, found {side}")
    rng = np.random.default_rng((seed, 4))
    planted = _spins(rng, side * side)
    rows, cols = np.divmod(np.arange(side * side), side)
    corner = np.flatnonzero((rows + cols) % 2 == 0)
    right, below = rows[corner] * side + (cols[corner] + 1) % side, (rows[corner] + 1) % side * side + cols[corner]
    across = (rows[corner] + 1) % side * side + (cols[corner] + 1) % side
    around = np.stack([corner, right, across, below], axis=1)
    pairs = np.stack([around, np.roll(around, -1, axis=1)], axis=2)  # (cells, 4, 2)
    couplings = -rng.integers(1, 3, (len(corner), 4))
    couplings[np.arange(len(corner)), rng.integers(0, 4, len(corner))] = 1
    ids = pairs.reshape(-1, 2)
    values = couplings.ravel() * planted[ids].prod(axis=1)
    return _ising(f"tiles {side}x{side} seed={seed}", values, ids, int(couplings.sum()))


def _spins(rng: np.random.Generator, n: int) -> I64:
    return rng.choice(np.array([-1, 1]), n)


def _ising(name: str, values: Sequence[float] | F64 | I64, ids: I64, optimum: float) -> Instance:
    bounds = np.arange(len(ids) + 1) * ids.shape[1]
    terms = CostFunction(ProblemType.ising, np.asarray(values, np.float64), bounds, ids.astype(np.int64).ravel())
    return Instance(name, terms, float(optimum))


def _regular(rng: np.random.Generator, n: int, degree: int) -> I64:
    """(n, degree) rows of distinct variables, every variable ``degree`` times: stubs, and swaps where a row repeats."""
    rows = rng.permutation(np.repeat(np.arange(n), degree)).reshape(n, degree)
    while len(bad := [r for r in range(n) if len(set(rows[r].tolist())) < degree]):
        for r in bad:
            place, other, at = rng.integers(degree), rng.integers(n), rng.integers(degree)
            rows[r, place], rows[other, at] = rows[other, at], rows[r, place]
    return rows


def _loop(rng: np.random.Generator, side: int) -> I64:
    """Sites of a loop: a random walk without turning back, from where it first meets itself."""
    while True:
        site, before = int(rng.integers(side * side)), -1
        seen: dict[int, int] = {}
        walk: list[int] = []
        while site not in seen and len(walk) < LONGEST_WALK:
            seen[site] = len(walk)
            walk.append(site)
            row, col = divmod(site, side)
            steps = [
                (row + 1) % side * side + col,
                (row - 1) % side * side + col,
                row * side + (col + 1) % side,
                row * side + (col - 1) % side,
            ]
            site, before = int(rng.choice([step for step in steps if step != before])), site
        loop = walk[seen.get(site, len(walk)) :]
        if len(loop) >= SHORTEST_LOOP:
            return np.array(loop)


def _added(pairs: I64, signs: I64, n: int) -> tuple[I64, I64]:
    """Distinct pairs (P, 2), and the sum of the signs of each; those that cancel are left out."""
    keys, where = np.unique(pairs[:, 0] * n + pairs[:, 1], return_inverse=True)
    total = np.bincount(where, signs, len(keys)).astype(np.int64)
    kept = total != 0
    return np.stack(np.divmod(keys[kept], n), axis=1), total[kept]

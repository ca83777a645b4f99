"""The semidefinite bound with triangle inequalities, for dense problems of up to a thousand variables.

Of three spins not all pairs can differ, and so on: s1 x_ij + s2 x_ik + s1 s2 x_jk >= -1 for products x of spins and all
signs. A multiplier g >= 0 of such an inequality changes the couplings of its triangle and takes g off the bound; so any
multipliers give a semidefinite bound that is proved as in :mod:`qiosk.bounds.semidefinite`. They are whole multiples of
a power of two, so that the changed couplings are exact in float64. Good ones are found by steps along the violations,
with momentum, towards a value that is a little above the present one.

References: F. Rendl, G. Rinaldi, A. Wiegele, Math. Program. 121, 307 (2010), doi:10.1007/s10107-008-0235-8; N.
Krislock, J. Malick, F. Roupin, ACM Trans. Math. Softw. 43, 32 (2017), doi:10.1145/3005345.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.bound import Proof
from qiosk.bounds.graph import SpinGraph
from qiosk.bounds.semidefinite import Couplings, Mixing, couplings_of, is_suited, repaired, semidefinite
from qiosk.model.cost_function import F64

METHOD = "sdp-triangles"
MOST_VERTICES = 1000
"""Vertices of the largest problem: a look at all triangles takes half a second."""
MOST_SHIFT, BITS = 20, 52
"""Multipliers are multiples of 2**-shift, at most so fine, and all couplings together are below 2**52 of these."""
NEW = 4
"""Triangles that are added at a time, at most, for every vertex."""
LOOK = 5
"""Steps from one look for new triangles to the next."""
STEPS = 2000
LEAST_EXCESS, FIRST_EXCESS = 0.02, 0.2
"""By how much an inequality must be violated to be added: at last, and at first."""
AHEAD = 0.02
"""How far above the present value the steps aim, as a share of it, at first."""
MOMENTUM, STEP = 0.7, 0.3
SLOWER, FASTER = 0.8, 1.05
"""How the aim changes after a step that made the value worse, or better."""
SWEEPS = 20
"""Sweeps of vectors after every step, at most; fewer where they hardly change."""
FIRST_PROOF = 10
"""Steps after which there is a first proof; the next ones when they are half as many again."""
PATIENCE = 2
"""Proofs without a gain until it ends."""
WORK = 20_000_000
"""Triples that are looked at before the caller is asked whether to go on; some 20 ms."""


def is_small(graph: SpinGraph) -> bool:
    """Whether triangles are looked for."""
    return is_suited(graph) and graph.vertices <= MOST_VERTICES


def with_triangles(graph: SpinGraph, seed: int) -> Iterator[Proof | None]:
    """Yields None between parts of the work, and each proof that is better than the one before."""
    best: Fraction | None = None
    for proof in semidefinite(graph, seed):
        best = best if proof is None else proof.level
        yield proof
    if best is None or not is_small(graph):
        return
    for proof in _ascent(graph, seed):
        if proof is None or proof.level > best:
            best = best if proof is None else proof.level
            yield proof


@dataclass(slots=True, eq=False)
class _Multipliers:
    """Triangles (m, 5) with their multipliers and the momentum of these (m,)."""

    triangles: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 5), np.int32))
    values: F64 = field(default_factory=lambda: np.empty(0))
    momentum: F64 = field(default_factory=lambda: np.empty(0))

    def changed(self, matrix: F64) -> F64:
        """(n, n) the couplings of a symmetric matrix, changed by the multipliers."""
        found = matrix.copy()
        i, j, k, s1, s2 = self.triangles.T
        for u, v, sign in ((i, j, s1), (i, k, s2), (j, k, s1 * s2)):
            np.subtract.at(found, (u, v), sign * self.values)
            np.subtract.at(found, (v, u), sign * self.values)
        return found

    def violations(self, products: NDArray[np.float32]) -> F64:
        """(m,) how much each inequality is violated; negative where it is not."""
        i, j, k, s1, s2 = self.triangles.T
        sums: F64 = (s1 * products[i, j] + s2 * products[i, k] + s1 * s2 * products[j, k]).astype(np.float64)
        return -1.0 - sums

    def add(self, triangles: NDArray[np.int32]) -> None:
        """New ones, without those that have no multiplier any more."""
        is_kept = self.values > 0.0
        known = {row.tobytes() for row in self.triangles[is_kept]}
        fresh = [row for row in triangles if row.tobytes() not in known]
        new = np.array(fresh, np.int32).reshape(-1, 5)
        self.triangles = np.concatenate([self.triangles[is_kept], new])
        self.values = np.concatenate([self.values[is_kept], np.zeros(len(new))])
        self.momentum = np.concatenate([self.momentum[is_kept], np.zeros(len(new))])


def _ascent(graph: SpinGraph, seed: int) -> Iterator[Proof | None]:
    couplings = couplings_of(graph)
    matrix, multipliers = couplings.matrix(), _Multipliers()
    mixing = Mixing(_dense(couplings, matrix), seed)
    yield from mixing.run(np.float32, 1e-6, 300)
    best: Fraction | None = None
    stale = 0
    ends = np.repeat(np.arange(couplings.n), np.diff(mixing.indptr))
    present, before, ahead, least, proof_at = matrix, -np.inf, AHEAD, FIRST_EXCESS, FIRST_PROOF
    for step in range(STEPS):
        vectors: Any = mixing.vectors
        products = np.einsum("ik,jk->ij", vectors, vectors).astype(np.float32)
        value = graph.constant + 0.5 * float((present * products).sum()) - float(multipliers.values.sum())
        ahead = max(1e-4, ahead * (FASTER if value > before else SLOWER))
        before = value
        yield None
        if step % LOOK == 0:
            found, least = yield from most_violated(products, least, NEW)
            multipliers.add(found)
            if not len(multipliers.triangles):
                return
        _move(multipliers, products, ahead * (abs(value - graph.constant) + 1.0))
        present = multipliers.changed(matrix)
        mixing.weights = present[ends, mixing.others]
        yield from mixing.run(np.float32, 1e-6, SWEEPS)
        if step + 1 >= proof_at:
            proof_at = int(1.5 * (step + 1))
            proof = yield from _proof(graph, couplings, matrix, multipliers, mixing, seed)
            if proof is None or (best is not None and proof.level <= best):
                stale += 1
                if stale == PATIENCE:
                    return
                continue
            best, stale = proof.level, 0
            yield proof


def _move(multipliers: _Multipliers, products: NDArray[np.float32], distance: float) -> None:
    """A step along the violations that would raise the value by ``distance``, if it were linear."""
    violations = multipliers.violations(products)
    violations[(multipliers.values <= 0.0) & (violations < 0.0)] = 0.0
    multipliers.momentum = MOMENTUM * multipliers.momentum + violations
    size = float(multipliers.momentum @ multipliers.momentum + violations @ violations)
    if size > 0.0:
        moved = multipliers.values + STEP * distance / size * multipliers.momentum
        multipliers.values = np.maximum(0.0, moved)


def most_violated(
    products: NDArray[np.float32], least: float, each: int
) -> Generator[None, None, tuple[NDArray[np.int32], float]]:
    """The most violated triangles, some for each vertex, and how much they must be violated the next time."""
    from qiosk.kernels.bounds.triangles import find_triangles

    n = len(products)
    found, excess = np.empty((16 * each * n, 5), np.int32), np.empty(16 * each * n, np.float32)
    first = count = 0
    while first < n:
        last = first + 1
        while last < n and (last**3 - first**3) // 6 < WORK:
            last += 1
        count = find_triangles()(products, np.float32(least), found, excess, count, first, last)
        first = last
        yield
    largest = np.argsort(-excess[:count], kind="stable")[: each * n]
    return found[largest], (min(0.9, 1.5 * least) if count == len(excess) else max(LEAST_EXCESS, least / 1.5))


def _proof(
    graph: SpinGraph, couplings: Couplings, matrix: F64, multipliers: _Multipliers, mixing: Mixing, seed: int
) -> Generator[None, None, Proof | None]:
    """What the multipliers prove, rounded down to multiples of a power of two."""
    largest = int(np.abs(graph.weights).max()) + int(multipliers.values.sum()) + 1
    shift = max(0, min(MOST_SHIFT, BITS - largest.bit_length()))
    values = np.floor(multipliers.values * 2.0**shift) / 2.0**shift
    rounded = _Multipliers(multipliers.triangles[values > 0.0], values[values > 0.0])
    changed = rounded.changed(matrix)
    polished = Mixing(_dense(couplings, changed), seed)
    polished.vectors = mixing.vectors
    yield from polished.run(np.float32, 1e-7, 200)
    yield from polished.run(np.float64, 1e-10, 30)
    y = yield from repaired(changed, polished.pulls, seed)
    if y is None:
        return None
    total = sum(map(Fraction, y.tolist()), Fraction(0)) / 2 + sum(map(Fraction, rounded.values.tolist()), Fraction(0))
    return Proof(
        method=METHOD,
        level=graph.rounded_up(graph.constant - total),
        scale=graph.scale,
        arrays={
            "vertices": couplings.places.astype(np.int32),
            "y": y,
            "triangles": rounded.triangles,
            "multipliers": rounded.values,
            "shift": np.array(shift),
        },
    )


def _dense(couplings: Couplings, matrix: F64) -> Couplings:
    """The couplings of all pairs of a symmetric matrix, those of 0 too."""
    rows, cols = np.triu_indices(couplings.n, 1)
    return Couplings(couplings.places, rows, cols, matrix[rows, cols])

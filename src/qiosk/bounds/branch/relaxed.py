"""The semidefinite program with triangle inequalities, by unit vectors and multipliers.

Rounds of an augmented Lagrangian: some steps of the vectors, then the multipliers that its gradient suggests, then
further triangles that are violated. Before a round the vectors are shaken: a component that all have lost would come
back only slowly, and until it does the matrix of the dual is not positive semidefinite. What is found proves nothing.

Reference: S. Burer, R. D. C. Monteiro, Math. Program. 95, 329 (2003), doi:10.1007/s10107-002-0352-8.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from qiosk.bounds.triangles import most_violated
from qiosk.kernels.bounds.vectors import Descent
from qiosk.model.cost_function import F64, I8, I32, I64

MEMORY = 6
"""Pairs of changes of the quasi-Newton method."""
PENALTY = 2.0
"""For couplings of mean square 1."""
TOLERANCE = 1e-2
"""Length of the gradient at which a round ends."""
WORK = 40_000_000
"""Multiplications before the caller is asked whether to go on; some 20 ms."""
COMPONENTS = 40
"""Of a vector, at most."""
LEAST_GAMMA = 1e-4
"""Multipliers up to this are dropped."""
SHAKE, CALMER = 0.5, 0.85
"""Length of what is added to a vector at first, and what becomes of it from round to round."""
STILL = 1e-3
"""The same for vectors that have become one."""
NEW_TRIANGLES = 6
"""New triangles of a round, for every vertex, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Vectors (d, n), and triangles (T, 5) i > j > k, s, t with their multipliers (T,)."""

    vectors: F64
    triangles: I32
    gamma: F64

    @classmethod
    def random(cls, n: int, rng: np.random.Generator) -> Point:
        """Where no parent has left one."""
        vectors = _normed(rng.normal(size=(min(n, COMPONENTS), n)))
        return cls(vectors, np.empty((0, 5), np.int32), np.empty(0))

    def merged(self, places: I64, signs: I8, rng: np.random.Generator) -> Point:
        """The same where vertex v has become ``signs[v]`` times vertex ``places[v]``.

        Triangles of two vertices that are one bound what is bounded anyway, and are dropped.
        """
        count = int(places.max()) + 1
        vectors = np.zeros((len(self.vectors), count))
        for v, (place, sign) in enumerate(zip(places.tolist(), signs.tolist(), strict=True)):
            vectors[:, place] += sign * self.vectors[:, v]
        vectors = _normed(vectors + STILL * rng.normal(size=vectors.shape))
        ends, signed = self.triangles[:, :3], signs.astype(np.int32)[self.triangles[:, :3]]
        corners = places[ends]
        # the sign of a corner times that of another one is the sign of their product
        signed[:, 1:] *= self.triangles[:, 3:]
        order = np.argsort(-corners, axis=1, kind="stable")
        corners, signed = np.take_along_axis(corners, order, 1), np.take_along_axis(signed, order, 1)
        is_kept = (corners[:, 0] > corners[:, 1]) & (corners[:, 1] > corners[:, 2])
        moved = np.column_stack([corners, signed[:, :1] * signed[:, 1:]])[is_kept].astype(np.int32)
        _, firsts, where = np.unique(_keys(moved, count), return_index=True, return_inverse=True)
        gamma = np.zeros(len(firsts))
        np.add.at(gamma, where, self.gamma[is_kept])
        return Point(vectors, moved[firsts], gamma)


class Relaxed:
    """A point that is improved; ``weights`` (n, n) symmetric, 0 on the diagonal, of mean square about 1."""

    def __init__(self, weights: F64, point: Point) -> None:
        self.point = point
        self.weights = weights
        self._descent = Descent.of(weights, point.vectors, MEMORY)

    @property
    def n(self) -> int:
        """Vertices."""
        return len(self.weights)

    @property
    def products(self) -> F64:
        """(n, n) of the vectors, below the diagonal."""
        return self._descent.products

    @property
    def pulls(self) -> F64:
        """(n,) what would be y if the vectors were at their best: the length of what pulls each."""
        pulled = np.einsum("kj,ji->ki", self.point.vectors, self._descent.pulls)
        lengths: F64 = np.sqrt(np.square(pulled).sum(axis=0))
        return lengths

    @property
    def value(self) -> float:
        """About what the multipliers prove, if the vectors are at their best."""
        return float((self._descent.pulls * self.products).sum() - self.point.gamma.sum())

    def shake(self, size: float, rng: np.random.Generator) -> None:
        """Move all vectors at random."""
        vectors = self.point.vectors
        vectors[:] = _normed(vectors + size / np.sqrt(len(vectors)) * rng.normal(size=vectors.shape))

    def descend(self, steps: int) -> Generator[None, None, None]:
        """Some steps of the vectors; then the multipliers change."""
        from qiosk.kernels.bounds.vectors import PAIRS, descend_vectors

        descent, point = self._descent, self.point
        descent.state[PAIRS] = -1.0
        found = np.empty(len(point.gamma))
        each = max(1, WORK // (2 * self.n * self.n * len(point.vectors)))
        while steps > 0:
            some = min(each, steps)
            if descend_vectors()(descent, point.triangles, point.gamma, PENALTY, found, some, TOLERANCE) < some:
                break
            steps -= some
            yield
        self.point = replace(point, gamma=found)

    def separate(self, least: float) -> Generator[None, None, tuple[int, float]]:
        """Drop triangles that bind no more, and add violated ones; returns how many, and the next ``least``."""
        point = self.point
        is_kept = point.gamma > LEAST_GAMMA
        triangles, gamma = point.triangles[is_kept], point.gamma[is_kept]
        found, next_least = yield from most_violated(self.products.astype(np.float32), least, NEW_TRIANGLES)
        found = found[~np.isin(_keys(found, self.n), _keys(triangles, self.n), assume_unique=True, kind="sort")]
        self.point = Point(
            point.vectors, np.concatenate([triangles, found]), np.concatenate([gamma, np.zeros(len(found))])
        )
        return len(found), next_least


def _keys(triangles: I32, n: int) -> I64:
    """(T,) a number for each triangle."""
    i, j, k, s, t = triangles.T.astype(np.int64)
    keys: I64 = ((i * n + j) * n + k) * 4 + (s + 1) + (t + 1) // 2
    return keys


def _normed(vectors: F64) -> F64:
    normed: F64 = vectors / np.sqrt(np.square(vectors).sum(axis=0))
    return normed

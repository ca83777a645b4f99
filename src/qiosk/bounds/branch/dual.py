"""The dual of the semidefinite program with triangle inequalities, and a quasi-Newton method for it.

    level >= constant - sum y - sum gamma   if   Z = W / 2 + Diag(y) - sum_t gamma_t A_t is positive semidefinite,

for gamma >= 0, where A_t is the matrix of triangle t. In place of the condition is a penalty ||Z_-||^2 / (2 alpha),
which makes the function smooth; alpha becomes less and less. What is found proves nothing until y is repaired.

References: J. Malick, F. Roupin, Math. Program. 140, 99 (2013), doi:10.1007/s10107-012-0628-6; N. Krislock, J. Malick,
F. Roupin, ACM Trans. Math. Softw. 43, 32 (2017), doi:10.1145/3005345.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from qiosk.model.cost_function import F64, I32

MEMORY = 8
ARMIJO = 1e-4
SHORTEST = 1e-8


@dataclass(slots=True, eq=False)
class Dual:
    """y (n,) and gamma (T,) for W (n, n) and triangles (T, 5); ``x`` (n, n) is about the best matrix of the primal."""

    weights: F64
    triangles: I32
    y: F64
    gamma: F64
    alpha: float
    x: F64 = field(default_factory=lambda: np.empty((0, 0)))
    value: float = 0.0
    evaluations: int = 0

    def ascend(self, steps: int, tolerance: float) -> Iterator[None]:
        """Some steps of projected L-BFGS, or until no component of the gradient is above the tolerance."""
        n = len(self.y)
        v = np.concatenate([self.y, self.gamma])
        value, gradient = self._evaluate(v)
        pairs: list[tuple[F64, F64, float]] = []
        for _ in range(steps):
            is_free = np.ones(len(v), np.bool_)
            is_free[n:] = (v[n:] > 0.0) | (gradient[n:] < 0.0)
            slope = np.where(is_free, gradient, 0.0)
            if np.abs(slope).max(initial=0.0) < tolerance:
                break
            direction = np.where(is_free, -_product(slope, pairs), 0.0)
            if direction @ slope >= 0.0:
                pairs, direction = [], -slope
            length = 1.0 if pairs else min(1.0, 1.0 / max(1e-12, float(np.abs(slope).max())))
            while True:
                w = v + length * direction
                np.maximum(w[n:], 0.0, out=w[n:])
                new_value, new_gradient = self._evaluate(w)
                if new_value <= value + ARMIJO * float(slope @ (w - v)) or length < SHORTEST:
                    break
                length *= 0.4
            if new_value > value:
                break
            s, g = w - v, new_gradient - gradient
            product = float(s @ g)
            if product > 1e-12 * float(g @ g):
                pairs = [*pairs[1 - MEMORY :], (s, g, product)]
            v, value, gradient = w, new_value, new_gradient
            yield
        self._evaluate(v)
        self.y, self.gamma, self.value = v[:n], v[n:], -value

    def add(self, triangles: I32) -> None:
        """Further triangles."""
        self.triangles = np.concatenate([self.triangles, triangles])
        self.gamma = np.concatenate([self.gamma, np.zeros(len(triangles))])

    def drop(self, least: float) -> None:
        """Drop triangles of which gamma is at most ``least``."""
        is_kept = self.gamma > least
        self.triangles, self.gamma = self.triangles[is_kept], self.gamma[is_kept]

    def _evaluate(self, v: F64) -> tuple[float, F64]:
        """Minus the penalized dual, and its gradient; sets ``x``."""
        from qiosk.kernels.bounds.triangles import subtract_triangles, triangle_sums

        n = len(self.y)
        y, gamma = v[:n], v[n:]
        z = 0.5 * self.weights
        np.einsum("ii->i", z)[:] += y
        subtract_triangles()(self.triangles, 0.5 * gamma, z)
        values, vectors = np.linalg.eigh(z)
        count = int(np.searchsorted(values, 0.0))
        self.evaluations += 1
        scaled = vectors[:, :count] * np.sqrt(-values[:count] / self.alpha)
        self.x = scaled @ scaled.T
        sums = np.empty(len(gamma))
        triangle_sums()(self.triangles, self.x, sums)
        value = float(y.sum() + gamma.sum() + (values[:count] ** 2).sum() / (2.0 * self.alpha))
        return value, np.concatenate([1.0 - np.diag(self.x), 1.0 + sums])


def _product(gradient: F64, pairs: list[tuple[F64, F64, float]]) -> F64:
    """About the inverse of the Hessian times the gradient (two loops over the pairs)."""
    q, shares = gradient.copy(), list[float]()
    for s, g, product in reversed(pairs):
        share = float(s @ q) / product
        q -= share * g
        shares.append(share)
    if pairs:
        s, g, product = pairs[-1]
        q *= product / float(g @ g)
    for (s, g, product), share in zip(pairs, reversed(shares), strict=True):
        q += s * (share - float(g @ q) / product)
    return q

"""Unit vectors in place of spins, under triangle inequalities: the semidefinite program by an augmented Lagrangian.

The least of half the sum of W_ij v_i.v_j over unit vectors, where s v_i.v_j + t v_i.v_k + s t v_j.v_k >= -1 for some
triangles. With multipliers g >= 0, a penalty p, and what an inequality lacks, l = -1 - s x_ij - t x_ik - s t x_jk,

    L(v) = sum_{i>j} W_ij x_ij + sum_t (max(0, g_t + p l_t)^2 - g_t^2) / (2 p)

has a descent by a quasi-Newton method (L-BFGS). max(0, g + p l) are the next multipliers.

References: S. Burer, R. D. C. Monteiro, Math. Program. 95, 329 (2003), doi:10.1007/s10107-002-0352-8; J. Nocedal,
Math. Comput. 35, 773 (1980), doi:10.1090/S0025-5718-1980-0572855-7.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import UNCOUNTED, called, uncounted_kernel

F64 = NDArray[np.float64]

VALUE, SQUARE, PAIRS = range(3)
"""Places in ``Descent.state``: L, the squared length of its gradient, pairs of changes so far; -1: nothing is known."""

ARMIJO = 1e-4
SHORTER = 0.4
SHORTEST = 1e-6
"""Of a step, as a share of the full one."""
FLAT = 1e-10
"""Curvature, relative to the change of the gradient, up to which a pair of changes is not used."""
FIRST_LENGTH = 0.5
"""Of the first step."""


class Descent(NamedTuple):
    """n vertices, d components of a vector, m pairs of changes that are remembered; vectors are columns."""

    weights: F64  # (n, n) symmetric, the diagonal is not looked at
    vectors: F64  # (d, n) of length 1; updated
    products: F64  # (n, n) of the vectors, below the diagonal
    pulls: F64  # (n, n) weights less the triangles' multipliers, 0 on the diagonal
    gradient: F64  # (d, n)
    trial: F64  # (d, n)
    trial_gradient: F64  # (d, n)
    direction: F64  # (d, n)
    moves: F64  # (m, d, n)
    changes: F64  # (m, d, n)
    inverses: F64  # (m,)
    shares: F64  # (m,)
    sums: F64  # (n,)
    state: F64  # (3,)

    @classmethod
    def of(cls, weights: F64, vectors: F64, memory: int) -> Descent:
        """With room for what is computed."""
        d, n = vectors.shape
        shapes = [(n, n)] * 2 + [(d, n)] * 4 + [(memory, d, n)] * 2 + [(memory,)] * 2 + [(n,), (3,)]
        found = cls(weights, vectors, *(np.zeros(shape) for shape in shapes))
        found.state[PAIRS] = -1.0
        return found


@called(**UNCOUNTED)
def _inner(a: Any, b: Any, sums: Any) -> Any:
    """The inner product of two matrices; ``sums`` (n,) are written with those of their columns."""
    d, n = a.shape
    for i in range(n):
        sums[i] = 0.0
    for k in range(d):
        for i in range(n):
            sums[i] += a[k, i] * b[k, i]
    total = 0.0
    for i in range(n):
        total += sums[i]
    return total


@called(**UNCOUNTED)
def _add(a: Any, factor: Any, b: Any) -> None:
    """Add a multiple of b to a."""
    d, n = a.shape
    for k in range(d):
        for i in range(n):
            a[k, i] += factor * b[k, i]


@called(**UNCOUNTED)
def _project(a: Any, vectors: Any, sums: Any) -> None:
    """Take from each column of a what is along its vector."""
    d, n = a.shape
    _inner(a, vectors, sums)
    for k in range(d):
        for i in range(n):
            a[k, i] -= sums[i] * vectors[k, i]


@called(**UNCOUNTED)
def _evaluate(p: Any, triangles: Any, multipliers: Any, penalty: Any, vectors: Any, gradient: Any, found: Any) -> Any:
    """L at ``vectors``, with products, pulls, its gradient along the spheres and the next multipliers."""
    d, n = vectors.shape
    products, pulls = p.products, p.pulls
    total = 0.0
    for i in range(n):
        for j in range(i):
            products[i, j] = 0.0
        k = 0
        while k + 4 <= d:
            a, b, c, e = vectors[k, i], vectors[k + 1, i], vectors[k + 2, i], vectors[k + 3, i]
            for j in range(i):
                products[i, j] += (a * vectors[k, j] + b * vectors[k + 1, j]) + (
                    c * vectors[k + 2, j] + e * vectors[k + 3, j]
                )
            k += 4
        while k < d:
            a = vectors[k, i]
            for j in range(i):
                products[i, j] += a * vectors[k, j]
            k += 1
        for j in range(i):
            pulls[i, j] = p.weights[i, j]
            total += p.weights[i, j] * products[i, j]
    for q in range(found.size):
        i, j, k, s, t = triangles[q]
        lack = -1.0 - (s * products[i, j] + t * products[i, k] + s * t * products[j, k])
        g = max(0.0, multipliers[q] + penalty * lack)
        total += (g * g - multipliers[q] * multipliers[q]) / (2.0 * penalty)
        found[q] = g
        pulls[i, j] -= s * g
        pulls[i, k] -= t * g
        pulls[j, k] -= s * t * g
    for i in range(n):
        for j in range(i):
            pulls[j, i] = pulls[i, j]
    for k in range(d):
        for i in range(n):
            gradient[k, i] = 0.0
    j = 0
    while j + 4 <= n:
        for k in range(d):
            a, b, c, e = vectors[k, j], vectors[k, j + 1], vectors[k, j + 2], vectors[k, j + 3]
            for i in range(n):
                gradient[k, i] += (a * pulls[j, i] + b * pulls[j + 1, i]) + (c * pulls[j + 2, i] + e * pulls[j + 3, i])
        j += 4
    while j < n:
        for k in range(d):
            a = vectors[k, j]
            for i in range(n):
                gradient[k, i] += a * pulls[j, i]
        j += 1
    _project(gradient, vectors, p.sums)
    return total


@called(**UNCOUNTED)
def _aim(p: Any, memory: Any) -> None:
    """The direction: about minus the inverse of the Hessian times the gradient, from the pairs of changes."""
    count = int(p.state[PAIRS])
    first = max(0, count - memory)
    for k in range(p.direction.shape[0]):
        for i in range(p.direction.shape[1]):
            p.direction[k, i] = -p.gradient[k, i]
    for c in range(count - 1, first - 1, -1):
        q = c % memory
        p.shares[q] = _inner(p.moves[q], p.direction, p.sums) * p.inverses[q]
        _add(p.direction, -p.shares[q], p.changes[q])
    if count > 0:
        q = (count - 1) % memory
        factor = 1.0 / (p.inverses[q] * _inner(p.changes[q], p.changes[q], p.sums))
        _add(p.direction, factor - 1.0, p.direction)
    for c in range(first, count):
        q = c % memory
        _add(p.direction, p.shares[q] - _inner(p.changes[q], p.direction, p.sums) * p.inverses[q], p.moves[q])
    _project(p.direction, p.vectors, p.sums)


@called(**UNCOUNTED)
def _move(p: Any, length: Any) -> None:
    """The trial: a step in the direction, back on the spheres."""
    d, n = p.vectors.shape
    for i in range(n):
        p.sums[i] = 0.0
    for k in range(d):
        for i in range(n):
            p.trial[k, i] = p.vectors[k, i] + length * p.direction[k, i]
            p.sums[i] += p.trial[k, i] * p.trial[k, i]
    for i in range(n):
        p.sums[i] = 1.0 / np.sqrt(p.sums[i])
    for k in range(d):
        for i in range(n):
            p.trial[k, i] *= p.sums[i]


@called(**UNCOUNTED)
def _accept(p: Any, value: Any, memory: Any) -> None:
    """Take the trial, and remember the changes."""
    count = int(p.state[PAIRS])
    q = count % memory
    for k in range(p.vectors.shape[0]):
        for i in range(p.vectors.shape[1]):
            p.moves[q, k, i] = p.trial[k, i] - p.vectors[k, i]
            p.changes[q, k, i] = p.trial_gradient[k, i] - p.gradient[k, i]
            p.vectors[k, i] = p.trial[k, i]
            p.gradient[k, i] = p.trial_gradient[k, i]
    product = _inner(p.moves[q], p.changes[q], p.sums)
    if product > FLAT * _inner(p.changes[q], p.changes[q], p.sums):
        p.inverses[q] = 1.0 / product
        p.state[PAIRS] = count + 1.0
    p.state[VALUE] = value
    p.state[SQUARE] = _inner(p.gradient, p.gradient, p.sums)


@cache
def descend_vectors() -> Any:
    """``descend(descent, triangles, multipliers, penalty, found, steps, tolerance) -> steps``: lower L.

    At most so many steps, until the gradient is no longer than ``tolerance`` or none makes L lower; returns the steps
    that were made. ``descent.state`` lets the next call go on; its pairs are -1 where anything else was changed.
    Afterwards products, pulls, gradient and ``found``, the next multipliers, are those of the vectors.

    descent: ``Descent``, updated. triangles: (T, 5) int32, i > j > k, s, t; multipliers, found: (T,) float64. Plain
    loops: it is its own reference kernel.
    """

    @uncounted_kernel
    def descend(
        descent: Any, triangles: Any, multipliers: Any, penalty: Any, found: Any, steps: Any, tolerance: Any
    ) -> Any:
        p, state, memory = descent, descent.state, descent.inverses.size
        if state[PAIRS] < 0.0:
            state[VALUE] = _evaluate(p, triangles, multipliers, penalty, p.vectors, p.gradient, found)
            state[SQUARE] = _inner(p.gradient, p.gradient, p.sums)
            state[PAIRS] = 0.0
        made, is_stuck = 0, False
        while made < steps and state[SQUARE] > tolerance * tolerance and not is_stuck:
            _aim(p, memory)
            slope = _inner(p.gradient, p.direction, p.sums)
            if slope >= 0.0:
                state[PAIRS] = 0.0
                _aim(p, memory)
                slope = -state[SQUARE]
            length = 1.0 if state[PAIRS] > 0.0 else FIRST_LENGTH / np.sqrt(state[SQUARE])
            shortest = SHORTEST * length
            while True:
                _move(p, length)
                value = _evaluate(p, triangles, multipliers, penalty, p.trial, p.trial_gradient, found)
                if value <= state[VALUE] + ARMIJO * length * slope or length < shortest:
                    break
                length *= SHORTER
            if value < state[VALUE]:
                _accept(p, value, memory)
                made += 1
            else:
                is_stuck = state[PAIRS] == 0.0
                state[PAIRS] = 0.0
                _evaluate(p, triangles, multipliers, penalty, p.vectors, p.gradient, found)
        return made

    return descend

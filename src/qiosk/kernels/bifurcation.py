"""Steps of simulated bifurcation: many trajectories of a network of nonlinear oscillators at once.

Trajectory r of oscillator i has position x and momentum y at ``[i * lanes + r]``. One step of size dt is

    y_i += dt * (detuning * x_i + sum_j F_ij g(x_j))        with all x as they were before the step
    x_i += dt * y_i;    where |x_i| > 1: x_i = sign(x_i), y_i = 0

with g(x) = x (ballistic) or the sign of x (discrete); the sign of 0 is its sign bit's. Trajectories do not meet, and no
operation is fused or reordered, so the width of the machine's registers does not show.

Reference: H. Goto, K. Endo, M. Suzuki, Y. Sakai, T. Kanao, Y. Hamakawa, R. Hidaka, M. Yamasaki, K. Tatsumura, Sci. Adv.
7, eabe7953 (2021), doi:10.1126/sciadv.abe7953.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel, simd_available
from qiosk.kernels.plain import bifurcation as plain

if simd_available():
    from qiosk.kernels.simd import bits_as_float32, bits_as_uint32, load, pointer, select, splat, store

_SIGN = np.uint32(1 << 31)
_ONE = np.float32(1.0)


@inlined()
def _times_sign(factor: Any, x: Any) -> Any:
    """``factor`` times the sign of every lane of ``x``: its bits, with the sign bit toggled."""
    return bits_as_float32(bits_as_uint32(splat(factor, x)) ^ (bits_as_uint32(x) & _SIGN))


@cache
def bifurcation_steps(is_discrete: bool, lanes: int) -> Any:
    """``steps(indptr, neighbors, forces, positions, momenta, detunings, dt)``. Shapes: n oscillators, P pairs.

    indptr (n + 1,) int64, neighbors (2P,) int32, forces (2P,) float32: row i holds F_ij. positions, momenta: (n *
    lanes,) float32; updated. detunings: (steps,) float32, pump strength less 1 in every step. dt: float32.
    """
    if not simd_available():
        return plain.bifurcation_steps(is_discrete, lanes)

    @kernel
    def steps(indptr: Any, neighbors: Any, forces: Any, positions: Any, momenta: Any, detunings: Any, dt: Any) -> None:
        x_at, y_at = pointer(positions), pointer(momenta)
        n = indptr.size - 1
        for t in range(detunings.size):
            detuning = detunings[t]
            for i in range(n):
                force = load(x_at, i * lanes, lanes) * detuning
                for k in range(indptr[i], indptr[i + 1]):
                    x = load(x_at, neighbors[k] * lanes, lanes)
                    force = force + (_times_sign(forces[k], x) if is_discrete else x * forces[k])
                store(y_at, i * lanes, load(y_at, i * lanes, lanes) + force * dt)
            for i in range(n):
                y = load(y_at, i * lanes, lanes)
                x = load(x_at, i * lanes, lanes) + y * dt
                wall = splat(_ONE, x)
                beyond, below = x > _ONE, x < -_ONE
                store(x_at, i * lanes, select(beyond, wall, select(below, splat(-_ONE, x), x)))
                store(y_at, i * lanes, select(beyond | below, splat(_ONE - _ONE, x), y))

    return steps

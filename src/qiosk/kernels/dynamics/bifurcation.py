"""Steps of simulated bifurcation: many trajectories of a network of nonlinear oscillators at once.

Trajectory r of oscillator i has position x and momentum y at ``[i * lanes + r]``. One step of size dt is

    y_i += dt * (detuning * x_i + sum_j F_ij g(x_j))        with all x as they were before the step
    x_i += dt * y_i;    where |x_i| > 1: x_i = sign(x_i), y_i = 0

with g(x) = x (ballistic) or the sign of x (discrete); the sign of 0 is its sign bit's. Trajectories do not
interact, and no operation is fused or reordered, so results do not depend on the width of the machine's registers.

Discrete forces read the signs alone, kept as one word of bits per oscillator: 32 times less memory to gather from.

Reference: H. Goto, K. Endo, M. Suzuki, Y. Sakai, T. Kanao, Y. Hamakawa, R. Hidaka, M. Yamasaki, K. Tatsumura, Sci. Adv.
7, eabe7953 (2021), doi:10.1126/sciadv.abe7953.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel, simd_available
from qiosk.kernels.plain import bifurcation as plain

if simd_available():
    from qiosk.kernels.simd import bits_as_uint32, load, load_mask, pointer, select, splat, store, store_mask

_SIGN, _NONE = np.uint32(1 << 31), np.uint32(0)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@cache
def bifurcation_steps(is_discrete: bool, lanes: int) -> Any:
    """``steps(indptr, neighbors, forces, positions, momenta, detunings, dt, part)``. Shapes: n oscillators, P pairs.

    indptr (n + 1,) int64, neighbors (2P,) int32, forces (2P,) float32: row i holds F_ij. positions, momenta: (n *
    lanes,) float32; updated; ``lanes`` is 8, 16 or 32. detunings: (steps,) float32, pump strength less 1 in every step.
    dt: float32. part: the first oscillator and the one after the last whose momenta change; with the last one, all
        positions do. A step may be made of several calls, one for each part in order.
    """
    if not simd_available():
        return plain.bifurcation_steps(is_discrete, lanes)

    @kernel
    def steps(
        indptr: Any, neighbors: Any, forces: Any, positions: Any, momenta: Any, detunings: Any, dt: Any, part: Any
    ) -> None:
        x_at, y_at = pointer(positions), pointer(momenta)
        n = indptr.size - 1
        signs = np.empty(n, np.uint32)  # never by its bare address: it is freed after the last use of its name
        for i in range(n):
            store_mask(signs, i, (bits_as_uint32(load(x_at, i * lanes, lanes)) & _SIGN) != _NONE)
        for t in range(detunings.size):
            detuning = detunings[t]
            for i in range(part[0], part[1]):
                force = load(x_at, i * lanes, lanes) * detuning
                for k in range(indptr[i], indptr[i + 1]):
                    if is_discrete:
                        is_negative = load_mask(signs, neighbors[k], lanes)
                        push = select(is_negative, splat(-forces[k], force), splat(forces[k], force))
                    else:
                        push = load(x_at, neighbors[k] * lanes, lanes) * forces[k]
                    force = force + push
                store(y_at, i * lanes, load(y_at, i * lanes, lanes) + force * dt)
            for i in range(n if part[1] == n else 0):
                y = load(y_at, i * lanes, lanes)
                x = load(x_at, i * lanes, lanes) + y * dt
                wall = splat(_ONE, x)
                beyond, below = x > _ONE, x < -_ONE
                x = select(beyond, wall, select(below, splat(-_ONE, x), x))
                store(x_at, i * lanes, x)
                store(y_at, i * lanes, select(beyond | below, splat(_ZERO, x), y))
                store_mask(signs, i, (bits_as_uint32(x) & _SIGN) != _NONE)

    return steps


@cache
def sign_costs(lanes: int) -> Any:
    """``costs(indptr, neighbors, couplings, positions, out)``: sum over pairs of J s s, with s the signs of positions.

    indptr (n + 1,), neighbors (2P,), couplings (2P,) float64: each pair in both rows. positions: (n * lanes,) float32;
    out: (lanes,) float64, written; ``lanes`` is 8, 16 or 32.
    """
    if not simd_available():
        return plain.sign_costs()

    @kernel
    def costs(indptr: Any, neighbors: Any, couplings: Any, positions: Any, out: Any) -> None:
        x_at, out_at = pointer(positions), pointer(out)
        n = indptr.size - 1
        signs = np.empty(n, np.uint32)  # never by its bare address: it is freed after the last use of its name
        for i in range(n):
            store_mask(signs, i, (bits_as_uint32(load(x_at, i * lanes, lanes)) & _SIGN) != _NONE)
        out[:] = 0.0
        total = load(out_at, 0, lanes)
        for i in range(n):
            row = splat(0.0, total)
            for k in range(indptr[i], indptr[i + 1]):
                is_negative = load_mask(signs, neighbors[k], lanes)
                row = row + select(is_negative, splat(-couplings[k], row), splat(couplings[k], row))
            half = row * 0.5
            total = total + select(load_mask(signs, i, lanes), half * -1.0, half)
        store(out_at, 0, total)

    return costs

"""Reference kernels of ``kernels.bifurcation``, in plain loops; the arguments are documented there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@cache
def bifurcation_steps(is_discrete: bool, lanes: int) -> Any:
    """``steps(indptr, neighbors, forces, positions, momenta, detunings, dt, part)``."""

    @kernel
    def steps(
        indptr: Any, neighbors: Any, forces: Any, positions: Any, momenta: Any, detunings: Any, dt: Any, part: Any
    ) -> None:
        for detuning in detunings:
            for i in range(part[0], part[1]):
                for r in range(lanes):
                    force = detuning * positions[i * lanes + r]
                    for k in range(indptr[i], indptr[i + 1]):
                        x = positions[neighbors[k] * lanes + r]
                        force += forces[k] * (np.copysign(_ONE, x) if is_discrete else x)
                    momenta[i * lanes + r] += dt * force
            for place in range(positions.size if part[1] == indptr.size - 1 else 0):
                x = positions[place] + dt * momenta[place]
                if x > _ONE or x < -_ONE:
                    x, momenta[place] = np.copysign(_ONE, x), _ZERO
                positions[place] = x

    return steps


@cache
def sign_costs() -> Any:
    """``costs(indptr, neighbors, couplings, positions, out)``: sum over pairs of J s s, with s the signs of positions.

    indptr (n + 1,), neighbors (2P,), couplings (2P,) float64: each pair in both rows. positions: (n * R,); out: (R,)
    float64, written.
    """

    @kernel
    def costs(indptr: Any, neighbors: Any, couplings: Any, positions: Any, out: Any) -> None:
        lanes = out.size
        out[:] = 0.0
        row = np.empty(lanes)
        for i in range(indptr.size - 1):
            row[:] = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                at = neighbors[k] * lanes
                for r in range(lanes):
                    row[r] += couplings[k] * np.copysign(1.0, positions[at + r])
            for r in range(lanes):
                out[r] += 0.5 * row[r] * np.copysign(1.0, positions[i * lanes + r])

    return costs

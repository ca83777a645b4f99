"""Quantum Monte Carlo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.solvers.targets.parameters import COMMON, integer, number
from qiosk.solvers.targets.target import DEFAULT_SWEEPS, MICROSOFT, Target

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver


def _quantum(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.quantum_monte_carlo import QuantumMonteCarlo, slice_beta, strong_field
    from qiosk.solvers.search.schedules import Schedule

    beta, start = values["beta_start"], values["transverse_field_start"]
    if beta is None:
        beta = slice_beta(context.beta_range)
    if start is None:
        start = strong_field(beta)
    field = Schedule(start, values["transverse_field_stop"])
    solver = QuantumMonteCarlo(context, beta, field, values["sweeps"], values["trotter_number"], values["restarts"])
    solver.warm_up()
    return solver


TARGETS = (
    Target(
        id="microsoft.qmc.cpu",
        provider_id=MICROSOFT,
        title="Quantum Monte Carlo",
        summary="Simulates a quantum annealer: coupled copies of the system in a transverse field that is turned down.",
        parameters=(
            integer("sweeps", low=1, default=DEFAULT_SWEEPS, meaning="sweeps of every slice"),
            integer("trotter_number", low=2, default=72, meaning="slices in imaginary time of one system"),
            integer("restarts", low=1, default=1, meaning="independent systems"),
            number("beta_start", low=0.0, exclusive=True, meaning="inverse temperature of every slice [1/cost]"),
            number("transverse_field_start", low=0.0, meaning="transverse field in the first sweep [cost]"),
            number("transverse_field_stop", low=0.0, default=0.0, meaning="transverse field in the last sweep [cost]"),
            *COMMON,
        ),
        build=_quantum,
        is_divisible=lambda values: True,
    ),
)
"""The targets of this module."""

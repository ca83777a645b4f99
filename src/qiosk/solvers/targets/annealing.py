"""Simulated annealing, parameterized and parameter-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.errors import InvalidValue
from qiosk.solvers.targets.parameters import COMMON, integer, number
from qiosk.solvers.targets.target import (
    ADVISED_SWEEPS,
    DEFAULT_RESTARTS,
    DEFAULT_SWEEPS,
    MICROSOFT,
    Target,
)

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver
    from qiosk.solvers.search.tuning import BetaRange

# Replicas in a lane group of a parameter-free search: as many as the widest kernels sweep in little more time than 64.
FREE_ANNEALS = 256


def _annealing(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.simulated_annealing import SimulatedAnnealing
    from qiosk.solvers.search.schedules import Schedule

    start, stop = values["beta_start"], values["beta_stop"]
    if start is None or stop is None:
        found = context.beta_range
        if start is None:
            start = found.hot if stop is None else min(found.hot, stop / 10.0)
        if stop is None:
            stop = max(found.cold, 2.0 * start)
    if stop <= start:
        raise InvalidValue(f"parameter `beta_stop`: must be greater than beta_start = {start:g}, found {stop:g}")
    return SimulatedAnnealing(context, Schedule(start, stop), values["sweeps"], values["restarts"], is_apart=True)


def _free_annealing(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free.annealing import ParameterFreeAnnealing

    return ParameterFreeAnnealing(context, context.beta_range)


def _annealing_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    return {
        "beta_start": betas.hot,
        "beta_stop": betas.cold,
        "sweeps": ADVISED_SWEEPS,
        "restarts": DEFAULT_RESTARTS,
    }


_BETA_START = number("beta_start", low=0.0, meaning="inverse temperature of the first sweep [1/cost]")
_BETA_STOP = number(
    "beta_stop",
    low=0.0,
    exclusive=True,
    meaning="inverse temperature of the last sweep, above beta_start [1/cost]",
)
_SWEEPS = integer("sweeps", low=1, default=DEFAULT_SWEEPS, meaning="sweeps of every replica")
_RESTARTS = integer("restarts", low=1, default=DEFAULT_RESTARTS, meaning="independent anneals, at least")

TARGETS = (
    Target(
        id="microsoft.simulatedannealing.cpu",
        provider_id=MICROSOFT,
        title="Simulated annealing",
        summary="Cools many random configurations slowly, so that they settle in deep minima.",
        parameters=(_BETA_START, _BETA_STOP, _SWEEPS, _RESTARTS, *COMMON),
        keeps_one_hot=True,
        build=_annealing,
        replicas=lambda values: int(values["restarts"]),
        is_divisible=lambda values: True,
    ),
    Target(
        id="microsoft.simulatedannealing-parameterfree.cpu",
        provider_id=MICROSOFT,
        title="Simulated annealing, parameter-free",
        summary="Simulated annealing in longer and longer rounds; for large and sparse problems and short time limits.",
        parameters=COMMON,
        keeps_one_hot=True,
        build=_free_annealing,
        replicas=lambda values: FREE_ANNEALS,
        advice=_annealing_advice,
        prefers_long_searches=True,
    ),
)
"""The targets of this module."""

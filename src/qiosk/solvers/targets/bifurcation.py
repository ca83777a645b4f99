"""Simulated bifurcation, under Toshiba's name and with its parameters, which are flat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.solvers.targets.documents import toshiba_document
from qiosk.solvers.targets.oneqbit_parameters import require_quadratic
from qiosk.solvers.targets.parameters import (
    NODES,
    SEED,
    SOLUTIONS,
    TARGET_COST,
    choice,
    flag,
    flat_section,
    integer,
    number,
)
from qiosk.solvers.targets.target import Target

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver

TOSHIBA = "toshiba"
SBM = "toshiba.sbm.ising"
DISCRETE, BALLISTIC = "2.0", "1.5"
DEFAULT_TIMEOUT = 10.0
DEFAULT_DT = 0.8


def _bifurcation(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.simulated_bifurcation import CANDIDATES, Dynamics, SimulatedBifurcation

    require_quadratic(context.problem, SBM)
    is_auto = values["auto"]
    return SimulatedBifurcation(
        context,
        candidates=CANDIDATES if is_auto else (Dynamics(values["algo"] == DISCRETE, values["dt"]),),
        loops=None if is_auto else values["loops"] or None,
        steps=values["steps"] or None,
        strength=values["C"] or None,
    )


def _solutions(values: Mapping[str, Any]) -> int:
    return max(int(values["maxout"]), int(values["number_of_solutions"]))


def _target_cost(values: Mapping[str, Any]) -> float | None:
    return max((values[name] for name in ("target", "target_cost") if values[name] is not None), default=None)


TARGETS = (
    Target(
        id=SBM,
        provider_id=TOSHIBA,
        title="Simulated bifurcation",
        summary="Lets oscillators, one for each variable, bifurcate to one side or the other; many of them at once.",
        parameters=(
            integer("steps", low=0, high=10**8, default=0, meaning="steps of every loop; 0: from the problem's size"),
            integer("loops", low=0, high=10**7, default=1, meaning="independent loops; 0: until the time is over"),
            number("target", low=float("-inf"), meaning="stop as soon as a configuration costs no more [cost]"),
            integer("maxout", low=1, high=1000, default=1, meaning="how many distinct solutions to return, best first"),
            number("timeout", low=0.0, high=360.0, default=DEFAULT_TIMEOUT, meaning="time limit [s]"),
            number("dt", low=0.0, exclusive=True, high=1.0, default=DEFAULT_DT, meaning="time of a step"),
            number("C", low=0.0, default=0.0, meaning="strength of the couplings [1/cost]; 0: from their norm"),
            choice("algo", (BALLISTIC, DISCRETE), default=DISCRETE, meaning="1.5: ballistic; 2.0: discrete"),
            flag("auto", default=False, meaning="choose algo and dt, and run until the loops agree"),
            SEED,
            SOLUTIONS,
            TARGET_COST,
            NODES,
        ),
        build=_bifurcation,
        is_divisible=lambda values: values["loops"] > 0 and not values["auto"],
        section=flat_section,
        solutions=_solutions,
        target_cost=_target_cost,
        is_quadratic_only=True,
        document=toshiba_document,
    ),
)
"""The targets of this module."""

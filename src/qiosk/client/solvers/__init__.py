"""The solver classes of the old SDK: parameters in, jobs out.

A solver object is a target and its parameters. Most solvers have two targets, and the parameters decide which one is
used: if no parameter of the search is given, jobs are sent to the ``-parameterfree`` target, which finds them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qiosk.client.solvers.base import PARAMETER_FREE, HardwarePlatform, Solver
from qiosk.client.solvers.checks import RangeSchedule
from qiosk.client.solvers.microsoft import (
    ParallelTempering,
    PopulationAnnealing,
    QuantumMonteCarlo,
    SimulatedAnnealing,
    SubstochasticMonteCarlo,
    Tabu,
)
from qiosk.client.solvers.oneqbit import PathRelinkingSolver, PticmSolver, TabuSearch
from qiosk.client.solvers.provider_formats import format_of
from qiosk.client.solvers.toshiba import SimulatedBifurcationMachine
from qiosk.contract.jobs import TargetView

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace

__all__ = [
    "PARAMETER_FREE",
    "SOLVERS",
    "HardwarePlatform",
    "ParallelTempering",
    "PathRelinkingSolver",
    "PopulationAnnealing",
    "PticmSolver",
    "QuantumMonteCarlo",
    "RangeSchedule",
    "SimulatedAnnealing",
    "SimulatedBifurcationMachine",
    "Solver",
    "SubstochasticMonteCarlo",
    "Tabu",
    "TabuSearch",
    "format_of",
    "solver_for",
    "target_for",
]

SOLVERS: tuple[type[Solver], ...] = (
    SimulatedAnnealing,
    ParallelTempering,
    Tabu,
    PopulationAnnealing,
    SubstochasticMonteCarlo,
    QuantumMonteCarlo,
    TabuSearch,
    PathRelinkingSolver,
    PticmSolver,
    SimulatedBifurcationMachine,
)
"""The solver classes; each lists its targets."""

_CLASS_OF: Mapping[str, type[Solver]] = {name: solver for solver in SOLVERS for name in solver.target_names}


def target_for(name: str, params: Mapping[str, Any]) -> str:
    """The target for these parameters; see ``Solver.target_for`` of the class that has the target."""
    return _CLASS_OF.get(name.lower(), Solver).target_for(name, params)


def solver_for(workspace: Workspace, view: TargetView) -> Solver:
    """A solver object for a target, of the class with its parameters if there is one."""
    provider_format = {**asdict(format_of(view.id)), "provider_id": view.provider_id}
    return _CLASS_OF.get(view.id.lower(), Solver)(
        workspace,
        name=view.id,
        average_queue_time=view.average_queue_time,
        current_availability=view.current_availability,
        **provider_format,
    )

"""The solver classes of the old SDK: parameters in, jobs out.

A solver object is a target and its parameters. Which of a solver's two targets it is follows from the parameters: if
none of those that shape the search is given, the job goes to the ``-parameterfree`` one, which finds them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qiosk.client.solvers.base import PARAMETER_FREE, HardwarePlatform, Solver, wire_of
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
    "solver_for",
    "target_for",
    "wire_of",
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
"""The solver classes; each names its targets."""

_CLASS_OF: Mapping[str, type[Solver]] = {name: solver for solver in SOLVERS for name in solver.target_names}


def target_for(name: str, params: Mapping[str, Any]) -> str:
    """The target that these parameters are sent to: see ``Solver.target_for`` of the class that knows the target."""
    return _CLASS_OF.get(name.lower(), Solver).target_for(name, params)


def solver_for(workspace: Workspace, view: TargetView) -> Solver:
    """The solver object of a target, of the class that knows its parameters if there is one."""
    wire = {**asdict(wire_of(view.id)), "provider_id": view.provider_id}
    return _CLASS_OF.get(view.id.lower(), Solver)(
        workspace,
        name=view.id,
        average_queue_time=view.average_queue_time,
        current_availability=view.current_availability,
        **wire,
    )

"""The solver classes of the old SDK: parameters in, jobs out.

A solver object is a target and its parameters. Most solvers have two targets, and the parameters decide which one is
used: if no parameter of the search is given, jobs are sent to the ``-parameterfree`` target, which finds them itself.
"""

from __future__ import annotations

from qiosk.client.solvers.auto import Auto
from qiosk.client.solvers.base import PARAMETER_FREE, HardwarePlatform, Solver, solver_for, target_for
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

__all__ = [
    "PARAMETER_FREE",
    "SOLVERS",
    "Auto",
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
    Auto,
)
"""The solver classes; each lists its targets."""

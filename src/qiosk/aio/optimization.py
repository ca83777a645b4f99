"""The import path of old asyncio programs: problems, terms and solvers, re-exported."""

from __future__ import annotations

from qiosk.aio.problem import OnlineProblem, Problem, StreamingProblem
from qiosk.aio.solvers import (
    Auto,
    ParallelTempering,
    PopulationAnnealing,
    QuantumMonteCarlo,
    SimulatedAnnealing,
    Solver,
    SubstochasticMonteCarlo,
    Tabu,
)
from qiosk.client.solvers import HardwarePlatform, RangeSchedule
from qiosk.problem import ContentType, GroupType, ProblemType, SlcTerm, Term

__all__ = [
    "Auto",
    "ContentType",
    "GroupType",
    "HardwarePlatform",
    "OnlineProblem",
    "ParallelTempering",
    "PopulationAnnealing",
    "Problem",
    "ProblemType",
    "QuantumMonteCarlo",
    "RangeSchedule",
    "SimulatedAnnealing",
    "SlcTerm",
    "Solver",
    "StreamingProblem",
    "SubstochasticMonteCarlo",
    "Tabu",
    "Term",
]

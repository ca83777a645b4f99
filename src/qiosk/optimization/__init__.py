"""The import path of programs written for the old SDK: problems, terms and solvers, re-exported."""

from __future__ import annotations

from qiosk.client.solvers import (
    Auto,
    HardwarePlatform,
    ParallelTempering,
    PopulationAnnealing,
    QuantumMonteCarlo,
    RangeSchedule,
    SimulatedAnnealing,
    Solver,
    SubstochasticMonteCarlo,
    Tabu,
)
from qiosk.client.streaming import OnlineProblem, StreamingProblem
from qiosk.problem import ContentType, GroupType, Problem, ProblemType, SlcTerm, Term

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

"""The import path of programs written for the old SDK: problems, terms and solvers, re-exported."""

from __future__ import annotations

from qiosk.client.solvers import HardwarePlatform, ParallelTempering, SimulatedAnnealing, Solver
from qiosk.problem import ContentType, GroupType, Problem, ProblemType, SlcTerm, Term

__all__ = [
    "ContentType",
    "GroupType",
    "HardwarePlatform",
    "ParallelTempering",
    "Problem",
    "ProblemType",
    "SimulatedAnnealing",
    "SlcTerm",
    "Solver",
    "Term",
]

"""The import path of programs written for the old SDK: 1QBit's solvers, re-exported."""

from __future__ import annotations

from qiosk.client.solvers.oneqbit import PathRelinkingSolver, PticmSolver, TabuSearch

__all__ = ["PathRelinkingSolver", "PticmSolver", "TabuSearch"]

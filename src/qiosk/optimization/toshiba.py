"""The import path of programs written for the old SDK: Toshiba's solver, re-exported."""

from __future__ import annotations

from qiosk.client.solvers.toshiba import SimulatedBifurcationMachine

__all__ = ["SimulatedBifurcationMachine"]

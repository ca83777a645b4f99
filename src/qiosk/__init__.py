"""Qiosk: quantum-inspired optimization as jobs, on your own machine or your own server.

``import qiosk`` is quick: names are loaded when they are first used, so neither NumPy nor Numba is imported here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from qiosk.version import __version__

if TYPE_CHECKING:
    from qiosk.client.job import Job
    from qiosk.client.workspace import Workspace
    from qiosk.errors import QioskError
    from qiosk.modeling.rerun import rerun
    from qiosk.problem import Problem
    from qiosk.solvers.result import Result
    from qiosk.solvers.solve import solve
    from qiosk.studies.study import Study

__all__ = ["Job", "Problem", "QioskError", "Result", "Study", "Workspace", "__version__", "rerun", "solve"]

_HOME = {
    "Job": "qiosk.client.job",
    "Problem": "qiosk.problem",
    "QioskError": "qiosk.errors",
    "Result": "qiosk.solvers.result",
    "Study": "qiosk.studies.study",
    "Workspace": "qiosk.client.workspace",
    "rerun": "qiosk.modeling.rerun",
    "solve": "qiosk.solvers.solve",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'qiosk' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

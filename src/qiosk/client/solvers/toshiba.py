"""Toshiba's solver, with the name, parameters and defaults of the old SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qiosk.client.solvers.base import Solver
from qiosk.client.solvers.params import given
from qiosk.client.solvers.provider_formats import TOSHIBA

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace


class SimulatedBifurcationMachine(Solver):
    """Oscillators that are pumped until each settles on one of two sides; for quadratic problems.

    Args:
        workspace: where jobs are submitted.
        name: target.
        steps: steps of a loop; 0 leaves it to the service.
        loops: independent loops; 0 continues until the time-out.
        target: cost at which to stop.
        maxout: solutions to return, at most.
        timeout: most seconds to search.
        dt: time of a step, above 0 and at most 1.
        C: strength of the couplings; 0 leaves it to the service.
        algo: ``"1.5"`` (ballistic) or ``"2.0"`` (discrete).
        auto: let the service find ``algo`` and ``dt``, and how many loops it takes.
        params: further parameters by name, such as ``seed``.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, Term
    >>> from qiosk.optimization.toshiba import SimulatedBifurcationMachine
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = SimulatedBifurcationMachine(Workspace(), steps=100, loops=10, timeout=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("toshiba.sbm.ising",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "toshiba.sbm.ising",
        steps: int | None = None,
        loops: int | None = None,
        target: float | None = None,
        maxout: int | None = None,
        timeout: float | None = None,
        dt: float | None = None,
        C: float | None = None,
        algo: str | None = None,
        auto: bool | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(workspace, name, params=given(locals()), **{**asdict(TOSHIBA), **options})

"""The solver that chooses among the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qiosk.client.solvers.base import Solver
from qiosk.client.solvers.params import given
from qiosk.client.solvers.provider_formats import QIOSK

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace


class Auto(Solver):
    """Searches that race on the problem, the best of which gets most of the time; it has no parameters of a search.

    Args:
        workspace: where jobs are submitted.
        name: target.
        timeout: most seconds to search.
        seed: makes the run repeatable.
        params: further parameters by name, such as ``number_of_solutions``.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Auto, Problem, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> Auto(Workspace(), timeout=1, seed=1).optimize(problem).cost
    -1.0
    """

    target_names = ("qiosk.auto",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "qiosk.auto",
        timeout: float | None = None,
        seed: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(workspace, name, params=given(locals()), **{**asdict(QIOSK), **options})

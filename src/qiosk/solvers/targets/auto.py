"""The target that chooses among the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.solvers.targets.annealing import FREE_ANNEALS
from qiosk.solvers.targets.parameters import COMMON
from qiosk.solvers.targets.target import Target

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver
    from qiosk.solvers.search.tuning import BetaRange

QIOSK = "qiosk"
AUTO = "qiosk.auto"


def _auto(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free.members import is_short, members
    from qiosk.solvers.parameter_free.portfolio import Portfolio

    alone = is_short(context.problem, TARGETS[0].time_limit(values))
    return Portfolio(context, members(context, is_short=alone), is_short=alone)


def _no_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    """The target has no parameters of a search."""
    return {}


TARGETS = (
    Target(
        id=AUTO,
        provider_id=QIOSK,
        title="Portfolio that chooses for itself",
        summary="Lets several searches race on the problem, and gives the best of them most of the time.",
        parameters=COMMON,
        keeps_one_hot=True,
        build=_auto,
        replicas=lambda values: FREE_ANNEALS,
        advice=_no_advice,
        prefers_long_searches=True,
    ),
)
"""The targets of this module."""

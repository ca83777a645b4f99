"""Parallel tempering, parameterized and parameter-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.errors import InvalidValue
from qiosk.solvers.targets.parameters import COMMON, integer, numbers
from qiosk.solvers.targets.target import (
    ADVISED_SWEEPS,
    DEFAULT_SWEEPS,
    FREE_REPLICAS,
    MICROSOFT,
    Target,
)

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver
    from qiosk.solvers.search.tuning import BetaRange


def _tempering(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    import numpy as np

    from qiosk.solvers.algorithms.parallel_tempering import ParallelTempering, warm_up_exchanges
    from qiosk.solvers.search.tuning import first_ladder

    replicas, betas = values["replicas"], values["all_betas"]
    if betas is not None and replicas is not None and len(betas) != replicas:
        raise InvalidValue(
            f"parameter `all_betas`: must have as many entries as replicas = {replicas}, found {len(betas)}"
        )
    if betas is None:
        context.require_memory(replicas or 1)  # before a ladder of that length is made
        ladder = first_ladder(context.beta_range, replicas or _rungs(context.problem.n))
    else:
        ladder = np.sort(np.array(betas, np.float64))
    warm_up_exchanges(context)
    return ParallelTempering(context, ladder, values["sweeps"])


def _free_tempering(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.parallel_tempering import warm_up_exchanges
    from qiosk.solvers.parameter_free.tempering import ParameterFreeTempering

    warm_up_exchanges(context)
    return ParameterFreeTempering(context, context.beta_range, _rungs(context.problem.n))


def _tempering_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    from qiosk.solvers.search.tuning import first_ladder

    ladder = first_ladder(betas, _rungs(n))
    return {"sweeps": ADVISED_SWEEPS, "replicas": len(ladder), "all_betas": ladder.tolist()}


def _rungs(n: int) -> int:
    """Rungs of a ladder: the width of the cost distribution, and with it their number, grows as sqrt(n)."""
    return 16 if n <= 200 else 32 if n <= 5000 else 64


_SWEEPS = integer("sweeps", low=1, default=DEFAULT_SWEEPS, meaning="sweeps of every replica")
_REPLICAS = integer("replicas", low=1, meaning="replicas of one ladder")
_ALL_BETAS = numbers("all_betas", low=0.0, meaning="inverse temperatures of the ladder, in any order [1/cost]")

TARGETS = (
    Target(
        id="microsoft.paralleltempering.cpu",
        provider_id=MICROSOFT,
        title="Parallel tempering",
        summary="Sweeps replicas at a ladder of temperatures and exchanges neighbours; for rugged problems.",
        parameters=(_SWEEPS, _REPLICAS, _ALL_BETAS, *COMMON),
        keeps_one_hot=True,
        build=_tempering,
        replicas=lambda values: int(values["replicas"] or len(values["all_betas"] or range(FREE_REPLICAS))),
        has_ladder=True,
    ),
    Target(
        id="microsoft.paralleltempering-parameterfree.cpu",
        provider_id=MICROSOFT,
        title="Parallel tempering, parameter-free",
        summary="Parallel tempering that finds its ladder itself; for rugged problems of some thousand variables.",
        parameters=COMMON,
        keeps_one_hot=True,
        build=_free_tempering,
        replicas=lambda values: FREE_REPLICAS,
        advice=_tempering_advice,
        has_ladder=True,
    ),
)
"""The targets of this module."""

"""Tabu search and path relinking, of Microsoft and of 1QBit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qiosk.solvers.targets.documents import oneqbit_document
from qiosk.solvers.targets.oneqbit_parameters import ONEQBIT_COMMON, oneqbit_target, require_quadratic
from qiosk.solvers.targets.parameters import COMMON, flag, integer, number
from qiosk.solvers.targets.target import ADVISED_SWEEPS, DEFAULT_RESTARTS, DEFAULT_SWEEPS, MICROSOFT, Target

if TYPE_CHECKING:
    from qiosk.solvers.algorithms.tabu.search import Walkers
    from qiosk.solvers.search.context import SearchContext
    from qiosk.solvers.search.solver import Solver
    from qiosk.solvers.search.tuning import BetaRange


def _walkers(context: SearchContext) -> Walkers:
    """Walkers that flip variables, or that keep one-hot groups."""
    if context.problem.one_hot is not None:
        from qiosk.solvers.algorithms.tabu.one_hot_walkers import warm_one_hot_walkers

        return warm_one_hot_walkers(context)
    from qiosk.solvers.algorithms.tabu.walkers import warm_walkers

    return warm_walkers(context)


def _tabu(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.tabu.search import TabuSearch

    walkers = _walkers(context)
    rules = walkers.rules(tenure=values["tabu_tenure"])
    return TabuSearch(context, walkers, rules, values["sweeps"], values["restarts"], is_apart=True)


def _free_tabu(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.parameter_free.tabu import ParameterFreeTabu

    return ParameterFreeTabu(context, _walkers(context))


def _tabu_advice(n: int, betas: BetaRange) -> dict[str, Any]:
    return {"sweeps": ADVISED_SWEEPS, "tabu_tenure": 0, "restarts": DEFAULT_RESTARTS}


def _oneqbit_tabu(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.tabu.search import ENDLESS, WAVE_WALKERS, TabuSearch

    require_quadratic(context.problem, "1qbit.tabu")
    walkers = _walkers(context)
    rules = walkers.rules(tenure=values["tabu_tenure"], spread=values["tabu_tenure_rand_max"])
    cutoff = values["improvement_cutoff"] or walkers.cutoff
    tolerance = values["improvement_tolerance"]
    return TabuSearch(context, walkers, rules, ENDLESS, WAVE_WALKERS, cutoff=cutoff, tolerance=tolerance)


def _oneqbit_relinking(context: SearchContext, values: Mapping[str, Any]) -> Solver[Any]:
    from qiosk.solvers.algorithms.tabu.path_relinking import PathRelinking
    from qiosk.solvers.algorithms.tabu.walkers import warm_walkers

    require_quadratic(context.problem, "1qbit.pathrelinking")
    walkers = warm_walkers(context, with_paths=True)
    return PathRelinking(
        context,
        walkers,
        walkers.rules()[0],
        walkers.improvement_moves,
        values["ref_set_count"],
        values["distance_scale"],
        values["greedy_path_relinking"],
    )


_TENURE = integer(
    "tabu_tenure", low=0, default=0, meaning="moves for which a flip is not taken back; 0: chosen from the problem"
)
_SWEEPS = integer("sweeps", low=1, default=DEFAULT_SWEEPS, meaning="moves of every restart")
_RESTARTS = integer("restarts", low=1, default=DEFAULT_RESTARTS, meaning="independent searches")
_CUTOFF = integer(
    "improvement_cutoff", low=0, default=0, meaning="moves without improvement that end the search; 0: chosen"
)
_TOLERANCE = number("improvement_tolerance", low=0.0, default=1e-9, meaning="least improvement that counts [cost]")
_SPREAD = integer(
    "tabu_tenure_rand_max", low=0, default=0, meaning="largest random addition to a tenure [moves]; 0: chosen"
)
_REF_SET_COUNT = integer("ref_set_count", low=2, default=10, meaning="solutions in the reference set")
_DISTANCE_SCALE = number(
    "distance_scale", low=0.0, high=0.5, default=0.33, meaning="share of a path that is left out at both of its ends"
)
_GREEDY = flag(
    "greedy_path_relinking", default=False, meaning="whether paths take the best flip next, not a random one"
)

TARGETS = (
    Target(
        id="microsoft.tabu.cpu",
        provider_id=MICROSOFT,
        title="Tabu search",
        summary="Takes the best flip at every move, and none back for a while.",
        parameters=(_SWEEPS, _TENURE, _RESTARTS, *COMMON),
        keeps_one_hot=True,
        build=_tabu,
        is_divisible=lambda values: True,
    ),
    Target(
        id="microsoft.tabu-parameterfree.cpu",
        provider_id=MICROSOFT,
        title="Tabu search, parameter-free",
        summary="Tabu search in longer and longer rounds; for small and dense problems.",
        parameters=COMMON,
        keeps_one_hot=True,
        build=_free_tabu,
        advice=_tabu_advice,
    ),
    oneqbit_target(
        id="1qbit.tabu",
        title="Tabu search (1QBit)",
        summary="Tabu search with the parameters of 1QBit, until the time is over or no walker improves.",
        parameters=(_CUTOFF, _TOLERANCE, _TENURE, _SPREAD, *ONEQBIT_COMMON),
        keeps_one_hot=True,
        build=_oneqbit_tabu,
        document=oneqbit_document("Tabu"),
    ),
    oneqbit_target(
        id="1qbit.pathrelinking",
        title="Path relinking (1QBit)",
        summary="Searches on paths between good solutions, each the result of a short tabu search.",
        parameters=(_REF_SET_COUNT, _DISTANCE_SCALE, _GREEDY, *ONEQBIT_COMMON),
        build=_oneqbit_relinking,
        document=oneqbit_document("PathRelinking"),
    ),
)
"""The targets of this module."""

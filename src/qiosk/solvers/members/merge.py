"""The results of members as that of one solve.

Nothing here depends on the order in which members came to their end: they are numbered, and ties are decided by the
values of configurations and then by these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qiosk.bounds.bound import Bound
from qiosk.contract.provenance import CUT_SHORT, ENOUGH
from qiosk.formats.comparison import PACED
from qiosk.model.constraints.hard_constraints import HardConstraints, read_hard_constraints
from qiosk.solvers.members.progress import merge_bounds, merge_traces
from qiosk.solvers.provenance import RunFacts
from qiosk.solvers.result import Result, Solution
from qiosk.solvers.search.incumbents import rank
from qiosk.solvers.search.stopping import StopReason

IDLE = "is_idle"
"""The statistic of a member to which no restarts were left."""
MEMBERS = "members"
"""The statistic of a merged result: what each member did."""
MODEL = "model"
"""The member of results of models: solutions that violate fewer constraints come first."""
_ORDER = (
    *ENOUGH,
    StopReason.CANCELLED,
    StopReason.RUN_LIMIT,
    StopReason.TIMEOUT,
    StopReason.FINISHED,
    StopReason.VIOLATED,
    StopReason.CONVERGED,
)
"""Of the reasons of members the first one of these is that of the solve."""
_ADDED = ("spin_updates", "sweeps")
_LONGEST = ("seconds", "compile_seconds", "prepare_seconds", "threads")


def is_enough(stop_reason: str) -> bool:
    """Whether a member that has ended for this reason ends the solve, so that no other needs to go on.

    >>> is_enough("optimal"), is_enough("finished")
    (True, False)
    """
    return stop_reason in ENOUGH


def merge(
    found: Mapping[int, Result], facts: RunFacts, *, nodes: int, wanted: int, was_cancelled: bool = False
) -> Result:
    """The result of a solve of ``nodes`` members, from those of the members by index; some may not have run.

    ``facts`` are those of the solve, and ``wanted`` is how many solutions it was asked for. It has the best distinct
    solutions of all members; the best of their bounds, with its receipt; the trace of all; statistics that are added up
    where they are work, and the longest where they are time. Members without a share of the restarts have found
    nothing, unless there is no other. ``was_cancelled``: some members did not run for this reason.
    """
    indices = [k for k in sorted(found) if not found[k].statistics.get(IDLE)] or sorted(found)
    judge = _Judge(
        read_hard_constraints(facts.cost_function.metadata, facts.cost_function.variables),
        is_of_model=any(MODEL in found[k].more for k in indices),
    )
    ranked = judge.ranked([(k, solution) for k in indices for solution in found[k].solutions])[:wanted]
    owner, best = found[ranked[0][0]], ranked[0][1]
    lower_bound = _best_bound([found[k].lower_bound for k in indices], best)
    violated = judge.constraints.violated(best.values) if judge.constraints is not None else owner.violated
    reasons = [found[k].stop_reason for k in indices] + ([str(StopReason.CANCELLED)] if was_cancelled else [])
    stop = next(reason for reason in _ORDER if reason in reasons)
    if violated and stop in (StopReason.CONVERGED, StopReason.OPTIMAL):
        stop = StopReason.VIOLATED
    elif stop is StopReason.VIOLATED and not violated:
        stop = StopReason.CONVERGED
    return replace(
        owner,
        solutions=[solution for _, solution in ranked],
        parameters={**owner.parameters, "seed": facts.seed, "nodes": nodes},
        trace=merge_traces(found[k].trace for k in indices),
        statistics={**_statistics(found, owner), "stop_reason": str(stop)},
        facts=facts,
        ended_at=max(result.ended_at for result in found.values()),
        lower_bound=lower_bound,
        bounds=() if lower_bound is None else merge_bounds(found[k].bounds for k in indices),
        violated=violated,
        covers_earlier_runs=any(result.covers_earlier_runs for result in found.values()),
    )


@dataclass(frozen=True, slots=True)
class _Judge:
    """Which solutions are better."""

    constraints: HardConstraints | None
    is_of_model: bool

    def ranked(self, pairs: Sequence[tuple[int, Solution]]) -> list[tuple[int, Solution]]:
        """Distinct solutions, each with the member of the least number that has it, best first."""
        distinct: dict[bytes, tuple[int, Solution]] = {}
        for k, solution in pairs:
            distinct.setdefault(solution.values.tobytes(), (k, solution))
        return sorted(distinct.values(), key=lambda pair: self._place(pair[1]))

    def _place(self, solution: Solution) -> tuple[int, float, bytes]:
        is_counted = self.constraints is not None and self.is_of_model
        violations = len(self.constraints.violated(solution.values)) if self.constraints and is_counted else 0
        return violations, *rank(solution.cost, solution.values)


def _best_bound(bounds: Sequence[Bound | None], best: Solution) -> Bound | None:
    """The best bound; of equal ones the first that has a receipt."""
    known = [bound for bound in bounds if bound is not None]
    if not known:
        return None
    chosen = max(known, key=lambda bound: (bound.value, bound.has_receipt))
    return replace(chosen, value=min(chosen.value, best.cost))


def _statistics(found: Mapping[int, Result], owner: Result) -> dict[str, Any]:
    """Those of all members; what is neither work nor time is of the member that found the best."""
    every = [found[k].statistics for k in sorted(found)]
    merged = {name: value for name, value in owner.statistics.items() if name != IDLE}
    merged |= {name: sum(each[name] for each in every) for name in _ADDED}
    merged |= {name: max(each[name] for each in every) for name in _LONGEST}
    is_paced = [each.get(PACED, False) or each["stop_reason"] in CUT_SHORT for each in every]
    if any(is_paced) or any(PACED in each for each in every):
        merged[PACED] = any(is_paced)
    merged[MEMBERS] = [_described(k, found[k]) for k in sorted(found)]
    return merged


def _described(index: int, result: Result) -> dict[str, Any]:
    idle = {IDLE: True} if result.statistics.get(IDLE) else {}
    return {
        "index": index,
        "seed": result.facts.seed,
        "cost": result.cost,
        "bound": result.bound,
        "stop_reason": result.stop_reason,
        "seconds": result.statistics["seconds"],
        "spin_updates": result.statistics["spin_updates"],
        **idle,
    }

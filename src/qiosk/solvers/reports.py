"""What a run reports: after chunks, in checkpoints, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import to_builtins

from qiosk.bounds.bound import Bound
from qiosk.contract.jobs import BoundPoint, JobProgress, TracePoint
from qiosk.contract.provenance import Provenance
from qiosk.solvers.bounding import Bounding
from qiosk.solvers.checkpoint import origin, pack
from qiosk.solvers.driver import Run
from qiosk.solvers.exact.minimum import Exact
from qiosk.solvers.members.member import Member
from qiosk.solvers.provenance import RunFacts, now
from qiosk.solvers.result import Result, Solution, columns
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.searched import Searched
from qiosk.solvers.targets.documents import RUNNING, ResultsContent
from qiosk.solvers.targets.target import Target

_NOT_LASTING = ("timeout", "bound", "gap", "nodes")
"""Parameters that may be others when a run goes on from a checkpoint."""


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What the hook receives after a chunk; the bytes are made when a function is called.

    ``is_last``: a time limit or the caller has ended the run, and another one could go on from this checkpoint.
    """

    progress: JobProgress
    new_trace: Sequence[TracePoint]
    best: Callable[[], bytes]  # results document of the best so far
    checkpoint: Callable[[], bytes]
    provenance: Callable[[], Provenance]  # as far as it is known
    solutions: Callable[[], Sequence[Solution]]  # the best so far
    is_last: bool = False


class Reports:
    """The reports of one run of a target with its parameter values.

    ``uncounted`` are the seconds of the run that do not count against its time limit, ``planned`` is the limit by which
    it was set up.
    """

    def __init__(
        self,
        target: Target,
        values: Mapping[str, Any],
        searched: Searched,
        facts: RunFacts,
        *,
        uncounted: float,
        planned: float,
        input_data_uri: str,
        member: Member | None = None,
    ) -> None:
        self._target = target
        self._values = values
        self._searched = searched
        self._facts = facts
        self._uncounted = uncounted
        self._planned = planned
        self._input_data_uri = input_data_uri
        self._member = member

    @cached_property
    def origin(self) -> dict[str, Any]:
        """What checkpoints must share with the run."""
        lasting = {name: value for name, value in self._values.items() if name not in _NOT_LASTING}
        if self._member is not None:
            lasting["member"] = (self._member.index, self._member.nodes)
        return origin(self._target.id, lasting, self._searched.cost_function)

    def of_chunk(self, run: Run[Any]) -> ChunkReport:
        """The report after a chunk of a search."""
        return ChunkReport(
            progress=run.progress(),
            new_trace=run.trace[run.reported :],
            best=lambda: self._document(run.state.incumbents, self._parameters_of(run), run.seconds),
            checkpoint=lambda: self._checkpoint(run),
            provenance=lambda: self._facts.so_far(self._parameters_of(run)),
            solutions=lambda: self._searched.solutions(run.state.incumbents),
        )

    def of_exact(
        self,
        exact: Exact,
        found: Incumbents,
        parameters: Mapping[str, Any],
        trace: Sequence[TracePoint],
        seconds: float,
    ) -> ChunkReport:
        """The only report where the best was found before any search, in some ``seconds``."""
        return ChunkReport(
            progress=JobProgress(
                fraction=1.0,
                best_cost=found.best,
                seconds=seconds,
                bound=exact.bound.value,
                bounds=(BoundPoint(seconds, exact.bound.value),),
            ),
            new_trace=trace,
            best=lambda: self._document(found, parameters, seconds),
            checkpoint=lambda: pack(self._begun(exact.kernel)),
            provenance=lambda: self._facts.so_far(parameters),
            solutions=lambda: self._searched.solutions(found),
        )

    def parameters(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, what was found, and the seed; with ``presolve`` where a smaller problem was searched."""
        reduced = {} if self._searched.reduced is None else {"presolve": True}
        return {**given(self._values), **found, **reduced, "seed": self._facts.seed}

    def result(
        self,
        found: Incumbents,
        parameters: Mapping[str, Any],
        trace: Sequence[TracePoint],
        statistics: Mapping[str, Any],
        bounding: Bounding | None = None,
        exact: Exact | None = None,
        bounds: Sequence[BoundPoint] = (),
    ) -> Result:
        """The result of a run that has ended, with the bound of ``bounding`` or of what was proved before a search.

        ``bounds`` are how that became better until the search had ended.
        """
        solutions = self._searched.solutions(found)
        violated = self._searched.violated(solutions[0].values)
        if violated and statistics["stop_reason"] in (StopReason.CONVERGED, StopReason.OPTIMAL):
            statistics = {**statistics, "stop_reason": str(StopReason.VIOLATED)}
        lower_bound = self._bound(solutions[0], bounding, exact)
        return Result(
            target=self._target.id,
            solutions=solutions,
            violated=violated,
            parameters=parameters,
            trace=trace,
            statistics=statistics,
            facts=self._facts,
            ended_at=now(),
            input_data_uri=self._input_data_uri,
            document=self._target.document,
            lower_bound=lower_bound,
            bounds=() if lower_bound is None else bounds,
        )

    def _bound(self, best: Solution, bounding: Bounding | None, exact: Exact | None) -> Bound | None:
        """The lower bound that a result has; of what was proved the cost of the best, if no rounding changes that."""
        if bounding is not None:
            return bounding.reported(best.cost, best.values)
        if exact is None or not self._searched.is_exact:
            return None
        if not exact.is_proved:
            return exact.bound
        if not exact.bound.certificate:
            return replace(exact.bound, value=best.cost, exact=Fraction(best.cost))
        return replace(exact.bound, value=best.cost)

    def _parameters_of(self, run: Run[Any]) -> dict[str, Any]:
        return self.parameters(run.solver.parameters(run.state))

    def _document(self, found: Incumbents, parameters: Mapping[str, Any], seconds: float) -> bytes:
        content = ResultsContent(
            target=self._target.id,
            solutions=columns(self._searched.solutions(found)),
            parameters=parameters,
            input_data_uri=self._input_data_uri,
            message=RUNNING,
            seconds=seconds,
            provenance=to_builtins(self._facts.so_far(parameters)),
        )
        return self._target.document(content)

    def _checkpoint(self, run: Run[Any]) -> bytes:
        trace = np.array([(p.seconds, p.sweep, p.cost) for p in run.trace], np.float64).reshape(-1, 3)
        return pack(
            {
                **self._begun(run.solver.kernel),
                "state": run.state,
                "seconds": run.now - run.began,
                "stepping": run.seconds,
                "bound": None if run.bounding is None else run.bounding.saved(),
                "trace": trace,
                "bounds": [(p.seconds, p.bound) for p in run.bounds],
            }
        )

    def _begun(self, kernel: str) -> dict[str, Any]:
        """What a checkpoint has that does not change during a run."""
        return {
            "origin": self.origin,
            "seed": self._facts.seed,
            "kernel": kernel,
            "is_reduced": self._searched.reduced is not None,
            "eliminates": self._searched.eliminates,
            "nodes": self._searched.nodes,
            "uncounted": self._uncounted,
            "planned": self._planned,
        }


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def statistics_of(
    kernel: str,
    stop: StopReason,
    seconds: float,
    *,
    spin_updates: int = 0,
    sweeps: int = 0,
    compile_seconds: float = 0.0,
    prepare_seconds: float = 0.0,
    threads: int = 1,
) -> dict[str, Any]:
    """What every result has, documented at ``Result``; the defaults are those where there was no search."""
    return {
        "kernel": kernel,
        "spin_updates": spin_updates,
        "sweeps": sweeps,
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "prepare_seconds": prepare_seconds,
        "threads": threads,
        "stop_reason": str(stop),
    }

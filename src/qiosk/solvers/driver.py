"""The driver runs any solver in chunks of sweeps and owns the clock.

After every chunk it calls one hook, which reports progress and new bests and writes checkpoints. A run ends when the
solver is done, a target cost is reached, the time is over or the caller cancels; the best configuration is kept in
every case.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Generic

import numpy as np

from qiosk.contract.jobs import BoundPoint, JobProgress, TracePoint, with_bound
from qiosk.contract.provenance import CUT_SHORT
from qiosk.kernels.announcements import setup_seconds
from qiosk.solvers.bounding import Bounding
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, S, Solver
from qiosk.solvers.search.stopping import Interrupted, StopReason

# Long enough that the overhead of a chunk and of threads waiting for each other at its end is small, short enough that
# a cancellation takes effect at once; and at first so short that an early hit of the target ends the run early.
CHUNK_SECONDS = 0.05
FIRST_CHUNK_SECONDS = 0.004
CHUNK_SHARE = 0.1  # of the time so far
LATE_SECONDS = 0.02  # after the deadline that a chunk may end, as far as that is known before


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop: ``deadline`` on the driver's clock [s], and a cost that is good enough.

    ``end_seconds`` is how much sooner than the deadline the search must end, because of what follows it.

    ``is_run_limit``: the deadline is that of the longest run that is allowed, not a time-out that the caller gave.
    """

    deadline: float = np.inf
    target_cost: float = -np.inf
    is_run_limit: bool = False
    end_seconds: Callable[[], float] = lambda: 0.0


@dataclass(slots=True)
class Run(Generic[S]):
    """A run in progress, as the hook sees it."""

    solver: Solver[S]
    state: S
    limits: Limits
    began: float
    now: float
    seconds: float = 0.0  # in step alone
    trace: list[TracePoint] = field(default_factory=list)
    reported: int = 0  # points of the trace that were reported after earlier chunks
    is_interrupted: bool = False  # in the middle of a sweep, so that the state cannot be continued
    bounding: Bounding | None = None  # lower bounds beside the search
    bounds: tuple[BoundPoint, ...] = ()  # how they became better

    @property
    def deadline(self) -> float:
        """When the search must end."""
        return self.limits.deadline - self.limits.end_seconds()

    def put_off(self, seconds: float) -> None:
        """Do not count so many seconds until now, which compiling or loading kernels took: the deadline moves."""
        self.began += seconds
        self.limits = replace(self.limits, deadline=self.limits.deadline + seconds)

    def progress(self) -> JobProgress:
        """Where the run stands."""
        best = self.state.incumbents.best
        return JobProgress(
            fraction=self._fraction(),
            sweeps=self.state.sweeps_done,
            best_cost=best if np.isfinite(best) else None,
            seconds=self.now - self.began,
            bound=None if self.bounding is None else self.bounding.best.value,
            bounds=self.bounds,
        )

    def _fraction(self) -> float:
        planned = self.solver.fraction(self.state)
        if np.isfinite(self.deadline):
            allowed = max(self.deadline - self.began, 1e-9)
            planned = max(planned, (self.now - self.began) / allowed)
        return float(min(1.0, planned))

    def extend_trace(self) -> None:
        """Stamp the improvements that are not in the trace yet with the present time, and a better bound."""
        for found in self.state.incumbents.improvements[len(self.trace) :]:
            self.trace.append(TracePoint(self.now - self.began, found.sweep, found.cost))
        if self.bounding is not None:
            self.bounds = with_bound(self.bounds, self.now - self.began, self.bounding.best.value)


def drive(
    run: Run[S],
    parallel: Parallel,
    *,
    clock: Callable[[], float],
    is_cancelled: Callable[[], bool],
    on_chunk: Callable[[Run[S]], None],
) -> StopReason:
    """Step the solver until it has a reason to stop; return it. At least one chunk is run, whatever the deadline,
    unless that takes much longer than the deadline allows. No sweep is begun that would end well after it if it takes
    as long as those of the last chunk.
    """
    chunk, each = 1, 0.0  # seconds of a sweep
    while (reason := _reason(run, clock() + max(0.0, each - LATE_SECONDS), is_cancelled)) is None:
        before, done = clock(), run.state.sweeps_done
        try:
            run.solver.step(run.state, chunk, parallel, _budget(run, before))
        except Interrupted as interrupted:  # in the middle of a sweep: only what was found before is sound
            run.now = clock()
            run.seconds += run.now - before
            run.is_interrupted = True
            run.extend_trace()
            return interrupted.reason
        run.now = clock()
        run.seconds += run.now - before
        before += _bound(run, clock, is_cancelled)
        run.extend_trace()
        on_chunk(run)
        run.reported = len(run.trace)
        wanted = min(CHUNK_SECONDS, max(FIRST_CHUNK_SECONDS, CHUNK_SHARE * run.seconds))
        each = (run.now - before) / max(1, run.state.sweeps_done - done)
        left = max(0.0, run.deadline - run.now)
        chunk = int(max(1, min(_next_chunk(chunk, wanted / max(each, 1e-9)), left / max(each, 1e-9))))
    if reason is StopReason.CONVERGED:
        from qiosk.solvers.exact.challenge import challenge  # loads the compiler

        try:
            challenge(run.solver.context, run.state.incumbents, run.state.sweeps_done)
        except Interrupted as interrupted:
            reason = interrupted.reason
        else:
            if not run.solver.context.may_converge(run.state.incumbents):
                reason = StopReason.VIOLATED
    if reason is StopReason.OPTIMAL and run.bounding is not None:
        reason = run.bounding.confirmed(run.state.incumbents) or StopReason.CONVERGED
    if reason in (StopReason.CONVERGED, StopReason.FINISHED):
        reason = _bound_at_last(run, clock, is_cancelled, on_chunk) or reason
    if reason in CUT_SHORT and run.bounding is not None and run.state.incumbents.capacity == 1:
        run.bounding.offer(run.state.incumbents, run.solver.context.problem)
    if reason in CUT_SHORT:
        with suppress(Interrupted):  # what was offered before stays
            run.solver.offer_replicas(run.state)
    run.now = clock()
    run.extend_trace()
    return reason


def _reason(run: Run[S], now: float, is_cancelled: Callable[[], bool]) -> StopReason | None:
    if is_cancelled():
        return StopReason.CANCELLED
    found, target = run.state.incumbents, run.limits.target_cost
    if run.bounding is not None and found.capacity == 1 and (proved := run.bounding.outcome(found)) is not None:
        return proved
    if found.best <= target:
        return StopReason.TARGET
    if (outcome := run.solver.outcome(run.state)) is not None:
        return outcome
    if now >= run.deadline and run.state.sweeps_done > 0:
        return StopReason.RUN_LIMIT if run.limits.is_run_limit else StopReason.TIMEOUT
    return None


def _bound(run: Run[S], clock: Callable[[], float], is_cancelled: Callable[[], bool]) -> float:
    """Look for a better bound, for its share of the time; returns the seconds that kernels took, which do not count."""
    if run.bounding is None or not run.bounding.share:
        return 0.0
    found, problem, before = run.state.incumbents, run.solver.context.problem, setup_seconds()
    run.bounding.advance(found, problem, run.seconds, lambda: is_cancelled() or clock() >= run.deadline)
    seconds = setup_seconds() - before
    run.put_off(seconds)
    run.now = clock()
    return seconds


def _bound_at_last(
    run: Run[S], clock: Callable[[], float], is_cancelled: Callable[[], bool], on_chunk: Callable[[Run[S]], None]
) -> StopReason | None:
    """Look for a better bound after the search ended by itself; what that proves of its best."""
    if run.bounding is None:
        return None
    found, problem = run.state.incumbents, run.solver.context.problem
    known = run.bounds

    def is_over() -> bool:
        nonlocal known
        run.now = clock()
        run.extend_trace()
        if run.bounds != known:
            known = run.bounds
            on_chunk(run)
            run.reported = len(run.trace)
        return is_cancelled() or run.now >= run.deadline

    run.bounding.go_on(found, problem, run.seconds, is_over)
    return run.bounding.outcome(found)


def _budget(run: Run[S], now: float) -> Budget:
    if not np.isfinite(run.deadline):
        return Budget(np.inf, spent=run.seconds)
    left = max(0.0, run.deadline - now)
    if run.bounding is not None:
        left = run.bounding.left_to_search(left, run.seconds)
    if run.seconds == 0.0 or run.state.spin_updates == 0:
        return Budget(None, left, run.seconds)
    return Budget(left * run.state.spin_updates / run.seconds, left, run.seconds)


def _next_chunk(chunk: int, wanted: float) -> int:
    return int(np.clip(wanted, max(1, chunk // 2), 2 * chunk))

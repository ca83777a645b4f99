"""One run from a cost function to a result: compile, reduce, enumerate or search, within its time limit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.contract.jobs import BoundPoint, TracePoint
from qiosk.contract.provenance import CUT_SHORT
from qiosk.errors import InvalidValue, NotEnoughMemory, TimeoutTooSmall, UnreadableCheckpoint
from qiosk.kernels.announcements import Start, setup_seconds
from qiosk.kernels.loading import load_compiler
from qiosk.machine import cpu_count
from qiosk.model.compile import MANY_TERMS, compile_problem
from qiosk.model.cost_function import I8, CostFunction
from qiosk.model.flips import cost_of
from qiosk.solvers import bounding
from qiosk.solvers.allotment import Wanted
from qiosk.solvers.bounding import Bounding
from qiosk.solvers.checkpoint import check_origin, unpack
from qiosk.solvers.driver import Limits, Run, drive
from qiosk.solvers.exact.minimum import Exact
from qiosk.solvers.members.member import Member
from qiosk.solvers.members.merge import IDLE
from qiosk.solvers.provenance import RunFacts, now
from qiosk.solvers.reports import ChunkReport, Reports, given, statistics_of
from qiosk.solvers.result import Result, Solution
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.interruption import LEAST_GRACE_S, Interruption, grace_after, offer_any
from qiosk.solvers.search.neighbours import fill_up
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.share import WHOLE, Share
from qiosk.solvers.search.solver import Solver
from qiosk.solvers.search.stopping import Interrupted, StopReason
from qiosk.solvers.search.tuning import beta_range
from qiosk.solvers.searched import Searched
from qiosk.solvers.targets.parameters import new_seed
from qiosk.solvers.targets.target import Target

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext

_log = logging.getLogger(__name__)

Clock = Callable[[], float]


class Task:
    """A target with its parameter values, on one cost function.

    With ``member`` it is one of the runs into which a solve over several nodes is divided.

    With ``is_round`` other runs may follow, with other weights of constraints, and ``max_seconds`` is its share of the
    time limit. The time limit counts from ``start``, by default from the call of ``run``.
    """

    def __init__(
        self,
        target: Target,
        values: Mapping[str, Any],
        cost_function: CostFunction,
        *,
        threads: int | None = None,
        kernel: str | None = None,
        resume: bytes | None = None,
        is_extension: bool = False,
        input_data_uri: str = "",
        max_seconds: float | None = None,
        is_round: bool = False,
        start: Start | None = None,
        member: Member | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.target = target
        self.values = values
        self.cost_function = cost_function
        self.threads = threads if threads is not None else cpu_count()
        self.kernel = kernel
        self.max_seconds = np.inf if max_seconds is None else max_seconds
        self.is_round = is_round
        self.clock = clock
        self._member = member
        self._is_part = member is not None and target.is_divisible(values)  # or the whole search, with another seed
        self.searched = Searched(target, values, cost_function, kernel)
        self._start = start
        self._importing = self._set_up = 0.0  # seconds, see ``_compile_seconds``
        # the state later: its classes are those of the solver's module, which is loaded when the solver is built
        self.saved: Any = unpack(resume, without="state") if resume is not None else None
        if self.saved and "members" in self.saved:
            raise UnreadableCheckpoint("checkpoint: must be of a run on one node, found one over several")
        self._resume = resume
        # seconds of the run that do not count against its time limit: those before it was extended
        self._uncounted = self._elapsed if is_extension else float(self.saved["uncounted"]) if self.saved else 0.0
        # the time limit when it began, by which it is set up; a checkpoint of an older version has none
        self._planned = float(self.saved.get("planned", np.inf)) if self.saved else self._allowed[0]
        self.seed: int = self.saved["seed"] if self.saved else self._new_seed()
        _log.info("seed %d", self.seed)  # of a run that does not end, too
        parameters = {**given(values), "seed": self.seed} | ({} if kernel is None else {"kernel": kernel})
        self.facts = RunFacts(target.id, self.seed, parameters, self.threads, now(), cost_function)
        self.reports = Reports(
            target,
            values,
            self.searched,
            self.facts,
            uncounted=self._uncounted,
            planned=self._planned,
            input_data_uri=input_data_uri,
            member=member,
        )
        if kernel is not None and not target.has_kernels:
            raise InvalidValue(f"kernel {kernel!r}: {target.id} has no choice of kernels")
        if target.is_parameter_free and target.timeout_s(values) == 0:
            raise TimeoutTooSmall("parameter `timeout`: 0 leaves no time for any exploration")

    def run(self, *, is_cancelled: Callable[[], bool], on_chunk: Callable[[ChunkReport], None]) -> Result:
        """Run to the end. Raises NotEnoughMemory if the problem does not fit."""
        try:
            return self._run(is_cancelled, on_chunk)
        except NotEnoughMemory:
            raise
        except MemoryError as error:
            n, terms = len(self.cost_function.variables), self.cost_function.n_terms
            raise NotEnoughMemory(f"problem of {n} variables and {terms} terms does not fit memory") from error
        finally:
            self.searched.let_go()

    def known(self, values: I8, kernel: str, stop: StopReason, seconds: float) -> Result:
        """The result where ``values`` (n,) are the solution, found in some seconds [s] by a ``kernel``."""
        problem = compile_problem(self.cost_function)
        found = Incumbents(1)
        found.offer(values, cost_of(problem, values), 0)
        trace = [TracePoint(seconds, 0, found.best)]
        return self.reports.result(found, self.reports.parameters({}), trace, statistics_of(kernel, stop, seconds))

    def _run(self, is_cancelled: Callable[[], bool], on_chunk: Callable[[ChunkReport], None]) -> Result:
        start = self._start or Start(self.clock(), setup_seconds())
        began, self._set_up = start.at, start.setup_seconds
        if self.cost_function.n_terms >= MANY_TERMS:
            load_compiler()  # which compiling a smaller problem does not need
        searched = self.searched
        searched.compile()
        if self.saved:
            check_origin(self.saved["origin"], self.reports.origin)
        interruption = self._interruption(began, is_cancelled)
        if (exact := self._exact(interruption)) is not None:
            return self._proved(exact, began + self._compile_seconds, is_cancelled, on_chunk)
        load_compiler()  # the smallest problems need none
        before = self.clock()
        import qiosk.solvers.samplers.planner  # noqa: F401

        self._importing += self.clock() - before
        if self._resume is not None:
            interruption.grace = np.inf  # until what the run before has found is read from the checkpoint
        if searched.is_reduction_tried if self.saved is None else self.saved["is_reduced"]:
            try:
                searched.reduce(self.saved, lambda: self.clock() - self._compile_seconds, interruption.check)
            except Interrupted as interrupted:
                return self._interrupted(
                    searched.context(self.seed, self._planned), began, interrupted.reason, LEAST_GRACE_S
                )
            if (exact := self._exact(interruption)) is not None:
                return self._proved(exact, began + self._compile_seconds, is_cancelled, on_chunk)
        context = searched.context(self.seed, self._planned, self._share)
        if self._resume is None:
            interruption.grace = -context.end_seconds
        context.checks.append(interruption.check)
        try:
            solver = self.target.build(context, self.values)
            # which compiles kernels, too
            state = self._saved_state(solver) if self._resume is not None else solver.init()
            bounds = self._bounding()
        except Interrupted as interrupted:
            interruption.grace = self._grace - context.result_seconds
            return self._interrupted(context, began, interrupted.reason, max(LEAST_GRACE_S, interruption.left))
        compile_seconds = self._compile_seconds
        run = self._begin(context, solver, state, began + compile_seconds, bounds)
        prepare_seconds = self.clock() - began - compile_seconds
        interruption.grace = self._grace - context.end_seconds

        def on_step(run: Run[Any]) -> None:
            interruption.grace = self._grace  # from now on there is something that a longer search may lose
            on_chunk(self.reports.of_chunk(run))

        parallel = Parallel(self.threads, interruption.check)
        try:
            stop = drive(
                run,
                parallel,
                clock=self.clock,
                is_cancelled=is_cancelled,
                on_chunk=on_step,
            )
        finally:
            parallel.close()
        if not run.state.incumbents.costs:
            interruption.grace = self._grace - context.result_seconds
            offer_any(context, run.state.incumbents, max(LEAST_GRACE_S, interruption.left))
            run.extend_trace()
        if stop in CUT_SHORT and not run.is_interrupted:
            on_chunk(replace(self.reports.of_chunk(run), is_last=True))
        statistics = statistics_of(
            solver.kernel,
            stop,
            run.seconds,
            spin_updates=run.state.spin_updates,
            sweeps=run.state.sweeps_done,
            compile_seconds=self._compile_seconds,
            prepare_seconds=prepare_seconds,
            threads=self.threads,
        )
        statistics |= solver.statistics(run.state) | searched.presolve
        parameters = self.reports.parameters(solver.parameters(run.state))
        if self._is_part and stop is StopReason.FINISHED and not run.state.spin_updates:
            statistics[IDLE] = True
        enough = max(run.limits.deadline, self.clock() + (0.0 if self.is_round else self._grace))
        is_full = self._is_part or fill_up(
            searched.problem,
            context.moves,
            run.state.incumbents,
            lambda: self.clock() < enough and not is_cancelled(),
        )
        if not is_full or bounds.has_offered:
            statistics["is_paced"] = True
        return self.reports.result(run.state.incumbents, parameters, run.trace, statistics, bounds, bounds=run.bounds)

    def filled(self, solutions: Sequence[Solution]) -> Sequence[Solution]:
        """Further solutions in the neighbourhood of some, best first, as many as are wanted, if there are fewer."""
        wanted = self.target.solutions(self.values)
        if len(solutions) >= wanted:
            return solutions
        searched, found = self.searched, Incumbents(wanted)
        searched.compile()
        try:
            for solution in solutions:
                found.offer(solution.values, cost_of(searched.problem, solution.values), 0)
            fill_up(searched.problem, searched.context(self.seed, np.inf).moves, found, lambda: True)
            return searched.solutions(found)
        finally:
            searched.let_go()

    def _exact(self, interruption: Interruption) -> Exact | None:
        """What is found before any search. Where time is over, or the run was cancelled, the search notices it, too."""
        try:
            return self.searched.exact(self._allowed[0], interruption.check)
        except Interrupted:
            return None

    @property
    def _compile_seconds(self) -> float:
        """What the run has spent so far on loading the compiler, and on compiling kernels or loading them."""
        return self._importing + setup_seconds() - self._set_up

    def _bounding(self) -> Bounding:
        """The bounds of the whole problem. Kernels of those that were asked for are compiled here, before the deadline
        is known.
        """
        wanted = Wanted(
            method=self.values.get("bound"),
            gap=self.values.get("gap"),
            may_end=self.target.is_parameter_free and self.kernel is None,
        )
        if wanted.is_asked:
            bounding.warm_up(self.searched.problem)
        return Bounding(
            self.searched.whole,
            wanted,
            self.seed,
            self._allowed[0],
            in_whole=self.searched.lift,
            in_search=self.searched.restrict,
        )

    def _interruption(self, began: float, is_cancelled: Callable[[], bool]) -> Interruption:
        """Ends what takes much longer than the time limit; compiling kernels does not count."""
        allowed, reason = self._allowed
        return Interruption(
            clock=self.clock,
            is_cancelled=is_cancelled,
            deadline=lambda: began + self._compile_seconds + allowed,
            reason=reason,
        )

    @property
    def _grace(self) -> float:
        return grace_after(self._allowed[0])

    def _interrupted(self, context: SearchContext, began: float, stop: StopReason, patience: float) -> Result:
        """The result where the time was over, or the run was cancelled, while the search was being set up."""
        found = context.incumbents()
        if not found.costs:
            offer_any(context, found, patience)
        seconds = self.clock() - began - self._compile_seconds
        trace = [TracePoint(seconds, 0, found.best)]
        statistics = statistics_of("descent", stop, 0.0, compile_seconds=self._compile_seconds, prepare_seconds=seconds)
        statistics |= self.searched.presolve
        return self.reports.result(found, self.reports.parameters({}), trace, statistics)

    @property
    def _elapsed(self) -> float:
        """Seconds that earlier runs have taken, which the checkpoint continues."""
        return float(self.saved.get("seconds", 0.0)) if self.saved else 0.0  # an enumeration has none

    @property
    def _allowed(self) -> tuple[float, StopReason]:
        """How long this run may take [s], and the reason for which it ends then."""
        timeout = self.target.time_limit(self.values) + self._uncounted - self._elapsed
        if self.max_seconds < timeout:
            return self.max_seconds, StopReason.TIMEOUT if self.is_round else StopReason.RUN_LIMIT
        return timeout, StopReason.TIMEOUT

    def _saved_state(self, solver: Solver[Any]) -> Any:
        """State of the checkpoint to resume from. Raises UnreadableCheckpoint if it is of other kernels."""
        if self.saved["kernel"] != solver.kernel:
            raise UnreadableCheckpoint(f"checkpoint: kernel must be {solver.kernel}, found {self.saved['kernel']}")
        return unpack(self._resume or b"")["state"]

    def _proved(
        self, exact: Exact, began: float, is_cancelled: Callable[[], bool], on_chunk: Callable[[ChunkReport], None]
    ) -> Result:
        """The result where the best configurations were found before any search."""
        searched, found = self.searched, Incumbents(self.target.solutions(self.values))
        for x in exact.configurations:
            found.offer(x, cost_of(searched.problem, x), 0)
        seconds = self.clock() - began
        trace = [TracePoint(seconds, 0, found.best)]
        parameters = self.reports.parameters(self._advice(found))
        on_chunk(self.reports.of_exact(exact, found, parameters, trace, seconds))
        stop = StopReason.OPTIMAL if exact.is_proved and searched.is_exact else StopReason.CONVERGED
        stop = StopReason.CANCELLED if is_cancelled() else stop
        statistics = statistics_of(exact.kernel, stop, seconds) | searched.presolve
        bounds = [BoundPoint(seconds, exact.bound.value)]
        return self.reports.result(found, parameters, trace, statistics, exact=exact, bounds=bounds)

    def _advice(self, found: Incumbents) -> dict[str, Any]:
        if self.target.advice is None:
            return {}
        from qiosk.solvers.search.moves.moves import Flips

        problem = self.searched.problem
        betas = beta_range(problem, self.seed, Flips(problem), lambda x: found.configurations[0])
        return self.target.advice(problem.n, betas)

    def _begin(
        self, context: SearchContext, solver: Solver[Any], state: Any, began: float, bounds: Bounding
    ) -> Run[Any]:
        allowed, reason = self._allowed
        target_cost = self.target.target_cost(self.values)
        limits = Limits(
            deadline=began + allowed,
            is_run_limit=reason is StopReason.RUN_LIMIT,
            end_seconds=lambda: context.end_seconds + solver.end_seconds(state),
            target_cost=-np.inf if target_cost is None else target_cost + context.resolution.of_sum(target_cost),
        )
        run = Run(solver, state, limits, began - self._elapsed, self.clock(), bounding=bounds)
        if self.saved:
            run.trace.extend(TracePoint(s, int(k), c) for s, k, c in self.saved["trace"].tolist())
            run.seconds = self.saved["stepping"]
            bounds.resume(self.saved.get("bound"))  # a checkpoint of an older version has none
            run.bounds = tuple(BoundPoint(s, b) for s, b in self.saved.get("bounds", ()))
        return run

    @property
    def _share(self) -> Share:
        return self._member.share if self._member is not None and self._is_part else WHOLE

    def _new_seed(self) -> int:
        seed = self.values["seed"]
        found = new_seed() if seed is None else int(seed)
        return found if self._member is None or self._is_part else self._member.seed(found)

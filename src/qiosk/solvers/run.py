"""One run from a cost function to a result: compile, plan, drive, and compute the costs that are reported."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import to_builtins

from qiosk.bounds.bound import Bound
from qiosk.bounds.choice import NONE
from qiosk.contract.jobs import JobProgress, TracePoint
from qiosk.contract.provenance import Provenance
from qiosk.errors import InvalidValue, NotEnoughMemory, TimeoutTooSmall, UnreadableCheckpoint
from qiosk.kernels.announcements import setup_seconds
from qiosk.machine import cpu_count
from qiosk.model.check import initial_values
from qiosk.model.compile import MANY_TERMS, compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import I8, CostFunction
from qiosk.model.flips import cost_of, largest_cost
from qiosk.model.hard_constraints import HARD_CONSTRAINTS, HardConstraints, read_hard_constraints
from qiosk.model.one_hot import ONE_HOT, OneHot
from qiosk.model.slack import SLACK
from qiosk.presolve.reduced import Reduced
from qiosk.solvers import bounding, presolving
from qiosk.solvers.bounding import Bounding
from qiosk.solvers.checkpoint import check_origin, origin, pack, unpack
from qiosk.solvers.driver import Limits, Run, drive
from qiosk.solvers.exact.dominated import dominated_groups
from qiosk.solvers.exact.exhaustive import enumerate_best, is_enumerable
from qiosk.solvers.exact.slack import proven_rows
from qiosk.solvers.kept import KEPT
from qiosk.solvers.provenance import RunFacts, now
from qiosk.solvers.result import Result, Solution, columns
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.interruption import GRACE_S, Interrupted, Interruption, offer_any
from qiosk.solvers.search.neighbours import fill_up
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Solver, StopReason
from qiosk.solvers.search.tuning import beta_range
from qiosk.solvers.targets.documents import RUNNING, ResultsContent
from qiosk.solvers.targets.parameters import new_seed
from qiosk.solvers.targets.target import Target

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext

_log = logging.getLogger(__name__)

Clock = Callable[[], float]

_CUT = (StopReason.TIMEOUT, StopReason.RUN_LIMIT, StopReason.CANCELLED)

EXHAUSTIVE = "exhaustive"
"""The kernel that tries all configurations."""
_NOT_LASTING = ("timeout", "bound", "gap")
"""Parameters that may be others when a run goes on from a checkpoint."""
FILL_UP_S = 1.0
"""Seconds that a run may take beyond its time limit, to find more solutions than its search found."""


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


class Task:
    """A target with its parameter values, on one cost function.

    With ``is_round`` other runs may follow, with other weights of constraints, and ``max_seconds`` is its share of the
    time limit.
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
        clock: Clock = time.monotonic,
    ) -> None:
        self.target = target
        self.values = values
        self.cost_function = cost_function
        self.threads = threads if threads is not None else cpu_count()
        self.kernel = kernel
        self.input_data_uri = input_data_uri
        self.max_seconds = np.inf if max_seconds is None else max_seconds
        self.is_round = is_round
        self.clock = clock
        # the state later: its classes are those of the solver's module, which is loaded when the solver is built
        self._problem: CompiledProblem | None = None  # that the run is about
        self._importing = self._set_up = 0.0  # seconds, see ``_compile_seconds``
        self._reduced: Reduced | None = None  # of which the search works on what is left
        self._initial: I8 | None = None  # of the whole problem, where that is reduced
        self._presolve: dict[str, Any] = {}  # for the statistics
        self._eliminates = False  # whether narrow components were taken out, too
        self._bounding: Bounding | None = None
        self.saved: Any = unpack(resume, without="state") if resume is not None else None
        self._resume = resume
        # seconds of the run that do not count against its time limit: those before it was extended
        self._uncounted = self._elapsed if is_extension else float(self.saved["uncounted"]) if self.saved else 0.0
        self.seed: int = self.saved["seed"] if self.saved else self._new_seed()
        _log.info("seed %d", self.seed)  # of a run that does not end, too
        given = {**self._given, "seed": self.seed} | ({} if kernel is None else {"kernel": kernel})
        self.facts = RunFacts(target.id, self.seed, given, self.threads, now(), cost_function)
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
            if self._problem is not None:
                KEPT.let_go(self._problem)

    def known(self, values: I8, kernel: str, stop: StopReason, seconds: float) -> Result:
        """The result where ``values`` (n,) are the solution, found in some seconds [s] by a ``kernel``."""
        problem = compile_problem(self.cost_function)
        found = Incumbents(1)
        found.offer(values, cost_of(problem, values), 0)
        trace = [TracePoint(seconds, 0, found.best)]
        return self._result(problem, found, self._parameters({}), trace, _statistics(kernel, stop, seconds))

    def _run(self, is_cancelled: Callable[[], bool], on_chunk: Callable[[ChunkReport], None]) -> Result:
        began, self._set_up = self.clock(), setup_seconds()
        if self.cost_function.n_terms >= MANY_TERMS:
            import qiosk.kernels.compiler  # loads Numba, which compiling a smaller problem does not need

            self._importing = self.clock() - began
        problem = self._compiled()
        self._problem = problem
        largest_cost(problem)  # no search works where sums of costs are infinite
        initial = initial_values(self.cost_function)
        if self.saved:
            check_origin(self.saved["origin"], self._origin)
        if self._is_enumerated(problem):
            return self._enumerate(problem, began, is_cancelled, on_chunk)
        before = self.clock()
        import qiosk.solvers.samplers.planner  # noqa: F401  # loads the compiler; enumerated problems need none

        self._importing += self.clock() - before
        is_tried = self._is_reduction_tried(problem) if self.saved is None else self.saved["is_reduced"]
        if is_tried:
            problem = self._reduce(problem)
            if initial is not None and self._reduced is not None:
                self._initial, initial = initial, self._reduced.restrict(initial)
            if self._is_enumerated(problem):
                return self._enumerate(problem, began + self._compile_seconds, is_cancelled, on_chunk)
        context = self._context(problem, initial)
        interruption = self._interruption(began, is_cancelled)
        context.checks.append(interruption.check)
        try:
            solver = self.target.build(context, self.values)
            # which compiles kernels, too
            state = self._saved_state(solver) if self._resume is not None else solver.init()
            self._begin_bounds(context)
        except Interrupted as interrupted:
            return self._interrupted(context, began, interrupted.reason)
        compile_seconds = self._compile_seconds
        run = self._begin(context, solver, state, began + compile_seconds)
        prepare_seconds = self.clock() - began - compile_seconds
        interruption.grace = GRACE_S
        parallel = Parallel(self.threads, interruption.check)
        try:
            stop = drive(
                run,
                parallel,
                clock=self.clock,
                is_cancelled=is_cancelled,
                on_chunk=lambda run: on_chunk(self._report(problem, run)),
            )
        finally:
            parallel.close()
        if not run.state.incumbents.costs:
            offer_any(context, run.state.incumbents)
            run.extend_trace()
        if stop in _CUT and not run.is_interrupted:
            on_chunk(replace(self._report(problem, run), is_last=True))
        statistics = _statistics(
            solver.kernel,
            stop,
            run.seconds,
            spin_updates=run.state.spin_updates,
            sweeps=run.state.sweeps_done,
            compile_seconds=compile_seconds,
            prepare_seconds=prepare_seconds,
            threads=self.threads,
        )
        statistics |= solver.statistics(run.state) | self._presolve
        parameters = self._parameters(solver.parameters(run.state))
        enough = max(run.limits.deadline, self.clock() + (0.0 if self.is_round else FILL_UP_S))
        fill_up(problem, context.moves, run.state.incumbents, lambda: self.clock() < enough and not is_cancelled())
        return self._result(problem, run.state.incumbents, parameters, run.trace, statistics)

    @property
    def _compile_seconds(self) -> float:
        """What the run has spent so far on loading the compiler, and on compiling kernels or loading them."""
        return self._importing + setup_seconds() - self._set_up

    def _compiled(self) -> CompiledProblem:
        """The problem with one-hot groups and slack, declared or found; without where the solver does not know them."""
        if not self.target.keeps_groups(self.kernel):
            plain = KEPT.problem(self.cost_function, None, lambda: compile_problem(self.cost_function))
            return replace(plain, one_hot=None, slack=()) if plain.one_hot is not None or plain.slack else plain
        # where several solutions are wanted, bits that nobody calls slack may make the difference
        is_sought = SLACK not in self.cost_function.metadata and self.target.solutions(self.values) == 1
        return KEPT.problem(self.cost_function, is_sought, lambda: self._with_promises(is_sought=is_sought))

    def _with_promises(self, *, is_sought: bool) -> CompiledProblem:
        problem, metadata = compile_problem(self.cost_function), self.cost_function.metadata
        problem = replace(problem, slack=proven_rows(problem, is_sought=is_sought))
        if ONE_HOT in metadata:  # even if there are none
            return problem
        if problem.slack:
            return replace(problem, one_hot=OneHot.of([]))
        return replace(problem, one_hot=dominated_groups(problem))

    def _is_enumerated(self, problem: CompiledProblem) -> bool:
        """Whether to try all configurations: where there is one only, or they are few and no search was asked for."""
        is_search_wanted = not self.target.is_parameter_free or self.kernel is not None
        return problem.n == 0 or (not is_search_wanted and is_enumerable(problem))

    def _is_reduction_tried(self, problem: CompiledProblem) -> bool:
        """Whether to reduce the problem before the search: where it is wanted, or may pay."""
        wanted = self.values.get("presolve")
        if wanted is False or not presolving.is_reducible(problem) or self.target.solutions(self.values) > 1:
            return False
        if wanted is None and (not self.target.is_parameter_free or self.kernel is not None):
            return False
        return wanted is True or presolving.is_promising(problem, self.target.time_limit(self.values))

    def _begin_bounds(self, context: SearchContext) -> None:
        """Begin to bound the whole problem. Kernels are compiled here, before the deadline is known."""
        method, gap, reduced = self.values.get("bound"), self.values.get("gap"), self._reduced
        if (method is not None and method != NONE) or gap is not None:
            bounding.warm_up(context.problem)
        self._bounding = bounding.bounding(
            context.problem if reduced is None else reduced.original,
            method,
            gap,
            self.seed,
            may_end=self.target.is_parameter_free and self.kernel is None,
            in_whole=(lambda x: x) if reduced is None else reduced.lift,
            in_search=(lambda x: x) if reduced is None else reduced.restrict,
        )

    def _reduce(self, problem: CompiledProblem) -> CompiledProblem:
        """The problem to search: what is left of it, or itself where that does not pay."""
        from qiosk.presolve.reduction import reduce_compiled, reduce_fully
        from qiosk.solvers.samplers.planner import choose

        began, compiled = self.clock(), self._compile_seconds
        # a checkpoint of an older version knows no elimination
        self._eliminates = self.saved is None or bool(self.saved.get("eliminates", False))
        reduced = problem.derived(reduce_fully if self._eliminates else reduce_compiled)
        seconds = self.clock() - began - (self._compile_seconds - compiled)
        wanted = self.target.replicas(self.values) if self.target.replicas is not None else 1
        is_used = bool(self.saved) or self.values.get("presolve") is True
        is_used = is_used or presolving.pays(reduced, lambda p: choose(p, wanted, self.target.has_ladder))
        self._presolve = {"presolve": presolving.described(reduced, seconds, is_used=is_used)}
        if not is_used:
            return problem
        self._reduced = reduced
        return reduced.problem

    def _interruption(self, began: float, is_cancelled: Callable[[], bool]) -> Interruption:
        """Ends what takes much longer than the time limit; compiling kernels does not count."""
        allowed, reason = self._allowed
        return Interruption(
            clock=self.clock,
            is_cancelled=is_cancelled,
            deadline=lambda: began + self._compile_seconds + allowed,
            reason=reason,
        )

    def _interrupted(self, context: SearchContext, began: float, stop: StopReason) -> Result:
        """The result where the time was over, or the run was cancelled, while the search was being set up."""
        found = context.incumbents()
        if not found.costs:
            offer_any(context, found)
        seconds = self.clock() - began - self._compile_seconds
        trace = [TracePoint(seconds, 0, found.best)]
        statistics = _statistics("descent", stop, 0.0, compile_seconds=self._compile_seconds, prepare_seconds=seconds)
        statistics |= self._presolve
        return self._result(context.problem, found, self._parameters({}), trace, statistics)

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

    def _enumerate(
        self,
        problem: CompiledProblem,
        began: float,
        is_cancelled: Callable[[], bool],
        on_chunk: Callable[[ChunkReport], None],
    ) -> Result:
        found = Incumbents(self.target.solutions(self.values))
        enumerate_best(problem, found)
        seconds = self.clock() - began
        kernel = EXHAUSTIVE
        trace = [TracePoint(seconds, 0, found.best)]
        parameters = self._parameters(self._advice(problem, found))
        on_chunk(
            ChunkReport(
                progress=JobProgress(fraction=1.0, best_cost=found.best, seconds=seconds),
                new_trace=trace,
                best=lambda: self._document(problem, found, parameters, seconds),
                checkpoint=lambda: pack(self._begun(kernel)),
                provenance=lambda: self.facts.so_far(parameters),
                solutions=lambda: self._solutions(problem, found),
            )
        )
        stop = StopReason.CONVERGED if self.target.is_parameter_free else StopReason.FINISHED
        if problem.n == 0 and self._reduced is not None and self._reduced.is_exact:
            stop = StopReason.OPTIMAL  # integers decided all variables
        statistics = _statistics(kernel, StopReason.CANCELLED if is_cancelled() else stop, seconds) | self._presolve
        return self._result(problem, found, parameters, trace, statistics)

    def _advice(self, problem: CompiledProblem, found: Incumbents) -> dict[str, Any]:
        if self.target.advice is None:
            return {}
        from qiosk.solvers.search.moves import Flips

        betas = beta_range(problem, self.seed, Flips(problem), lambda x: found.configurations[0])
        return self.target.advice(problem.n, betas)

    @cached_property
    def _origin(self) -> dict[str, Any]:
        lasting = {name: value for name, value in self.values.items() if name not in _NOT_LASTING}
        return origin(self.target.id, lasting, self.cost_function)

    def _context(self, problem: CompiledProblem, initial: I8 | None) -> SearchContext:
        from qiosk.solvers.samplers.planner import plan, useful_replicas
        from qiosk.solvers.search.context import SearchContext

        wanted = self.target.replicas(self.values) if self.target.replicas is not None else 1
        return SearchContext(
            problem,
            lambda p: plan(
                p,
                replicas=useful_replicas(wanted, p.n) if self.target.prefers_long_searches else wanted,
                kernel=self.kernel,
                ladder=self.target.has_ladder,
            ),
            self.seed,
            solutions=self.target.solutions(self.values),
            initial=initial,
            starts_at_random=self.target.is_parameter_free,
            violates=self._violates if HARD_CONSTRAINTS in self.cost_function.metadata else None,
        )

    @cached_property
    def _constraints(self) -> HardConstraints | None:
        return read_hard_constraints(self.cost_function.metadata, self.cost_function.variables)

    def _violates(self, x: I8) -> bool:
        """Whether a configuration of what is searched violates a constraint of the whole problem."""
        whole = x if self._reduced is None else self._reduced.lift(x)
        return self._constraints is not None and bool(self._constraints.violated(whole))

    def _begin(self, context: SearchContext, solver: Solver[Any], state: Any, began: float) -> Run[Any]:
        allowed, reason = self._allowed
        target_cost = self.target.target_cost(self.values)
        limits = Limits(
            deadline=began + allowed,
            is_run_limit=reason is StopReason.RUN_LIMIT,
            target_cost=-np.inf if target_cost is None else target_cost + context.resolution.of_sum(target_cost),
        )
        run = Run(solver, state, limits, began - self._elapsed, self.clock(), bounding=self._bounding)
        if self.saved:
            run.trace.extend(TracePoint(s, int(k), c) for s, k, c in self.saved["trace"].tolist())
            run.seconds = self.saved["stepping"]
        return run

    def _report(self, problem: CompiledProblem, run: Run[Any]) -> ChunkReport:
        return ChunkReport(
            progress=run.progress(),
            new_trace=run.trace[run.reported :],
            best=lambda: self._document(
                problem, run.state.incumbents, self._parameters(run.solver.parameters(run.state)), run.seconds
            ),
            checkpoint=lambda: self._checkpoint(run),
            provenance=lambda: self.facts.so_far(self._parameters(run.solver.parameters(run.state))),
            solutions=lambda: self._solutions(problem, run.state.incumbents),
        )

    def _document(
        self, problem: CompiledProblem, found: Incumbents, parameters: Mapping[str, Any], seconds: float
    ) -> bytes:
        content = ResultsContent(
            target=self.target.id,
            solutions=columns(self._solutions(problem, found)),
            parameters=parameters,
            input_data_uri=self.input_data_uri,
            message=RUNNING,
            seconds=seconds,
            provenance=to_builtins(self.facts.so_far(parameters)),
        )
        return self.target.document(content)

    def _checkpoint(self, run: Run[Any]) -> bytes:
        trace = np.array([(p.seconds, p.sweep, p.cost) for p in run.trace], np.float64).reshape(-1, 3)
        return pack(
            {
                **self._begun(run.solver.kernel),
                "state": run.state,
                "seconds": run.now - run.began,
                "stepping": run.seconds,
                "trace": trace,
            }
        )

    def _begun(self, kernel: str) -> dict[str, Any]:
        """What a checkpoint has that does not change during a run."""
        return {
            "origin": self._origin,
            "seed": self.seed,
            "kernel": kernel,
            "is_reduced": self._reduced is not None,
            "eliminates": self._eliminates,
            "uncounted": self._uncounted,
        }

    def _parameters(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, what was found, and the seed; with ``presolve`` where a smaller problem was searched."""
        reduced = {} if self._reduced is None else {"presolve": True}
        return {**self._given, **found, **reduced, "seed": self.seed}

    @property
    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self.values.items() if value is not None}

    def _result(
        self,
        problem: CompiledProblem,
        found: Incumbents,
        parameters: Mapping[str, Any],
        trace: Sequence[TracePoint],
        statistics: Mapping[str, Any],
    ) -> Result:
        solutions = self._solutions(problem, found)
        violated = None if self._constraints is None else self._constraints.violated(solutions[0].values)
        if violated and statistics["stop_reason"] in (StopReason.CONVERGED, StopReason.OPTIMAL):
            statistics = {**statistics, "stop_reason": str(StopReason.VIOLATED)}
        return Result(
            target=self.target.id,
            solutions=solutions,
            violated=violated,
            parameters=parameters,
            trace=trace,
            statistics=statistics,
            facts=self.facts,
            ended_at=now(),
            input_data_uri=self.input_data_uri,
            document=self.target.document,
            lower_bound=self._bound(solutions[0], is_enumerated=statistics["kernel"] == EXHAUSTIVE),
        )

    def _bound(self, best: Solution, *, is_enumerated: bool) -> Bound | None:
        """The lower bound that a result has; of an enumeration the cost of the best, where no rounding changes that."""
        if self._bounding is not None:
            return self._bounding.reported(best.cost, best.values)
        if is_enumerated and (self._reduced is None or self._reduced.is_exact):
            return Bound(value=best.cost, method="enumeration", seconds=0.0, certificate={}, exact=Fraction(best.cost))
        return None

    def _solutions(self, problem: CompiledProblem, found: Incumbents) -> list[Solution]:
        """The incumbents with their costs computed again from the original cost function, best first."""
        some = found.configurations
        if self._reduced is not None:
            problem = self._reduced.original
            some = presolving.lifted(self._reduced, some, self._initial)
        configurations = np.array(some, np.int8).reshape(len(some), problem.n)
        costs = np.atleast_1d(evaluate(self.cost_function, configurations))
        order = np.argsort(costs, kind="stable")[: len(found.costs)]
        return [Solution(problem.variables, configurations[k], float(costs[k])) for k in order]

    def _new_seed(self) -> int:
        seed = self.values["seed"]
        return new_seed() if seed is None else int(seed)


def _statistics(
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
    """What every result has, documented at ``Result``; the defaults are those of an enumeration."""
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

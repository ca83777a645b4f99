"""Parallel tempering with isoenergetic cluster moves, in restarts, optionally fixing variables between them.

Several ladders run side by side. From time to time two replicas at the same beta exchange a cluster of the variables in
which they differ: the sum of their costs stays the same, so every move is accepted, and both may cross barriers of
any height. A run begins at random; after a share of its sweeps, variables on which the cold replicas agree may be
fixed, and the rest of the run is spent on the smaller problem.

References: Z. Zhu, A. J. Ochoa, H. G. Katzgraber, Phys. Rev. Lett. 115, 077201 (2015),
doi:10.1103/PhysRevLett.115.077201; H. Karimi, G. Rosenberg, Quantum Inf. Process. 16, 166 (2017),
doi:10.1007/s11128-017-1615-x (fixing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qiosk.model.cost_function import F64, I8
from qiosk.model.flips import cost_of
from qiosk.model.transforms.fix import fix
from qiosk.solvers.algorithms.cluster_moves import Clusters
from qiosk.solvers.algorithms.consensus import SampleConsensus
from qiosk.solvers.algorithms.parallel_tempering import (
    ParallelTempering,
    TemperingState,
    exchange_rates,
    warm_up_exchanges,
)
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.search.tuning import even_ladder

# Between cluster moves, which take as much time as some sweeps.
SWEEPS_PER_EVENT = 10
# Exchanges that must have been proposed between all neighbours of a run before their rates are used.
EXCHANGES_TO_TRUST = 100


@checkpointed
@dataclass(slots=True)
class IsoenergeticState:
    """All that is needed to continue. A stage is what a run does before, or after, it fixes variables."""

    incumbents: Incumbents
    inner: TemperingState
    ladder: F64  # (K,) of this run
    is_fixed: NDArray[np.bool_]  # (n,) in this stage
    values: I8  # (n,) of the fixed variables
    stage_sweeps: int  # planned in this stage
    run: int = 0
    stage: int = 0  # of all runs: number of its random stream
    run_began: int = 0  # sweeps done before this run
    stage_began: int = 0
    updates_before: int = 0  # this stage
    run_best: float = np.inf
    run_improved: int = 0  # sweeps done when the run's best was found
    improved: int = 0  # sweeps done when the best of all runs was found
    looked: int = 0  # sweeps done at the last readout
    events: int = 0
    clusters: int = 0  # exchanged
    sweeps_done: int = 0
    spin_updates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long to run, in sweeps and shares of them."""

    run_sweeps: int
    total_sweeps: int
    idle: float  # share of total_sweeps without a better cost after which all ends; infinite: never
    stagnation: float  # share of run_sweeps without a better cost in the run after which the next run begins
    consensus: SampleConsensus | None  # what to fix, and when; None: nothing


@final
@dataclass(frozen=True)
class IsoenergeticTempering(Solver[IsoenergeticState]):
    """``ladders`` tempering ladders with cluster moves on the ``layers`` coldest rungs.

    ``ladder`` is (K,) ascending betas [1/cost]; if it ``adapts``, its rungs are spread again, between the same ends,
    after every run with enough exchanges to estimate their rates. Whole lane groups are run, so there may be more
    ladders. ``reported`` are the parameters to report.
    """

    context: SearchContext
    ladder: F64
    ladders: int
    layers: int
    plan: Plan
    reported: Mapping[str, Any]
    adapts: bool = False
    _stages: dict[bytes, tuple[SearchContext, Clusters]] = field(default_factory=dict)

    def warm_up(self) -> None:
        """Compile, or load, all kernels that a run without fixed variables needs."""
        n = self.context.problem.n
        self._on(np.zeros(n, np.bool_), np.zeros(n, np.int8))
        self.context.descent(np.ones(n, np.int8))
        warm_up_exchanges(self.context)

    def init(self) -> IsoenergeticState:
        """The beginning of the first run."""
        n = self.context.problem.n
        sweeps = self._first_stage(self._run_sweeps(0))
        is_fixed, values = np.zeros(n, np.bool_), np.zeros(n, np.int8)
        inner = self._tempering(self._on(is_fixed, values)[0], self.ladder, sweeps, 0).init()
        return IsoenergeticState(self.context.incumbents(), inner, self.ladder, is_fixed, values, sweeps)

    def step(self, state: IsoenergeticState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Sweep on; cluster moves and readouts happen at fixed sweep indices."""
        end = state.sweeps_done + n_sweeps
        while state.sweeps_done < end and self.outcome(state) is None:
            context, clusters = self._on(state.is_fixed, state.values)
            search, inner = self._tempering(context, state.ladder, state.stage_sweeps, state.stage), state.inner
            event = min(state.stage_sweeps, (inner.sweeps_done // SWEEPS_PER_EVENT + 1) * SWEEPS_PER_EVENT)
            search.step(inner, min(event - inner.sweeps_done, end - state.sweeps_done), parallel, budget)
            state.sweeps_done = state.stage_began + inner.sweeps_done
            state.spin_updates = state.updates_before + inner.spin_updates
            if inner.sweeps_done == event:
                self._adopt(state)
                self._move(state, context, clusters)
                if self.outcome(state) is None and (event == state.stage_sweeps or self._is_stagnant(state)):
                    self._begin_stage(state, context)

    def outcome(self, state: IsoenergeticState) -> StopReason | None:
        """FINISHED after the last sweep; CONVERGED when nothing better was found for long."""
        if state.sweeps_done >= self.plan.total_sweeps:
            return StopReason.FINISHED
        is_idle = state.looked - state.improved > self.plan.idle * self.plan.total_sweeps
        return StopReason.CONVERGED if is_idle and self.context.may_converge(state.incumbents) else None

    def fraction(self, state: IsoenergeticState) -> float:
        """Sweeps done of sweeps planned."""
        return state.sweeps_done / self.plan.total_sweeps

    def offer_replicas(self, state: IsoenergeticState) -> None:
        """Offer the replicas as they are."""
        context, _ = self._on(state.is_fixed, state.values)
        self._tempering(context, state.ladder, state.stage_sweeps, state.stage).offer_replicas(state.inner)
        self._adopt(state)

    def parameters(self, state: IsoenergeticState) -> dict[str, Any]:
        """Those given or chosen."""
        return dict(self.reported)

    def _tempering(self, context: SearchContext, ladder: F64, sweeps: int, stage: int) -> ParallelTempering:
        groups = -(-self.ladders * len(ladder) // context.sampler.lanes)
        return ParallelTempering(context, ladder, sweeps, groups, stream=stage)

    def _run_sweeps(self, sweeps_done: int) -> int:
        """Sweeps of a run that begins after ``sweeps_done``."""
        return max(1, min(self.plan.run_sweeps, self.plan.total_sweeps - sweeps_done))

    def _first_stage(self, run_sweeps: int) -> int:
        """Sweeps of a run before variables are fixed."""
        if self.plan.consensus is None:
            return run_sweeps
        return min(run_sweeps, max(1, int(self.plan.consensus.after * self.plan.run_sweeps)))

    def _on(self, is_fixed: NDArray[np.bool_], values: I8) -> tuple[SearchContext, Clusters]:
        """Context and cluster moves of the variables that are not fixed; the present ones and those of all are kept."""
        key = np.where(is_fixed, values, 2).astype(np.int8).tobytes() if is_fixed.any() else b""
        if key not in self._stages:
            for old in [stage for stage in self._stages if stage]:
                del self._stages[old]
            context = self.context
            if key:
                context = replace(context, problem=fix(context.problem, is_fixed, values), initial=None)
            clusters = Clusters(context.problem)
            clusters.warm_up()
            self._stages[key] = context, clusters
        return self._stages[key]

    def _adopt(self, state: IsoenergeticState) -> None:
        """Take over what the present stage found, with the fixed variables filled in."""
        found, before = state.inner.incumbents, state.incumbents.best
        for configuration, cost in zip(found.configurations, found.costs, strict=True):
            if not cost < state.incumbents.threshold:
                break
            whole = configuration
            if state.is_fixed.any():
                whole = state.values.copy()
                whole[~state.is_fixed] = configuration
                cost = cost_of(self.context.problem, whole)
            state.incumbents.offer(whole, cost, state.sweeps_done)
        state.looked = state.sweeps_done
        if state.incumbents.best < before:
            state.improved = state.sweeps_done
        if found.best < state.run_best:
            state.run_best, state.run_improved = found.best, state.sweeps_done

    def _move(self, state: IsoenergeticState, context: SearchContext, clusters: Clusters) -> None:
        """Exchange a cluster in every pair of replicas on the coldest rungs."""
        stream = (context.seed, state.stage, state.events, 1)
        lane_at = state.inner.lane_at[:, max(0, len(self.ladder) - self.layers) :]
        state.clusters += clusters.move(context.sampler, state.inner.groups, lane_at, stream)
        state.events += 1

    def _is_stagnant(self, state: IsoenergeticState) -> bool:
        idle = state.sweeps_done - max(state.run_improved, state.run_began)
        return idle > self.plan.stagnation * self.plan.run_sweeps

    def _begin_stage(self, state: IsoenergeticState, context: SearchContext) -> None:
        """Go on with the variables that are not fixed, if some are and some are not; else begin the next run."""
        left = self._run_sweeps(state.run_began) - (state.sweeps_done - state.run_began)
        is_first, is_fixed = not state.is_fixed.any(), np.zeros(len(state.is_fixed), np.bool_)
        if self.plan.consensus is not None and is_first and left > 0 and not self._is_stagnant(state):
            is_fixed, values = self.plan.consensus.consensus(context, state.inner)
        if not is_fixed.any() or is_fixed.all():
            is_fixed, values = np.zeros(len(is_fixed), np.bool_), np.zeros(len(is_fixed), np.int8)
            state.run += 1
            state.ladder = self._next_ladder(state)
            state.run_began, state.run_best, state.run_improved = state.sweeps_done, np.inf, state.sweeps_done
            left = self._first_stage(self._run_sweeps(state.sweeps_done))
        state.is_fixed, state.values, state.stage_sweeps = is_fixed, values, left
        state.stage += 1
        state.stage_began, state.updates_before = state.sweeps_done, state.spin_updates
        state.inner = self._tempering(self._on(is_fixed, values)[0], state.ladder, left, state.stage).init()

    def _next_ladder(self, state: IsoenergeticState) -> F64:
        """The ladder of the run after the present one; exchanges of a smaller problem do not count."""
        inner, rungs = state.inner, len(state.ladder)
        if not self.adapts or state.is_fixed.any() or inner.proposed.min() < EXCHANGES_TO_TRUST:
            return state.ladder
        return even_ladder(state.ladder, 1.0 - exchange_rates(inner), (rungs, rungs))

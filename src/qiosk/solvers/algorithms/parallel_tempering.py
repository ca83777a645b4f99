"""Parallel tempering: replicas at a ladder of betas, whose neighbours are exchanged at times.

Every lane is a replica; a ladder takes as many lanes as it has betas, so one lane group usually holds several
independent ladders. An exchange moves betas between lanes, never configurations.

Reference: K. Hukushima, K. Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996), doi:10.1143/JPSJ.65.1604.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from qiosk.kernels.search.exchange import exchanges
from qiosk.model.cost_function import F64, I64
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.counter import stream_state
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

# The dispatch of an exchange costs as much as this many spin updates of a lane; small problems exchange less often.
# And measuring all costs takes as much time as a sweep.
UPDATES_PER_EXCHANGE = 3000
SWEEPS_PER_EXCHANGE = 3
# Replicas are cooled from the hottest beta to their own in this many steps, over this share of the sweeps.
WARM_UP_STEPS = 16
WARM_UP_SHARE = 0.5
# Between readouts of the cold replicas, for local minima that no sweep happened to end in.
EXCHANGES_BETWEEN_READOUTS = 64


@checkpointed
@dataclass(slots=True)
class TemperingState:
    """All that is needed to continue. Shapes: G groups of L lanes, W ladders of K rungs, W K <= G L."""

    groups: list[LaneGroup]
    incumbents: Incumbents
    lane_at: I64  # (W, K) lane on each rung of each ladder
    accepted: F64  # (K - 1,) exchanges between rungs k and k + 1
    proposed: F64  # (K - 1,)
    ladder_best: F64  # (W,) lowest cost seen on each ladder
    sweeps_done: int = 0
    spin_updates: int = 0
    exchanges: int = 0


@final
@dataclass(frozen=True)
class ParallelTempering(Solver[TemperingState]):
    """Metropolis sweeps on a ladder of betas, with exchanges between neighbours.

    ``ladder`` is (K,) ascending [1/cost]. ``n_groups`` lane groups are run, or as many as one ladder needs. ``stream``
    distinguishes the random numbers of several runs with one seed.
    """

    context: SearchContext
    ladder: F64
    sweeps: int
    n_groups: int = 1
    stream: int = 0

    def init(self) -> TemperingState:
        """Every replica at a random configuration, or at the given initial one."""
        lanes, rungs = self.context.sampler.lanes, len(self.ladder)
        n_groups = max(self.n_groups, -(-rungs // lanes))
        ladders = n_groups * lanes // rungs
        return TemperingState(
            groups=self.context.groups(self.stream, n_groups),
            incumbents=self.context.incumbents(),
            lane_at=np.arange(ladders * rungs, dtype=np.int64).reshape(ladders, rungs),
            accepted=np.zeros(rungs - 1),
            proposed=np.zeros(rungs - 1),
            ladder_best=np.full(ladders, np.inf),
        )

    def step(self, state: TemperingState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Sweep on; exchanges and readouts happen at fixed sweep indices."""
        end = min(state.sweeps_done + n_sweeps, self.sweeps)
        while state.sweeps_done < end:
            event = self._next_event(state.sweeps_done)
            self._sweep(state, min(end, event) - state.sweeps_done, parallel)
            if state.sweeps_done == event:
                self._measure_and_exchange(state, parallel)

    def outcome(self, state: TemperingState) -> StopReason | None:
        """FINISHED after the last sweep."""
        return StopReason.FINISHED if state.sweeps_done >= self.sweeps else None

    def fraction(self, state: TemperingState) -> float:
        """Sweeps done of sweeps planned."""
        return state.sweeps_done / self.sweeps

    def offer_replicas(self, state: TemperingState) -> None:
        """Offer the replicas as they are."""
        self._offer_best(state, self.context.costs(state.groups, Parallel(1)))

    def parameters(self, state: TemperingState) -> dict[str, Any]:
        """sweeps, replicas, all_betas."""
        return {"sweeps": self.sweeps, "replicas": len(self.ladder), "all_betas": self.ladder.tolist()}

    def statistics(self, state: TemperingState) -> dict[str, Any]:
        """exchange_rates: share of exchanges accepted between neighbouring rungs."""
        return {"exchange_rates": exchange_rates(state).tolist()}

    @property
    def _warm_up(self) -> int:
        """Sweeps of the warm-up: a multiple of WARM_UP_STEPS."""
        return int(self.sweeps * WARM_UP_SHARE) // WARM_UP_STEPS * WARM_UP_STEPS

    @property
    def _interval(self) -> int:
        return max(SWEEPS_PER_EXCHANGE, UPDATES_PER_EXCHANGE // max(1, self.context.problem.n))

    def _next_event(self, done: int) -> int:
        """Index of the next sweep after which the betas change: a step of the warm-up, or an exchange."""
        warm = self._warm_up
        if done < warm:
            step = warm // WARM_UP_STEPS
            return (done // step + 1) * step
        return min(self.sweeps, warm + ((done - warm) // self._interval + 1) * self._interval)

    def _betas(self, state: TemperingState) -> F64:
        """(G, L) beta of every lane; lanes outside any ladder are on the rungs from the hottest on."""
        lanes, rungs = self.context.sampler.lanes, len(self.ladder)
        all_lanes = len(state.groups) * lanes
        betas = self.ladder[np.arange(all_lanes) % rungs].copy()
        betas[state.lane_at] = self.ladder
        if state.sweeps_done < self._warm_up:
            risen = (state.sweeps_done // (self._warm_up // WARM_UP_STEPS)) / WARM_UP_STEPS
            betas = self.ladder[0] + risen * (betas - self.ladder[0])
        return betas.reshape(-1, lanes)

    def _sweep(self, state: TemperingState, n: int, parallel: Parallel) -> None:
        betas = self._betas(state)

        def work(g: int) -> None:
            self.context.sampler.sweep_ladder(state.groups[g], betas[g], n)

        parallel.each(work, range(len(state.groups)))
        state.sweeps_done += n
        state.spin_updates += self.context.updates(len(state.groups), n)

    def _measure_and_exchange(self, state: TemperingState, parallel: Parallel) -> None:
        """Compute all costs, offer a new best, exchange."""
        costs = self.context.costs(state.groups, parallel)
        if costs.min() < state.incumbents.best:
            self.context.polish(state.groups, int(costs.argmin()), state.incumbents, state.sweeps_done)
        if state.sweeps_done < self._warm_up:
            return
        np.minimum(state.ladder_best, costs[state.lane_at].min(axis=1), out=state.ladder_best)
        self._exchange(state, costs)
        if state.exchanges % EXCHANGES_BETWEEN_READOUTS == 0 or state.sweeps_done == self.sweeps:
            self._offer_best(state, costs)

    def _exchange(self, state: TemperingState, costs: F64) -> None:
        """Neighbours (k, k + 1) with k of alternating parity are exchanged by the Metropolis rule."""
        first = state.exchanges % 2
        random = stream_state((self.context.seed, self.stream, state.exchanges))
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            exchanges()(self.ladder, costs, state.lane_at, first, random, state.accepted)
        state.proposed[first::2] += len(state.lane_at)
        state.exchanges += 1

    def _offer_best(self, state: TemperingState, costs: F64) -> None:
        """Offer the best replicas, and lead a copy of each ladder's coldest one into its local minimum."""
        self.context.gather(state.groups, costs, state.incumbents, state.sweeps_done)
        for ladder, lane in enumerate(state.lane_at[:, -1]):
            cost = self.context.polish(state.groups, int(lane), state.incumbents, state.sweeps_done)
            state.ladder_best[ladder] = min(state.ladder_best[ladder], cost)


def warm_up_exchanges(context: SearchContext) -> None:
    """Compile, or load, what exchanges need, so that they take no longer than their work."""
    exchanges()(np.zeros(1), np.zeros(1), np.zeros((1, 1), np.int64), 0, stream_state((0,)), np.zeros(0))


def exchange_rates(state: TemperingState) -> F64:
    """(K - 1,) share of exchanges between neighbouring rungs that were accepted; 1/2 before any was proposed."""
    return (state.accepted + 0.5) / (state.proposed + 1.0)

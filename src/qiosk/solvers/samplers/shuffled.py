"""Any sampler, with the variables visited in a shuffled order.

Kernels visit variables in the order of their numbers, and Metropolis accepts every flip that costs nothing. On problems
whose numbering follows their structure this fails: along a chain numbered from end to end, a sweep carries
every defect on by the same distance, so that defects never meet, at any temperature. (A ring of 51 spins is stuck at
half its ground-state cost.) In a shuffled order defects move independently. Variables are shuffled within blocks, so
that those that are near each other stay so in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.model.transforms.reorder import reorder
from qiosk.solvers.samplers.sampler import Interruptible, LaneGroup, Sampler

BLOCK = 1024


class ShuffledSampler:
    """Metropolis dynamics of ``problem`` by the sampler that ``plan`` makes for the shuffled problem.

    ``check`` is called between the steps of the set-up, and the parts of long sweeps; what it raises ends them.
    """

    def __init__(
        self,
        problem: CompiledProblem,
        plan: Callable[[CompiledProblem], Sampler],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._order = problem.derived(_order)
        check()
        self._inner = copy(problem.derived(_Planned(plan), check=check))
        if isinstance(self._inner, Interruptible):  # what is kept may be in use by another search at the same time
            self._inner.parts = copy(self._inner.parts)
            self._inner.parts.check = check
        self.kernel = self._inner.kernel
        self.n = problem.n
        self.lanes = self._inner.lanes

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations, or all replicas at ``initial``."""
        return self._inner.start(seed, None if initial is None else initial[self._order])

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        self._inner.sweep(group, betas)

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        self._inner.sweep_ladder(group, betas, sweeps)

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica."""
        return self._inner.costs(group)

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        configuration = np.empty(self.n, np.int8)
        configuration[self._order] = self._inner.configuration(group, lane)
        return configuration

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration."""
        self._inner.replace(group, lane, configuration[self._order])

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replicas ``to`` take the configurations of replicas ``lanes`` of ``source``."""
        self._inner.copy(group, to, source, lanes)


@dataclass(frozen=True)
class _Planned:
    """Makes the sampler of the shuffled problem; equal plans make equal ones, so one is kept for each."""

    plan: Callable[[CompiledProblem], Sampler]

    def __call__(self, problem: CompiledProblem, check: Callable[[], None]) -> Sampler:
        # a list of pairs is kept, since sorting it takes long; the pairs of large problems are not sorted
        shuffled = problem.derived(_shuffled) if problem.pairs.source is None else _shuffled(problem)
        check()
        return self.plan(shuffled)


def _shuffled(problem: CompiledProblem) -> CompiledProblem:
    return reorder(problem, problem.derived(_order))


def _order(problem: CompiledProblem) -> I64:
    return shuffled_order(problem.n)


def shuffled_order(n: int) -> I64:
    """(n,) which variable to visit k-th: a fixed permutation that moves none out of its block."""
    keys = np.random.default_rng(n).random(n) + np.arange(n) // BLOCK
    return np.argsort(keys, kind="stable").astype(np.int64)

"""The sampler that handles any problem with plain loops in float64: slow, simple, always available."""

from __future__ import annotations

import numpy as np

from qiosk.kernels.plain.general import general_costs, general_sweeps
from qiosk.kernels.rng import combine_seed, random_words
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.solvers.samplers.incidence import Incidence
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.samplers.sampler import LaneGroup


class PlainSampler:
    """Metropolis dynamics of any problem, replica after replica.

    Arithmetic: float64 throughout; deltas and costs are summed from scratch, with a relative error of about
    (number of summands) * 2**-53 of the sum of their absolute values.
    """

    def __init__(self, problem: CompiledProblem, *, lanes: int = 8) -> None:
        self.kernel = "plain"
        self.n = problem.n
        self.lanes = lanes
        self._problem = problem
        self._incidence = problem.derived(Incidence)
        indptr, variables, _ = self._incidence.terms
        sizes = np.diff(indptr)
        steps = 1 + np.bincount(variables, np.repeat(sizes, sizes), problem.n)
        self.parts = Parts(steps + np.diff(self._incidence.by_variable[2]), lanes)

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations, or all replicas at ``initial``."""
        base = combine_seed(seed)
        if initial is None:
            words = random_words(base, self.lanes * self.n).reshape(self.lanes, self.n)
            bits = (words >> np.uint64(63)).astype(np.int8)
            values = 1 - 2 * bits if self._problem.is_spin else bits
        else:
            values = np.tile(initial.astype(np.int8), (self.lanes, 1))
        return LaneGroup({"values": np.ascontiguousarray(values), "states": random_words(base, self.lanes, stream=1)})

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        self._sweep(group, np.repeat(np.asarray(betas, np.float64)[:, None], self.lanes, axis=1))

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        self._sweep(group, np.tile(np.asarray(betas, np.float64), (sweeps, 1)))

    def _sweep(self, group: LaneGroup, betas: F64) -> None:
        index, p = self._incidence, self._problem
        sums = np.empty(len(p.group_values))
        values, states = group.arrays["values"], group.arrays["states"]
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            # sums are of one replica, so the parts of its sweep follow each other
            for rows in [slice(r, r + 1) for r in range(self.lanes)] if self.parts.is_long else [slice(None)]:
                for sweeps, part in self.parts.calls(len(betas)):
                    general_sweeps()(
                        p.linear,
                        index.terms,
                        index.groups,
                        index.by_variable,
                        p.is_spin,
                        values[rows],
                        sums,
                        states[rows],
                        betas[sweeps, rows],
                        part,
                    )

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica."""
        out = np.empty(self.lanes)
        index, p = self._incidence, self._problem
        general_costs()(p.constant, p.linear, index.terms, index.groups, group.arrays["values"], out)
        return out

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        values: I8 = group.arrays["values"][lane].copy()
        return values

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration."""
        group.arrays["values"][lane] = configuration

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replicas ``to`` take the configurations of replicas ``lanes`` of ``source``."""
        group.arrays["values"][to] = source.arrays["values"][lanes]

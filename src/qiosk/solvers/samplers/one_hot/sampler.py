"""The sampler that keeps one-hot groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_empty
from qiosk.kernels.one_hot.places import one_hot_costs, one_hot_fill
from qiosk.kernels.one_hot.sweeps import one_hot_sweeps
from qiosk.kernels.rng import combine_seed, random_words
from qiosk.model.cost_function import F64, I8, I64
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.sampler import LaneGroup

STATE = ("taken", "fields", "missing", "sums")
"""Arrays of a replica, in the order of the kernels."""


@dataclass(frozen=True, eq=False)
class OneHotSampler:
    """Heat bath of a problem with one-hot groups: choices take any of their places, rows of assignments swap.

    A proposal is accepted by the heat bath, not by the Metropolis rule: where a move costs nothing, half of the time.
    Replicas begin at configurations that keep the groups, and never leave them.

    Arithmetic: fields are float32 where the costs without penalties are whole multiples of a unit and below 2**24 of
    it, which is exact; else float64, added up again every 256 sweeps. Larger terms and squares are float64.
    """

    layout: Layout
    lanes: int = 16

    @property
    def n(self) -> int:
        """Variables."""
        return self.layout.problem.n

    @property
    def kernel(self) -> str:
        """Name of the kernel and its arithmetic."""
        return f"one-hot-{self.layout.real}x{self.lanes}"

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations that keep the groups, or all replicas at the one nearest to ``initial``.

        In a row of an assignment columns are uniformly distributed where no place is forbidden.
        """
        base = combine_seed(seed)
        choices = self.layout.structure.n_choices
        if initial is None:
            words = random_words(base, self.lanes * choices).reshape(self.lanes, choices)
            taken = np.array([self.layout.random(row) for row in words], np.int32).reshape(self.lanes, choices)
        else:
            taken = np.tile(self.layout.taken(initial), (self.lanes, 1))
        group = LaneGroup(
            {
                **place_arrays(self.layout, taken),
                "states": random_words(base, self.lanes, stream=1),
                "age": np.zeros(1, np.int64),
            }
        )
        one_hot_fill()(*self.layout.tables, _state(group))
        return group

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        self._run(group, betas, False, len(betas))

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        self._run(group, betas, True, sweeps)

    def _run(self, group: LaneGroup, betas: F64, by_replica: bool, sweeps: int) -> None:
        layout, arrays = self.layout, group.arrays
        with np.errstate(all="ignore"):  # random words wrap, and large costs overflow, when this runs uncompiled
            scaled = np.asarray(betas, np.float64) * layout.scale
            one_hot_sweeps(layout.has_orders)(
                *layout.tables,
                layout.orders,
                _state(group),
                arrays["states"],
                arrays["age"],
                scaled,
                by_replica,
                sweeps,
            )

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, from its fields."""
        out = np.empty(self.lanes)
        one_hot_costs()(self.layout.couplings, self.layout.more, _state(group), out)
        return self.layout.reduced.constant + self.layout.scale * out

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        return self.layout.configuration(group.arrays["taken"][lane])

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at the configuration nearest to this one that keeps the groups."""
        group.arrays["taken"][lane] = self.layout.taken(configuration)
        one = LaneGroup({name: group.arrays[name][lane : lane + 1] for name in STATE})
        one_hot_fill()(*self.layout.tables, _state(one))

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replicas ``to`` take the configurations of replicas ``lanes`` of ``source``."""
        for name in STATE:
            group.arrays[name][to] = source.arrays[name][lanes]


def place_arrays(layout: Layout, taken: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """Places that are taken (R, C), and uninitialized arrays of what follows from them."""
    replicas = len(taken)
    return {
        "taken": np.ascontiguousarray(taken),
        "fields": aligned_empty((replicas, layout.width), layout.real),
        "missing": np.empty((replicas, len(layout.reduced.terms[2])), np.int32),
        "sums": np.empty((replicas, len(layout.reduced.squares[3]))),
    }


def _state(group: LaneGroup) -> tuple[NDArray[Any], ...]:
    return tuple(group.arrays[name] for name in STATE)

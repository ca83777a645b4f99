"""Replicas as padded rows of spins with stored fields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_empty
from qiosk.kernels.plain.cached import BLOCK, field_costs
from qiosk.kernels.rng import combine_seed, generator_states, random_words
from qiosk.model.cost_function import F64, I8, I64
from qiosk.solvers.samplers.arithmetic import Real
from qiosk.solvers.samplers.ising import IsingForm
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.samplers.sampler import LaneGroup


class RowLanes(ABC):
    """What samplers with stored fields share: how their replicas are started, read and moved.

    Shapes: R lanes, n variables, ``width`` places in a row; place p holds variable ``order[p]``. Spins and fields are
    (R, width) of type ``real`` and count in the form's scale [cost]; ``_base`` is -h by place.
    """

    parts: Parts

    def __init__(self, form: IsingForm, *, is_spin: bool, lanes: int, width: int, real: Real, order: I64) -> None:
        self.n = form.n
        self.lanes = lanes
        self._form = form
        self._is_spin = is_spin
        self._width = width
        self._real = np.dtype(real)
        self._order = order
        self._base: F64 = -form.fields[order] / form.scale

    @abstractmethod
    def _fill(self, spins: NDArray[Any], fields: NDArray[Any]) -> None:
        """Set the fields of rows of spins."""

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations, or all replicas at ``initial``."""
        base = combine_seed(seed)
        spins, fields = (aligned_empty((self.lanes, self._width), self._real) for _ in range(2))
        spins[:, self.n :] = 1
        if initial is None:
            words = random_words(base, self.lanes * self.n).reshape(self.lanes, self.n)
            spins[:, : self.n] = 1.0 - 2.0 * (words >> np.uint64(63)).astype(np.float64)
        else:
            spins[:, : self.n] = self._spins(initial)
        group = LaneGroup(
            {
                "spins": spins,
                "fields": fields,
                "generators": self._generators(base),
                "age": np.zeros(1, np.int64),
            }
        )
        self._fill_all(group)
        return group

    def _generators(self, seed: int) -> NDArray[np.uint32]:
        """(R * 4 * BLOCK,): those of lane r are together, as one vector of BLOCK generators."""
        words = generator_states(seed, self.lanes * BLOCK).reshape(4, self.lanes, BLOCK)
        return np.ascontiguousarray(words.transpose(1, 0, 2)).ravel()

    def _spins(self, configuration: I8) -> NDArray[np.int8]:
        ordered = configuration[self._order]
        return np.asarray(ordered if self._is_spin else 1 - 2 * ordered, np.int8)

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, from its fields."""
        out = np.empty(self.lanes)
        field_costs()(self._base, group.arrays["spins"], group.arrays["fields"], out)
        return self._form.constant + self._form.scale * out

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        spins = group.arrays["spins"][lane, : self.n].astype(np.int8)
        values = np.empty(self.n, np.int8)
        values[self._order] = spins if self._is_spin else (1 - spins) // 2
        return values

    def _fill_all(self, group: LaneGroup) -> None:
        """Set the fields of all replicas, one after the other."""
        spins, fields = group.arrays["spins"], group.arrays["fields"]
        for lane in range(self.lanes):
            self.parts.check()
            self._fill(spins[lane : lane + 1], fields[lane : lane + 1])

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration, and its fields with it."""
        spins, fields = group.arrays["spins"], group.arrays["fields"]
        spins[lane, : self.n] = self._spins(configuration)
        self._fill(spins[lane : lane + 1], fields[lane : lane + 1])

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replicas ``to`` take the configurations of replicas ``lanes`` of ``source``."""
        for name in ("spins", "fields"):
            group.arrays[name][to] = source.arrays[name][lanes]

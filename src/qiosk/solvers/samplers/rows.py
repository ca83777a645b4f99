"""Replicas as padded rows of spins with stored fields: what the cached and the dense sampler share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_empty
from qiosk.kernels.plain.cached import BLOCK, field_costs
from qiosk.kernels.rng import combine_seed, generator_states, random_words
from qiosk.model.cost_function import F64, I8, I64
from qiosk.solvers.sampler import LaneGroup
from qiosk.solvers.samplers.ising import IsingForm


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Shapes: R lanes, n variables, ``width`` places in a row; place p holds variable ``order[p]``.

    ``fill(spins, fields)`` sets the fields of rows of spins; both count in ``unit`` [cost]. ``base`` is -h by place.
    """

    form: IsingForm
    is_spin: bool
    lanes: int
    width: int
    real: np.dtype[Any]
    order: I64  # (n,)
    base: F64  # (n,)
    fill: Callable[[NDArray[Any], NDArray[Any]], None]

    def start(self, seed: tuple[int, ...], initial: I8 | None) -> LaneGroup:
        """Random rows, or all at ``initial``; their fields and generators."""
        base = combine_seed(seed)
        spins, fields = (aligned_empty((self.lanes, self.width), self.real) for _ in range(2))
        n = self.form.n
        spins[:, n:] = 1
        if initial is None:
            words = random_words(base, self.lanes * n).reshape(self.lanes, n)
            spins[:, :n] = 1.0 - 2.0 * (words >> np.uint64(63)).astype(np.float64)
        else:
            spins[:, :n] = self._spins(initial)
        self.fill(spins, fields)
        return LaneGroup(
            {
                "spins": spins,
                "fields": fields,
                "generators": self._generators(base),
                "age": np.zeros(1, np.int64),
            }
        )

    def _generators(self, seed: int) -> NDArray[np.uint32]:
        """(R * 4 * BLOCK,): those of lane r are together, as one vector of BLOCK generators."""
        words = generator_states(seed, self.lanes * BLOCK).reshape(4, self.lanes, BLOCK)
        return np.ascontiguousarray(words.transpose(1, 0, 2)).ravel()

    def _spins(self, configuration: I8) -> NDArray[np.int8]:
        ordered = configuration[self.order]
        return np.asarray(ordered if self.is_spin else 1 - 2 * ordered, np.int8)

    def costs(self, group: LaneGroup) -> F64:
        """(R,) costs from the fields: n additions for each lane."""
        out = np.empty(self.lanes)
        field_costs()(self.base, group.arrays["spins"], group.arrays["fields"], out)
        return self.form.constant + self.form.scale * out

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) values of one lane."""
        n = self.form.n
        spins = group.arrays["spins"][lane, :n].astype(np.int8)
        values = np.empty(n, np.int8)
        values[self.order] = spins if self.is_spin else (1 - spins) // 2
        return values

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Set one lane, and its fields."""
        spins, fields = group.arrays["spins"], group.arrays["fields"]
        spins[lane, : self.form.n] = self._spins(configuration)
        self.fill(spins[lane : lane + 1], fields[lane : lane + 1])

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Lanes ``to`` take spins and fields of lanes ``lanes`` of ``source``."""
        for name in ("spins", "fields"):
            group.arrays[name][to] = source.arrays[name][lanes]

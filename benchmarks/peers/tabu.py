"""dwave-samplers' tabu search, which knows wall times and targets itself."""

from __future__ import annotations

from typing import Any

from dwave.samplers import TabuSampler

from benchmarks.contender import SEEDS, Race
from benchmarks.instance import Instance
from benchmarks.peers.models import binary_model, in_order
from qiosk.model.cost_function import I8

SHORTEST = 0.002  # [s]; its time-outs are whole milliseconds


class Tabu:
    """Runs of the sampler on an instance."""

    def __init__(self, instance: Instance) -> None:
        self.model = binary_model(instance.problem)
        # The sampler searches over bits, and leaves out the constant of those when it looks at its threshold.
        self.constant = instance.problem.constant + self.model.binary.offset
        self.sampler = TabuSampler()
        self.overrun = 0.0  # [s] by which the last call took longer than its time-out

    def __call__(self, race: Race, seed: int) -> None:
        while (timeout := race.left - self.overrun) > SHORTEST or race.elapsed < SHORTEST:
            timeout, began = max(timeout, SHORTEST), race.elapsed
            found = self._sample(timeout, seed)
            race.found(lambda found=found: in_order(found))
            # Its matrix is built in every call, and is not in its time-out.
            self.overrun = race.elapsed - began - timeout
            seed += 7919  # beyond the seeds that anybody runs

    def until(self, cost: float, limit: float, seed: int) -> I8:
        """The best configuration when ``cost`` is reached, or after ``limit`` seconds."""
        return in_order(self._sample(limit, seed, energy_threshold=cost - self.constant))[0]

    def _sample(self, seconds: float, seed: int, **options: Any) -> Any:
        return self.sampler.sample(self.model, timeout=max(1, int(990 * seconds)), seed=seed % SEEDS, **options)

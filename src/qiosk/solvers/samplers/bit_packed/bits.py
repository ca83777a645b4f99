"""Configurations as bits: word ``spins[i * words + r // 64]`` holds lane r of variable i in its bit r % 64.

A set bit means spin -1, or bit 1: so x = (1 - s) / 2 maps one domain to the other without touching a word.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, is_aligned
from qiosk.kernels.lanes import copy_lanes
from qiosk.kernels.rng import combine_seed, generator_states, random_words
from qiosk.model.cost_function import I8, I64
from qiosk.solvers.samplers.sampler import LaneGroup

U64 = NDArray[np.uint64]
_ALL = np.uint64(2**64 - 1)


def start_bits(seed: int, n: int, words: int, is_spin: bool, initial: I8 | None) -> U64:
    """(n * words,) random bits, or every lane at ``initial`` (n,)."""
    if initial is None:
        drawn = random_words(seed, n * words)
        return drawn if is_aligned(drawn) else aligned_copy(drawn)
    return aligned_copy(np.repeat(np.where(_is_set(initial, is_spin), _ALL, np.uint64(0)), words))


def _is_set(configuration: I8, is_spin: bool) -> NDArray[np.bool_]:
    return configuration < 0 if is_spin else configuration > 0


def read_lane(spins: U64, words: int, lane: int, is_spin: bool) -> I8:
    """(n,) values of one lane."""
    bits = (spins[lane // 64 :: words] >> np.uint64(lane % 64)).astype(np.int8) & np.int8(1)
    return np.asarray(1 - 2 * bits if is_spin else bits, np.int8)


def write_lane(spins: U64, words: int, lane: int, is_spin: bool, configuration: I8) -> None:
    """Set one lane, in place."""
    column = spins[lane // 64 :: words]
    bit = np.uint64(1) << np.uint64(lane % 64)
    column[...] = np.where(_is_set(configuration, is_spin), column | bit, column & ~bit)


def move_lanes(spins: U64, to: I64, source: U64, lanes: I64, words: int) -> None:
    """Set lanes ``to`` of ``spins`` to the values of lanes ``lanes`` of ``source``, in place."""
    order = np.argsort(to)
    copy_lanes()(spins, to[order].astype(np.uint64), source, lanes[order].astype(np.uint64), words)


class WordLanes:
    """What bit-packed samplers share: how their replicas are started, read and moved."""

    def __init__(self, n: int, lanes: int, is_spin: bool) -> None:
        self.n = n
        self.lanes = lanes
        self._is_spin = is_spin
        self._words = lanes // 64

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations, or all replicas at ``initial``."""
        base = combine_seed(seed)
        return LaneGroup(
            {
                "spins": start_bits(base, self.n, self._words, self._is_spin, initial),
                "generators": generator_states(base),
                "offsets": np.array([base], np.uint64),
            }
        )

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        return read_lane(self._spins(group), self._words, lane, self._is_spin)

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration."""
        write_lane(self._spins(group), self._words, lane, self._is_spin, configuration)

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replicas ``to`` take the configurations of replicas ``lanes`` of ``source``."""
        move_lanes(self._spins(group), to, self._spins(source), lanes, self._words)

    def _spins(self, group: LaneGroup) -> U64:
        """(n * words,) the words of the variables; a kernel may keep more after them."""
        return group.arrays["spins"][: self.n * self._words]

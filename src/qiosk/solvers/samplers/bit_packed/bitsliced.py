"""Sparse problems of small whole couplings, bit-sliced: sums are taken bit by bit for all replicas at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import InvalidValue
from qiosk.kernels.aligned import aligned_copy, aligned_empty, aligned_zeros
from qiosk.kernels.rng import GENERATORS
from qiosk.kernels.sweeps.bernoulli import CHUNK_BYTES, ROWS, thresholds
from qiosk.kernels.sweeps.bitsliced import bitsliced_sweeps
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I32, I64
from qiosk.solvers.samplers.bit_packed.bit_costs import BitCosts
from qiosk.solvers.samplers.bit_packed.bits import WordLanes
from qiosk.solvers.samplers.ising import IsingForm
from qiosk.solvers.samplers.row_form import spin_form
from qiosk.solvers.samplers.sampler import LaneGroup

MOST_SLOTS = 6
U8 = NDArray[np.uint8]


def slots_needed(form: IsingForm) -> I64 | None:
    """(n,) sum of the magnitudes of a variable's field and couplings, in units; None if there is no unit."""
    if form.unit is None:
        return None
    ends = form.sums_of(np.abs, np.zeros(form.n))
    needed = np.minimum((np.abs(form.fields) + ends) / form.unit, 2.0**31)
    return np.asarray(np.rint(needed), np.int64)


def is_sliceable(form: IsingForm) -> bool:
    """Whether the bit-sliced sampler can represent a problem."""
    needed = slots_needed(form)
    return needed is not None and int(np.max(needed, initial=0)) <= MOST_SLOTS


@dataclass(frozen=True, eq=False)
class Slots:
    """What the kernel reads of a problem: see ``kernels.bitsliced``. ``classes``: m of every row of the pool."""

    count: int
    neighbors: I32  # (n * count,)
    class_row: I32  # (n,) number of the row of a variable's first class
    classes: I64

    @classmethod
    def of(cls, form: IsingForm) -> Slots:
        """Raises InvalidValue if coefficients have no common unit, or those of a variable are too large in it."""
        needed = slots_needed(form)
        if needed is None:
            raise InvalidValue("kernel 'bit-sliced' takes coefficients that are multiples of one unit")
        most = int(np.max(needed, initial=0))
        if most > MOST_SLOTS:
            raise InvalidValue(
                f"kernel 'bit-sliced' takes coefficients of at most {MOST_SLOTS} units in all per variable: "
                f"variable number {int(np.argmax(needed))} has {most}"
            )
        count = max(2, most + most % 2)
        is_odd = needed % 2 == 1
        parities = [np.arange(2 - odd, count + 1, 2) for odd in (0, 1) if np.any(is_odd == odd)]
        has_both = len(parities) == 2
        class_row = np.where(is_odd & has_both, count // 2, 0).astype(np.int32)
        return cls(count, _neighbors(form, needed, count), class_row, np.concatenate(parities or [np.array([2])]))


def _neighbors(form: IsingForm, needed: I64, count: int) -> I32:
    """(n * count,) neighbours: those of couplings, that of the field, and the variable itself in empty places."""
    own = np.arange(form.n)
    indptr, there, couplings = form.neighbors()
    here = np.concatenate([np.repeat(own, np.diff(indptr)), own])
    values = np.concatenate([couplings, form.fields])
    places = 2 * np.concatenate([there.astype(np.int64), np.full(form.n, form.n)]) + (values > 0)
    units = np.rint(np.abs(values) / form.scale).astype(np.int64)
    here, places = np.repeat(here, units), np.repeat(places, units)
    order = np.argsort(here, kind="stable")
    here, places = here[order], places[order]
    rank = np.arange(count) - needed[:, None]  # of an empty slot among those of its variable; else below 0
    filled = 2 * own[:, None] + rank % 2
    filled[here, np.arange(len(here)) - (np.cumsum(needed) - needed)[here]] = places
    return aligned_copy(filled.ravel(), np.int32)


class BitSlicedSampler(WordLanes):
    """Metropolis dynamics of couplings +-J and at most six neighbours, ``lanes`` replicas as the bits of words.

    A coupling of k J counts as k neighbours, and so does a field. ``lanes``: 64, 128, ... 1024, a power of two.
    Acceptance probabilities are exact up to 2**-33, and costs are exact. ``fresh`` draws the random bits of every
    variable for itself; that is the default unless a pool takes less than half as many, and always so on ladders.
    """

    def __init__(
        self, problem: CompiledProblem, *, lanes: int = 512, fresh: bool | None = None, form: IsingForm | None = None
    ) -> None:
        self._form = form if form is not None else spin_form(problem)
        slots = Slots.of(self._form)
        super().__init__(problem.n, lanes, problem.is_spin)
        self.kernel = f"bit-sliced-{slots.count}x{lanes}"
        self._slots = slots
        self._signs = aligned_copy(np.repeat(np.array([0, 255], np.uint8), lanes // 8))
        self._costs = BitCosts(self._form, "int8", lanes)
        entries = pool_bytes(self.n)
        is_fresh = 2 * 8 * entries >= self.n * lanes if fresh is None else fresh
        self._fresh = _Pool.of(self.n, lanes, 0)
        self._pool = self._fresh if is_fresh else _Pool.of(self.n, lanes, entries)
        self._scratch = threading.local()

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations, or all replicas at ``initial``; after the variables comes one that is
        0."""
        group = super().start(seed, initial)
        spins = aligned_zeros((self.n + 1) * self._words, np.uint64)
        spins[: self.n * self._words] = group.arrays["spins"]
        group.arrays["spins"] = spins
        return group

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        betas = np.asarray(betas, np.float64)
        self._run(group, self._pool, self._thresholds(betas[:, None], self._slots.classes), True, len(betas))

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        betas = np.asarray(betas, np.float64)
        self._run(group, self._fresh, self._thresholds(betas, self._slots.classes[:, None]), False, sweeps)

    def _thresholds(self, betas: F64, classes: I64) -> NDArray[np.uint64]:
        with np.errstate(over="ignore"):
            return thresholds(np.exp(-2.0 * self._form.scale * classes * betas)).ravel()

    def _run(self, group: LaneGroup, pool: _Pool, limits: NDArray[np.uint64], uniform: bool, n_sweeps: int) -> None:
        arrays = group.arrays
        digits, bits = self._buffers(pool)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            bitsliced_sweeps(self.lanes, self._slots.count)(
                self._slots.neighbors,
                self._slots.class_row * np.int32(pool.stride),
                self._signs,
                arrays["spins"].view(np.uint8),
                arrays["generators"],
                arrays["offsets"],
                limits,
                uniform,
                digits,
                bits,
                len(self._slots.classes),
                pool.stride,
                pool.offset_mask,
                pool.period,
                n_sweeps,
            )

    def _buffers(self, pool: _Pool) -> tuple[NDArray[np.uint32], U8]:
        """Scratch of this thread: digits of the thresholds, and the pool."""
        buffers: dict[_Pool, tuple[NDArray[np.uint32], U8]] | None = getattr(self._scratch, "buffers", None)
        if buffers is None:
            buffers = self._scratch.buffers = {}
        if pool not in buffers:
            classes = len(self._slots.classes)
            buffers[pool] = (
                aligned_empty(classes * ROWS * GENERATORS, np.uint32),
                aligned_empty(classes * pool.stride, np.uint8),
            )
        return buffers[pool]

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, added up again."""
        return self._costs(group.arrays["spins"])


def pool_bytes(n: int) -> int:
    """Bytes to begin reading at in a row of the pool for n variables: a power of two >= max(4096, n).

    All replicas of a group read the same pool in a sweep. On a square lattice that correlates their costs by
    0.012 * n / bytes (measured); means stay as they should be.
    """
    return 1 << (max(4096, n) - 1).bit_length()


@dataclass(frozen=True)
class _Pool:
    """Size of a row of random bits [bytes], and how it is read."""

    stride: int
    offset_mask: np.uint64
    period: int

    @classmethod
    def of(cls, n: int, lanes: int, entries: int) -> _Pool:
        """For n variables; without ``entries`` every variable has bits of its own."""
        if not entries:
            return cls(CHUNK_BYTES, np.uint64(0), 8 * CHUNK_BYTES // lanes)
        stride = -(-(entries + lanes // 8) // CHUNK_BYTES) * CHUNK_BYTES
        return cls(stride, np.uint64(entries - 1), max(n, 1))

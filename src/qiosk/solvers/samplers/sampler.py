"""Metropolis sampling of many replicas at once, whatever the arithmetic underneath.

Annealing, tempering and their relatives are written against :class:`Sampler`; each implementation wraps one kernel
family and the array layout it needs. A *lane group* is the unit of work of one thread: a fixed number of replicas
(lanes) with their own random number state, so results depend neither on threads nor on how sweeps are cut into calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from qiosk.model.cost_function import F64, I8, I64
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.parts import Parts


@checkpointed
@dataclass(slots=True)
class LaneGroup:
    """Everything that changes while one group of replicas is swept, as named arrays, so a checkpoint is one npz."""

    arrays: dict[str, NDArray[Any]]


class Sampler(Protocol):
    """Single-variable Metropolis dynamics of one problem, or a heat bath of the choices of its one-hot groups.

    A configuration is int8 (n,) in the problem's own domain: -1/+1, or 0/1. One sweep proposes every variable once.
    A proposal is accepted with probability min(1, exp(-beta * delta)).
    """

    @property
    def kernel(self) -> str:
        """Name of the kernel and its arithmetic, for ``result.statistics``: ``packed-int8x256``."""
        ...

    @property
    def n(self) -> int:
        """Variables."""
        ...

    @property
    def lanes(self) -> int:
        """Replicas in a lane group."""
        ...

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: uniformly random configurations, or all replicas at ``initial``.

        Equal seeds give equal groups; groups of different seeds are independent.
        """
        ...

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas`` (T,), all replicas at the same beta, in place.

        Entries are >= 0 [1/cost]; ``inf`` accepts only moves with delta <= 0. ``sweep(a); sweep(b)`` equals
        ``sweep(a + b)``, bit for bit. Releases the GIL.
        """
        ...

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``; ``betas`` is (lanes,). Otherwise as ``sweep``."""
        ...

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, constant included; float64, up to rounding of the kernel's arithmetic."""
        ...

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica, as a new array."""
        ...

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration; the others and the random state stay."""
        ...

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replica ``to[k]`` of ``group`` takes the configuration of replica ``lanes[k]`` of ``source``; (m,) each.

        Both groups are of this sampler, and may be the same one if no replica is in both lists. Random states stay.
        """
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A sampler whose sweeps may be long, and end early when ``parts.check`` raises."""

    parts: Parts

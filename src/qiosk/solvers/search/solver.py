"""What every algorithm is: parameters, a state, and a step.

A :class:`Solver` is set up for one problem and then frozen; all that changes is in its state. It owns no clock, no
thread and no global random state: the driver has the clock and passes :class:`Parallel` and :class:`Budget`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.stopping import StopReason

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext


@dataclass(frozen=True, slots=True)
class Budget:
    """Spin updates, over all replicas, that the time until the deadline permits at the pace so far.

    Infinite without a time-out, and None before the pace is known. Only parameter-free solvers use it, so that the
    last restart ends with the time and is not cut off hot. ``seconds`` are left until the deadline, and ``spent``
    is what all steps took so far [s]: from these a solver of several paces finds each of them.
    """

    updates: float | None = None
    seconds: float = math.inf
    spent: float = 0.0

    @property
    def left(self) -> float:
        """Spin updates until the deadline; infinite without a deadline, or before the pace is known."""
        return math.inf if self.updates is None else self.updates


class SolverState(Protocol):
    """What the driver reads of any state."""

    incumbents: Incumbents
    sweeps_done: int
    spin_updates: int


S = TypeVar("S", bound=SolverState)


class Solver(ABC, Generic[S]):
    """An algorithm set up for one problem."""

    context: SearchContext

    @property
    def kernel(self) -> str:
        """Name of the kernel that does the work, and its arithmetic, for ``result.statistics``: the sampler's."""
        return self.context.sampler.kernel

    @abstractmethod
    def init(self) -> S:
        """The state before the first sweep."""

    @abstractmethod
    def step(self, state: S, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """At most ``n_sweeps`` more sweeps, in place. ``step(a); step(b)`` equals ``step(a + b)``, bit for bit."""

    @abstractmethod
    def outcome(self, state: S) -> StopReason | None:
        """FINISHED or CONVERGED once there is nothing more to do, else None."""

    @abstractmethod
    def fraction(self, state: S) -> float:
        """Share of the planned work that is done, 0..1; 0 if the plan is open-ended."""

    @abstractmethod
    def offer_replicas(self, state: S) -> None:
        """Offer the present replicas to the incumbents: called when a run is cut off."""

    def end_seconds(self, state: S) -> float:
        """About how long ``offer_replicas`` takes to compute the costs that it compares [s]; 0 where that is short."""
        return 0.0

    @abstractmethod
    def parameters(self, state: S) -> dict[str, Any]:
        """Parameters in effect, under the names of the parameterized target."""

    def statistics(self, state: S) -> dict[str, Any]:
        """Further entries of ``result.statistics``, as JSON values."""
        return {}

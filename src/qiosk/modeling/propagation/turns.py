"""The search by propagation of a model, in turns with searches that minimize its penalties."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qiosk.modeling.expression import Expression
from qiosk.modeling.rows import Row
from qiosk.problem import Problem
from qiosk.solvers.result import Result
from qiosk.solvers.search.stopping import StopReason

if TYPE_CHECKING:
    from qiosk.modeling.propagation.tree import Tree

TURN_STEPS = 200_000_000
"""Steps of a turn, at most, so that a seed repeats where the time limit is generous: a few seconds."""
SEED = 1
"""Of all models: what is proven, and so whether there are rounds, must not depend on the seed of the rounds."""
KERNEL = "propagation"
"""The kernel in the statistics of results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagated:
    """What the search by propagation of a model's constraints did.

    It ended for ``stop_reason``: ``converged`` with a proof, ``finished`` where it had nothing more to do or had made
    all its steps, ``timeout`` or ``cancelled``. ``objective`` is that of its best solution, None if it found none.
    ``conflicts`` counts the dead ends from which it learned a clause each; ``fixed`` the bits that have one value in
    all solutions; it took ``seconds``. ``is_paced``: time, or a cancellation, ended one of its turns.

    >>> from qiosk.modeling import Model, total
    >>> model = Model()
    >>> take = model.bits("take", range(2, 26))
    >>> model.add(total(size * bit for size, bit in take.items()) == 150, "sum")
    >>> model.add(take[2] + take[3] == 2, "both")
    >>> found = model.solve(seed=1).propagated
    >>> found.stop_reason, found.objective, found.fixed
    ('converged', 0.0, 2)
    """

    stop_reason: str
    objective: float | None
    conflicts: int
    fixed: int
    seconds: float
    is_paced: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class Propagation:
    """Turns of a search for bits that satisfy rows; each solution has a smaller cost than the one before."""

    def __init__(
        self,
        rows: Sequence[Row],
        cost: Expression,
        n_bits: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.solution: dict[int, int] | None = None
        self.fixed: dict[int, int] = {}
        self.seconds = 0.0
        self.stop_reason = StopReason.FINISHED
        self.is_paced = False  # time, or a cancellation, has ended a turn
        self._make = rows, cost, n_bits
        self._tree: Tree | None = None
        self._clock = clock
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether another turn would find nothing."""
        return self._is_over

    @property
    def is_proof(self) -> bool:
        """Whether the solution is the best one, or there is none."""
        return self.stop_reason is StopReason.CONVERGED

    def load(self) -> float:
        """Load or compile the kernels; how long that took [s]."""
        began = self._clock()
        from qiosk.modeling.propagation.tree import tree_of, warm_up

        warm_up()
        loading = self._clock() - began
        self._tree = tree_of(*self._make, SEED)
        self.seconds += self._clock() - began - loading
        return loading

    def take_turn(self, seconds: float, should_stop: Callable[[], bool]) -> None:
        """Go on for some seconds [s], or until ``should_stop``, which is called every few hundredths of a second."""
        if self._tree is None:
            self.load()
        tree, began = self._tree, self._clock()
        assert tree is not None
        end, is_asked = tree.steps + TURN_STEPS, False

        def is_stopped() -> bool:
            nonlocal is_asked
            is_asked = should_stop()
            return is_asked or self._clock() >= began + seconds

        from qiosk.modeling.propagation.tree import Outcome

        while not self._is_over:
            outcome = tree.search(end - tree.steps, is_stopped)
            if self.solution is None:
                self.fixed = tree.fixed()
            if outcome is Outcome.SOLVED:
                self.solution = dict(enumerate(tree.bits().tolist()))
            self._is_over = outcome is Outcome.EXHAUSTED or (outcome is Outcome.SOLVED and tree.objective is None)
            if self._is_over:
                is_proof = tree.is_bounded or self.solution is None
                self.stop_reason = StopReason.CONVERGED if is_proof else StopReason.FINISHED
            elif is_stopped():
                self.stop_reason = StopReason.CANCELLED if is_asked else StopReason.TIMEOUT
                self.is_paced = True
                break
            elif tree.steps >= end:
                self.stop_reason = StopReason.FINISHED
                break
        self.seconds += self._clock() - began

    def report(self, objective: float | None) -> Propagated:
        """What was done so far; the objective is that of the solution."""
        return Propagated(
            stop_reason=str(self.stop_reason),
            objective=objective,
            conflicts=0 if self._tree is None else self._tree.conflicts,
            fixed=len(self.fixed),
            seconds=self.seconds,
            is_paced=self.is_paced,
        )


Known = Callable[[Problem, StopReason, float], Result]
"""The result where propagation found the problem's initial configuration, why it ended, and after how many seconds."""


@dataclass(slots=True)
class Turns:
    """The turns of the search by propagation between other searches, if there is one.

    ``known`` makes results of its solutions; the best one ends everything if it ``is_one_enough``. ``should_stop`` ends
    a turn.
    """

    propagation: Propagation | None = None
    known: Known | None = None
    is_one_enough: bool = True
    should_stop: Callable[[], bool] = lambda: False
    has_news: bool = False  # a solution that was not asked for
    objective: float | None = None  # of the solution

    @property
    def solution(self) -> Mapping[int, int] | None:
        """The best solution so far."""
        return None if self.propagation is None else self.propagation.solution

    @property
    def is_proof(self) -> bool:
        """Whether there is nothing better than the solution, or none."""
        return self.propagation is not None and self.propagation.is_proof

    @property
    def is_infeasible(self) -> bool:
        """Whether it is proven that there is no solution."""
        return self.is_proof and self.solution is None

    def load(self) -> float:
        """Load the kernels; how long that took [s]."""
        return 0.0 if self.propagation is None else self.propagation.load()

    def take(self, seconds: float) -> None:
        """Take a turn of some seconds [s], if there is anything left to do."""
        if self.propagation is not None and not self.propagation.is_over:
            self.propagation.take_turn(seconds, self.should_stop)
            self.has_news = self.solution is not None

    def found(self, problem: Problem, objective: float) -> Result:
        """A result with the solution, from which the problem begins, of this objective."""
        assert self.propagation is not None
        assert self.known is not None
        self.has_news, self.objective = False, objective
        return self.known(problem, self.propagation.stop_reason, self.propagation.seconds)

    def report(self) -> Propagated | None:
        """What was done; None if nothing was."""
        return None if self.propagation is None else self.propagation.report(self.objective)

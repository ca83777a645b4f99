"""Lower bounds beside a search, and when it may end because of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.bounds import buckets, covering, packing, triangles, trivial
from qiosk.bounds.bound import Bound
from qiosk.bounds.choice import AUTO, NONE, Bounder
from qiosk.bounds.elimination import Effort
from qiosk.bounds.quick import quick_bound
from qiosk.bounds.semidefinite import eigenvalue_proof
from qiosk.kernels.announcements import setup_seconds
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8, CostFunction, ProblemType
from qiosk.model.flips import cost_of
from qiosk.solvers.allotment import Wanted, seconds_afterwards, seconds_beside, seconds_left, share_of
from qiosk.solvers.search.stopping import StopReason

if TYPE_CHECKING:
    from qiosk.solvers.search.incumbents import Incumbents

DEFAULT_EFFORT = Effort(looked=200_000, work=1 << 24)
"""Of an elimination that was not asked for: some 0.1 s to find an order, and as long for its tables."""
NEARBY = 1e-6
"""Share of a cost within which it is compared with the bound exactly."""
LEAST_GAIN = 1e-3
"""Gain of a proof, as a share of the bound, that counts as small."""
SMALL_GAINS = 2
"""Small gains in a row of a method that no better one follows, after which bounds end, unless a gap was asked for."""
LAST_METHODS = (packing.METHOD, covering.METHOD, triangles.METHOD, buckets.METHOD)
TRIVIAL_METHODS = (trivial.METHOD, trivial.OF_SPINS)
LARGEST_SAVED = 1 << 20
"""Bytes of the largest certificate that is kept in a checkpoint."""


class Bounding:
    """The bounds of one run on the ``whole`` problem, of which a search may work on a smaller one.

    ``in_whole`` makes a configuration of the whole problem of one that the search works on, and ``in_search`` the other
    way round. ``time_limit`` is that of the run [s].

    Where nothing was asked for, bounds leave the search alone: they offer no configuration unless a time limit has
    ended it, and begin only when the search has run for a while.
    """

    def __init__(
        self,
        whole: CompiledProblem,
        wanted: Wanted,
        seed: int,
        time_limit: float = math.inf,
        *,
        in_whole: Callable[[I8], I8] = lambda x: x,
        in_search: Callable[[I8], I8] = lambda x: x,
    ) -> None:
        self._whole = whole
        self._wanted = wanted
        self._seed = seed
        self._in_whole = in_whole
        self._in_search = in_search
        self._best = whole.derived(quick_bound)
        self._setup = 0.0  # seconds of the bounder that went into loading kernels
        self._small_gains = 0
        self.has_offered = False  # beside the search: when that is depends on the machine
        self._known = math.inf  # cost of the best that the bounder was told
        self._judged: tuple[Any, StopReason | None] = (None, None)
        self._share = share_of(whole, wanted, time_limit)
        self._has_begun = wanted.is_asked
        if wanted.is_asked:
            self._take(self._bounder.best)

    @cached_property
    def _bounder(self) -> Bounder:
        wanted = self._wanted
        if wanted.is_asked:
            return Bounder(self._whole, wanted.method or AUTO, self._seed)
        method = NONE if self._share == 0.0 else AUTO
        return Bounder(self._whole, method, self._seed, DEFAULT_EFFORT)

    @property
    def best(self) -> Bound:
        """The best bound so far."""
        return self._best

    @property
    def share(self) -> float:
        """Share of the time that bounds get from now on."""
        return 0.0 if self._has_begun and self._is_done else self._share

    @property
    def _is_done(self) -> bool:
        return self._bounder.is_done or (self._wanted.gap is None and self._small_gains >= SMALL_GAINS)

    def advance(self, found: Incumbents, problem: CompiledProblem, seconds: float, is_over: Callable[[], bool]) -> None:
        """Take the share of a search that has taken so many ``seconds``, once it has found something.

        A configuration that attains the bound is offered to ``found``, as one of the ``problem`` that is searched.
        """
        allowed = seconds_beside(seconds, self.share, has_begun=self._has_begun)
        if not found.costs or not allowed:
            return
        if not self._has_begun:
            self._has_begun = True
            self._take(self._bounder.best)
        while self.share and self._spent < allowed and not is_over():
            self._step(found, problem)

    def left_to_search(self, left: float, seconds: float) -> float:
        """How much of the time that is ``left`` [s] a search gets that has taken so many ``seconds``."""
        return seconds_left(left, seconds, self._spent if self._has_begun else 0.0, self.share)

    @property
    def _spent(self) -> float:
        return self._bounder.seconds - self._setup

    def go_on(self, found: Incumbents, problem: CompiledProblem, seconds: float, is_over: Callable[[], bool]) -> None:
        """After a search that ended by itself, if bounds were asked for: until the gap is reached, or as long again as
        the search took.

        Branch and bound goes on until it has proved the optimum.
        """
        if not self._wanted.is_asked:
            return
        allowed = seconds_afterwards(seconds, self._wanted)
        while self.share and self._spent < allowed and not is_over() and self.outcome(found) is None:
            self._step(found, problem)

    def confirmed(self, found: Incumbents) -> StopReason | None:
        """OPTIMAL where the bound of the problem is what a search says that its best attains."""
        x = self._in_whole(found.configurations[0])
        if not self._bounder.is_attained(x) and (proof := self._bounder.problem.derived(eigenvalue_proof)) is not None:
            self._bounder.take(proof)
        self._take(self._bounder.best)
        return StopReason.OPTIMAL if self._bounder.is_attained(x) else None

    def outcome(self, found: Incumbents) -> StopReason | None:
        """OPTIMAL where the best costs exactly as much as the bound, GAP where that is close enough.

        Of bounds that were not asked for only the trivial one ends a run: when others are there depends on the machine.
        """
        may_end = self._wanted.is_asked or (self._wanted.may_end and self.best.method in TRIVIAL_METHODS)
        if not found.costs or not may_end:
            return None
        state = (found.best, self.best.exact)
        if state != self._judged[0]:
            self._judged = (state, self._outcome(found))
        return self._judged[1]

    def reported(self, cost: float, x: I8) -> Bound:
        """The bound for a best solution x (n,) of the whole: its own cost, if that is exactly the bound."""
        value = cost if self._is_attained(cost, x) else min(cost, self.best.value)
        return replace(self.best, value=value)

    def resume(self, saved: Mapping[str, Any] | None) -> None:
        """Begin with the best bound of a run that this one continues; None: it had none."""
        if saved is not None:
            self.has_offered = self._wanted.is_asked  # perhaps
            self._take(Bound(**{**saved, "exact": Fraction(saved["exact"]), "configuration": None}))

    def saved(self) -> dict[str, Any]:
        """The best bound for ``resume``, without a large certificate."""
        best = self.best
        is_small = sum(array.nbytes for array in best.certificate.values()) <= LARGEST_SAVED
        return {
            "value": best.value,
            "method": best.method,
            "seconds": best.seconds,
            "exact": str(best.exact),
            "certificate": dict(best.certificate) if is_small else {},
        }

    def offer(self, found: Incumbents, problem: CompiledProblem) -> bool:
        """Offer the configuration that attains the bound to the search of ``problem``; returns whether there is one."""
        if self.best.configuration is None or problem.one_hot is not None:
            return False
        x = self._in_search(self.best.configuration)
        found.offer(x, cost_of(problem, x), 0)
        return True

    def _take(self, bound: Bound) -> bool:
        """Make a bound the best one, if it is better, or as good and proved."""
        before = self._best
        is_better = bound.exact > before.exact or bound.value > before.value
        if is_better or (bound.value == before.value and bound.has_receipt and not before.has_receipt):
            self._best = bound
        return is_better

    def _step(self, found: Incumbents, problem: CompiledProblem) -> None:
        if found.costs and found.best < self._known:
            self._known = found.best
            self._bounder.known = self._in_whole(found.configurations[0])
        before, setup = self.best, setup_seconds()
        is_better = self._bounder.step() and self._take(self._bounder.best)
        self._setup += setup_seconds() - setup
        if not is_better:
            return
        gain = self.best.value - before.value
        is_small = gain < LEAST_GAIN * abs(self.best.value) and self.best.method == before.method
        self._small_gains = self._small_gains + 1 if is_small and before.method in LAST_METHODS else 0
        if self._wanted.is_asked:
            self.has_offered |= self.offer(found, problem)

    def _outcome(self, found: Incumbents) -> StopReason | None:
        cost, value = found.best, self.best.value
        if self._is_attained(cost, self._in_whole(found.configurations[0])):
            return StopReason.OPTIMAL
        is_close = self._wanted.gap is not None and relative_gap(cost, value) <= self._wanted.gap
        return StopReason.GAP if is_close else None

    def _is_attained(self, cost: float, x: I8) -> bool:
        """Whether x (n,) costs exactly as much as the bound, compared in integers where the two are close."""
        value = self.best.value
        if cost - value > NEARBY * (abs(cost) + abs(value)):
            return False
        self._take(self._bounder.best)  # the trivial one in integers, which is a little better than in float64
        return self._bounder.is_attained(x, self.best.exact)


def relative_gap(cost: float, bound: float) -> float:
    """How far a cost is above a bound, as a share of its size: 0 if they are equal, infinite if only the cost is 0."""
    if cost <= bound:
        return 0.0
    return (cost - bound) / abs(cost) if cost else math.inf


def warm_up(problem: CompiledProblem) -> None:
    """Compile the kernels of bounds, or load them from the disk: those for quadratic problems, or for other ones."""
    for method in ("cycles", "sdp-triangles", "branch") if problem.is_quadratic else ("mini-buckets",):
        bounder = Bounder(_TRIANGLE, method)
        while not bounder.is_done:
            bounder.step()


_TRIANGLE = compile_problem(
    CostFunction(ProblemType.ising, np.ones(3), np.array([0, 2, 4, 6]), np.array([0, 1, 1, 2, 0, 2]))
)

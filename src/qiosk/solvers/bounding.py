"""Lower bounds beside a search: how much of its time they get, and when the search may end because of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.bounds.bound import Bound
from qiosk.bounds.branch.tree import METHOD as BRANCH
from qiosk.bounds.choice import AUTO, NONE, Bounder
from qiosk.bounds.semidefinite import eigenvalue_proof
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8, CostFunction, ProblemType
from qiosk.model.flips import cost_of
from qiosk.solvers.search.solver import StopReason

if TYPE_CHECKING:
    from qiosk.solvers.search.incumbents import Incumbents

SHARE, GAP_SHARE = 0.15, 0.3
"""Share of the time that bounds get beside a search, and where a gap was asked for."""
PROOF_SHARE = 0.8
"""The same of branch and bound, which proves an optimum."""
MOST_TRIVIAL_TERMS = 200_000
"""Terms of the largest problem that gets the trivial bound without being asked to: some 20 ms."""
LEAST_AFTERWARDS_S = 5.0
"""Time for bounds after a search that ended early, at least, where they were asked for."""
NEARBY = 1e-6
"""Share of a cost within which it is compared with the bound exactly."""


class Bounding:
    """The bounds of one run.

    ``in_whole`` makes a configuration of the whole problem of one that the search works on, and ``in_search`` the other
    way round. ``gap`` is the relative gap at which the run may end; None: no gap is good enough. Without ``may_end`` no
    bound ends it.
    """

    def __init__(
        self,
        bounder: Bounder,
        gap: float | None,
        *,
        is_wanted: bool,
        may_end: bool,
        in_whole: Callable[[I8], I8] = lambda x: x,
        in_search: Callable[[I8], I8] = lambda x: x,
    ) -> None:
        self._bounder = bounder
        self._gap = gap
        self._is_wanted = is_wanted
        self._may_end = may_end
        self._in_whole = in_whole
        self._in_search = in_search
        self._known = math.inf  # cost of the best that the bounder was told
        self._judged: tuple[Any, StopReason | None] = (None, None)

    @property
    def best(self) -> Bound:
        """The best bound so far."""
        return self._bounder.best

    @property
    def share(self) -> float:
        """Share of the time that bounds get from now on."""
        if self._bounder.is_done or not self._is_wanted:
            return 0.0
        if self._bounder.method == BRANCH:
            return PROOF_SHARE
        return SHARE if self._gap is None else GAP_SHARE

    def advance(self, found: Incumbents, problem: CompiledProblem, seconds: float, is_over: Callable[[], bool]) -> None:
        """Take the share of a search that has taken so many ``seconds``, once it has found something.

        A configuration that attains the bound is offered to ``found``, as one of the ``problem`` that is searched.
        """
        if not found.costs:
            return
        allowed = seconds * self.share / (1.0 - self.share)
        while not self._bounder.is_done and self._bounder.seconds < allowed and not is_over():
            self._step(found, problem)

    def go_on(self, found: Incumbents, problem: CompiledProblem, seconds: float, is_over: Callable[[], bool]) -> None:
        """After a search that ended by itself: until the gap is reached, or as long again as the search took.

        Branch and bound goes on until it has proved the optimum.
        """
        has_aim = self._gap is not None or self._bounder.method == BRANCH
        allowed = math.inf if has_aim else max(LEAST_AFTERWARDS_S, seconds)
        while self.share and self._bounder.seconds < allowed and not is_over() and self.outcome(found) is None:
            self._step(found, problem)

    def confirmed(self, found: Incumbents) -> StopReason | None:
        """OPTIMAL where the bound of the problem is what a search says that its best attains."""
        x = self._in_whole(found.configurations[0])
        if not self._bounder.is_attained(x) and (proof := self._bounder.problem.derived(eigenvalue_proof)) is not None:
            self._bounder.take(proof)
        return StopReason.OPTIMAL if self._bounder.is_attained(x) else None

    def outcome(self, found: Incumbents) -> StopReason | None:
        """OPTIMAL where the best costs exactly as much as the bound, GAP where that is close enough."""
        if not found.costs or not self._may_end:
            return None
        state = (found.best, self.best.exact)
        if state != self._judged[0]:
            self._judged = (state, self._outcome(found))
        return self._judged[1]

    def reported(self, cost: float, x: I8) -> Bound:
        """The bound for a best solution x (n,) of the whole: its own cost, if that is exactly the bound."""
        value = cost if self._bounder.is_attained(x) else min(cost, self.best.value)
        return replace(self.best, value=value)

    def _step(self, found: Incumbents, problem: CompiledProblem) -> None:
        if found.costs and found.best < self._known:
            self._known = found.best
            self._bounder.known = self._in_whole(found.configurations[0])
        if self._bounder.step() and self.best.configuration is not None and problem.one_hot is None:
            x = self._in_search(self.best.configuration)
            found.offer(x, cost_of(problem, x), 0)

    def _outcome(self, found: Incumbents) -> StopReason | None:
        cost, value = found.best, self.best.value
        if cost - value <= NEARBY * (abs(cost) + abs(value)) and self._bounder.is_attained(
            self._in_whole(found.configurations[0])
        ):
            return StopReason.OPTIMAL
        is_close = self._gap is not None and relative_gap(cost, value) <= self._gap
        return StopReason.GAP if is_close else None


def bounding(
    problem: CompiledProblem,
    method: str | None,
    gap: float | None,
    seed: int,
    *,
    may_end: bool,
    in_whole: Callable[[I8], I8],
    in_search: Callable[[I8], I8],
) -> Bounding | None:
    """The bounds of a run on the whole ``problem``; None for large ones, unless a method or a gap was given.

    ``may_end``: whether the run may end because of the trivial bound, if that is all that there is.
    """
    is_wanted = (method is not None and method != NONE) or gap is not None
    terms = problem.n + problem.n_pairs + len(problem.term_values)
    if not is_wanted and terms > MOST_TRIVIAL_TERMS:
        return None
    bounder = Bounder(problem, method or (AUTO if is_wanted else NONE), seed)
    return Bounding(
        bounder, gap, is_wanted=is_wanted, may_end=may_end or is_wanted, in_whole=in_whole, in_search=in_search
    )


def relative_gap(cost: float, bound: float) -> float:
    """How far a cost is above a bound, as a share of its size: 0 if they are equal, infinite if only the cost is 0."""
    if cost <= bound:
        return 0.0
    return (cost - bound) / abs(cost) if cost else math.inf


def warm_up(problem: CompiledProblem) -> None:
    """Compile the kernels of bounds, or load them from the disk: those for quadratic problems, or for other ones."""
    for method in ("cycles", "sdp-triangles", "branch") if problem.is_quadratic else ("diffusion",):
        bounder = Bounder(_TRIANGLE, method)
        while not bounder.is_done:
            bounder.step()


_TRIANGLE = compile_problem(
    CostFunction(ProblemType.ising, np.ones(3), np.array([0, 2, 4, 6]), np.array([0, 1, 1, 2, 0, 2]))
)

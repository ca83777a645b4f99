"""What a run searches: its problem compiled, perhaps reduced, and what is found in it as solutions of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.model.check import initial_values
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import I8, CostFunction
from qiosk.model.flips import largest_cost
from qiosk.model.hard_constraints import HARD_CONSTRAINTS, HardConstraints, Violation, read_hard_constraints
from qiosk.model.one_hot import ONE_HOT, OneHot
from qiosk.model.slack import SLACK
from qiosk.presolve.reduced import Reduced
from qiosk.solvers import presolving
from qiosk.solvers.exact.dominated import dominated_groups
from qiosk.solvers.exact.exhaustive import is_enumerable
from qiosk.solvers.exact.slack import proven_rows
from qiosk.solvers.kept import KEPT
from qiosk.solvers.result import Solution
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.targets.target import Target

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext


class Searched:
    """The problem of one run of a target with its parameter values; ``kernel`` is the one that was asked for.

    ``initial`` is the configuration to begin from, of what is searched; None: none was given. ``reduced`` is None
    unless the search works on what a reduction left, and ``eliminates`` whether that took narrow components out, too.
    ``presolve`` is what the statistics say of a reduction.
    """

    def __init__(
        self, target: Target, values: Mapping[str, Any], cost_function: CostFunction, kernel: str | None
    ) -> None:
        self.cost_function = cost_function
        self.initial: I8 | None = None
        self.reduced: Reduced | None = None
        self.eliminates = False
        self.presolve: dict[str, Any] = {}
        self._target = target
        self._values = values
        self._kernel = kernel
        self._whole_initial: I8 | None = None  # of the whole problem, where that is reduced

    @cached_property
    def whole(self) -> CompiledProblem:
        """The whole problem, compiled when it is first asked for: with one-hot groups and slack, declared or found, or
        without where the solver does not know them.
        """
        if not self._target.keeps_groups(self._kernel):
            plain = KEPT.problem(self.cost_function, None, lambda: compile_problem(self.cost_function))
            return replace(plain, one_hot=None, slack=()) if plain.one_hot is not None or plain.slack else plain
        # where several solutions are wanted, bits that are not declared as slack may make the difference
        is_sought = SLACK not in self.cost_function.metadata and self._target.solutions(self._values) == 1
        return KEPT.problem(self.cost_function, is_sought, lambda: self._with_promises(is_sought=is_sought))

    def _with_promises(self, *, is_sought: bool) -> CompiledProblem:
        problem, metadata = compile_problem(self.cost_function), self.cost_function.metadata
        problem = replace(problem, slack=proven_rows(problem, is_sought=is_sought))
        if ONE_HOT in metadata:  # even if there are none
            return problem
        if problem.slack:
            return replace(problem, one_hot=OneHot.of([]))
        return replace(problem, one_hot=dominated_groups(problem))

    @property
    def problem(self) -> CompiledProblem:
        """The problem that is searched: the whole, or what is left of it."""
        return self.whole if self.reduced is None else self.reduced.problem

    def compile(self) -> None:
        """Compile the whole problem and read ``initial``. Raises InvalidValue if sums of costs are infinite."""
        largest_cost(self.whole)  # no search works where they are
        self.initial = initial_values(self.cost_function)

    def let_go(self) -> None:
        """Forget what is derived from the problem, if it was compiled, unless it is kept for the next solve."""
        if "whole" in vars(self):
            KEPT.let_go(self.whole)

    def is_enumerated(self) -> bool:
        """Whether to try all configurations: where there is one only, or they are few and no search was asked for."""
        is_search_wanted = not self._target.is_parameter_free or self._kernel is not None
        return self.problem.n == 0 or (not is_search_wanted and is_enumerable(self.problem))

    @property
    def is_reduction_tried(self) -> bool:
        """Whether to reduce the problem before the search: where it is wanted, or may pay."""
        wanted = self._values.get("presolve")
        if wanted is False or not presolving.is_reducible(self.whole) or self._target.solutions(self._values) > 1:
            return False
        if wanted is None and (not self._target.is_parameter_free or self._kernel is not None):
            return False
        return wanted is True or presolving.is_promising(self.whole, self._target.time_limit(self._values))

    def reduce(self, saved: Mapping[str, Any] | None, watch: Callable[[], float], check: Callable[[], None]) -> None:
        """Search what is left of the problem, unless that does not pay; a checkpoint's run has decided it already.

        ``saved`` is the checkpoint that the run goes on from, and ``watch`` a clock [s] without the compiling of
        kernels. ``check`` is called some 50 times a second; if it raises, the whole problem is what is searched.
        """
        from qiosk.presolve.reduction import reduce_compiled, reduce_fully
        from qiosk.solvers.samplers.planner import choose

        began = watch()
        # a checkpoint of an older version knows no elimination
        self.eliminates = saved is None or bool(saved.get("eliminates", False))
        reduced = self.whole.derived(reduce_fully if self.eliminates else reduce_compiled, check=check)
        seconds = watch() - began
        is_used = bool(saved) or self._values.get("presolve") is True
        is_used = is_used or presolving.pays(reduced, lambda p: choose(p, self._replicas, self._target.has_ladder))
        self.presolve = {"presolve": presolving.described(reduced, seconds, is_used=is_used)}
        if not is_used:
            return
        self.reduced = reduced
        if self.initial is not None:
            self._whole_initial, self.initial = self.initial, reduced.restrict(self.initial)

    def context(self, seed: int) -> SearchContext:
        """What the search works on."""
        from qiosk.solvers.samplers.planner import plan, useful_replicas
        from qiosk.solvers.search.context import SearchContext

        target, wanted = self._target, self._replicas
        return SearchContext(
            self.problem,
            lambda p: plan(
                p,
                replicas=useful_replicas(wanted, p.n) if target.prefers_long_searches else wanted,
                kernel=self._kernel,
                ladder=target.has_ladder,
            ),
            seed,
            solutions=target.solutions(self._values),
            initial=self.initial,
            starts_at_random=target.is_parameter_free,
            violates=self.violates if HARD_CONSTRAINTS in self.cost_function.metadata else None,
        )

    @property
    def _replicas(self) -> int:
        return self._target.replicas(self._values) if self._target.replicas is not None else 1

    @property
    def is_exact(self) -> bool:
        """Whether what is searched has the costs of the whole: no reduction rounded them."""
        return self.reduced is None or self.reduced.is_exact

    def lift(self, x: I8) -> I8:
        """A configuration of the whole problem of one of what is searched."""
        return x if self.reduced is None else self.reduced.lift(x)

    def restrict(self, x: I8) -> I8:
        """A configuration of what is searched of one of the whole problem."""
        return x if self.reduced is None else self.reduced.restrict(x)

    @cached_property
    def _constraints(self) -> HardConstraints | None:
        return read_hard_constraints(self.cost_function.metadata, self.cost_function.variables)

    def violated(self, x: I8) -> list[Violation] | None:
        """The hard constraints that a configuration of the whole problem violates; None: there are none to violate."""
        return None if self._constraints is None else self._constraints.violated(x)

    def violates(self, x: I8) -> bool:
        """Whether a configuration of what is searched violates a constraint of the whole problem."""
        return bool(self.violated(self.lift(x)))

    def solutions(self, found: Incumbents) -> list[Solution]:
        """The incumbents with their costs computed again from the original cost function, best first."""
        variables, some = self.cost_function.variables, found.configurations
        if self.reduced is not None:
            some = presolving.lifted(self.reduced, some, self._whole_initial)
        configurations = np.array(some, np.int8).reshape(len(some), len(variables))
        costs = np.atleast_1d(evaluate(self.cost_function, configurations))
        order = np.argsort(costs, kind="stable")[: len(found.costs)]
        return [Solution(variables, configurations[k], float(costs[k])) for k in order]

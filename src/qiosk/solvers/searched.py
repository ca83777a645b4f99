"""What a run searches: its problem compiled, perhaps reduced, and what is found in it as solutions of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.bounds.choice import AUTO
from qiosk.model.check import initial_values
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.hard_constraints import HARD_CONSTRAINTS, HardConstraints, Violation, read_hard_constraints
from qiosk.model.constraints.one_hot import ONE_HOT, OneHot
from qiosk.model.constraints.slack import SLACK
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import I8, CostFunction
from qiosk.model.flips import largest_cost, magnitude
from qiosk.model.transforms.domain import multiplied_out
from qiosk.presolve.reduced import Reduced
from qiosk.solvers import presolving
from qiosk.solvers.exact.dominated import dominated_groups
from qiosk.solvers.exact.exhaustive import enumerated, is_enumerable
from qiosk.solvers.exact.minimum import MANY, Exact, exact_minimum
from qiosk.solvers.exact.slack import proven_rows
from qiosk.solvers.kept import KEPT
from qiosk.solvers.result import Solution
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.share import WHOLE, Share
from qiosk.solvers.targets.target import Target

if TYPE_CHECKING:
    from qiosk.solvers.search.context import SearchContext

EXACT = 2.0**53
"""Integers are exact in float64 below this."""
MOST_TERMS = 20_000
"""Variables and terms of a problem of which the best configurations may be proved before a search."""


class Searched:
    """The problem of one run of a target with its parameter values; ``kernel`` is the one that was asked for.

    ``initial`` is the configuration to begin from, of what is searched; None: none was given. ``reduced`` is None
    unless the search works on what a reduction left, ``eliminates`` whether that took blocks out, too, and ``nodes``
    how many the search trees of these may have had.
    ``presolve`` is what the statistics say of a reduction.
    """

    def __init__(
        self, target: Target, values: Mapping[str, Any], cost_function: CostFunction, kernel: str | None
    ) -> None:
        self.cost_function = cost_function
        self.initial: I8 | None = None
        self.reduced: Reduced | None = None
        self.eliminates = False
        self.nodes = 0
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
            plain = self._plain
            return replace(plain, one_hot=None, slack=()) if plain.one_hot is not None or plain.slack else plain
        # where several solutions are wanted, bits that are not declared as slack may make the difference
        is_sought = SLACK not in self.cost_function.metadata and self._target.solutions(self._values) == 1
        return KEPT.problem(self.cost_function, is_sought, lambda: self._with_promises(is_sought=is_sought))

    @cached_property
    def _plain(self) -> CompiledProblem:
        """The whole problem with what is declared of it, and no more."""
        return KEPT.problem(self.cost_function, None, lambda: compile_problem(self.cost_function))

    def _with_promises(self, *, is_sought: bool) -> CompiledProblem:
        problem = self._plain if self._is_small else compile_problem(self.cost_function)
        metadata = self.cost_function.metadata
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
        """Compile the problem and read ``initial``. Raises InvalidValue if sums of costs are infinite."""
        largest_cost(self._plain if self._is_small else self.whole)  # no search works where they are
        self.initial = initial_values(self.cost_function)

    def let_go(self) -> None:
        """Forget what is derived from the problem, if it was compiled, unless it is kept for the next solve."""
        for name in ("_plain", "whole"):
            if name in vars(self):
                KEPT.let_go(vars(self)[name])

    @property
    def _is_small(self) -> bool:
        """Whether it is worth a moment to try whether the best configurations can be proved."""
        return self.cost_function.n_terms + len(self.cost_function.variables) <= MOST_TERMS

    @property
    def is_proof_tried(self) -> bool:
        """Whether the best may be found without the search: where neither that nor a bound by name was asked for."""
        is_search_wanted = not self._target.is_parameter_free or self._kernel is not None
        return not is_search_wanted and (self._values.get("bound") in (None, AUTO) or self._is_tiny)

    @property
    def _is_tiny(self) -> bool:
        return len(self.cost_function.variables) <= MANY

    def exact(self, time_limit: float, check: Callable[[], None]) -> Exact | None:
        """The best configurations of what is searched, where they are found at once.

        That is where there is one only, or no search was asked for and a run of ``time_limit`` [s] has a moment for it.
        ``check`` is called some 50 times a second and may raise.
        """
        wanted = self._target.solutions(self._values)
        if len(self.cost_function.variables) == 0 or (self.reduced is not None and self.reduced.problem.n == 0):
            return exact_minimum(self.problem, wanted, time_limit)
        if not self.is_proof_tried:
            return None
        presolve = self._values.get("presolve")
        if self.reduced is not None:
            return _uncertified(exact_minimum(self.reduced.problem, wanted, time_limit, check=check))
        if not self._is_small:
            return None
        promises = self._plain.one_hot
        problem = self._without_squares if promises is None or promises.is_empty else None
        if problem is not None:
            found = exact_minimum(problem, wanted, time_limit, eliminates=presolve is None, check=check)
            if found is not None:
                return found if problem is self._plain else _uncertified(found)
        return enumerated(self.whole, wanted, check) if is_enumerable(self.whole) else None

    @property
    def _without_squares(self) -> CompiledProblem | None:
        """The whole problem with its squares multiplied out; None where numbers would have to be rounded."""
        plain = self._plain
        if not len(plain.group_values):
            return plain
        numbers = np.concatenate([plain.group_values, plain.group_weights, plain.group_offsets])
        if magnitude(plain) >= EXACT or np.any(numbers != np.rint(numbers)):
            return None
        return multiplied_out(plain)

    @property
    def is_reduction_tried(self) -> bool:
        """Whether to reduce the problem before the search: where it is wanted, or may pay."""
        wanted = self._values.get("presolve")
        if wanted is False or not presolving.is_reducible(self.whole) or self._target.solutions(self._values) > 1:
            return False
        if wanted is None and (not self._target.is_parameter_free or self._kernel is not None):
            return False
        limit = self._target.time_limit(self._values)
        if wanted is True or presolving.is_promising(self.whole, limit):
            return True
        return self.is_proof_tried and presolving.falls_apart(self.whole, limit)

    def reduce(self, saved: Mapping[str, Any] | None, watch: Callable[[], float], check: Callable[[], None]) -> None:
        """Search what is left of the problem, unless that does not pay; a checkpoint's run has decided it already.

        ``saved`` is the checkpoint that the run goes on from, and ``watch`` a clock [s] without the compiling of
        kernels. ``check`` is called some 50 times a second; if it raises, the whole problem is what is searched.
        """
        from qiosk.presolve.reduction import reduce_compiled, reduce_fully
        from qiosk.solvers.samplers.planner import choose

        began = watch()
        # a checkpoint of an older version knows no elimination, or no search trees
        self.eliminates = saved is None or bool(saved.get("eliminates", False))
        within = presolving.nodes_within(self._target.time_limit(self._values))
        self.nodes = within if saved is None else int(saved.get("nodes", 0))
        reduced = self.whole.derived(reduce_fully(self.nodes) if self.eliminates else reduce_compiled, check=check)
        seconds = watch() - began
        is_used = bool(saved) or self._values.get("presolve") is True
        is_used = is_used or presolving.pays(reduced, lambda p: choose(p, self._replicas, self._target.has_ladder))
        self.presolve = {"presolve": presolving.described(reduced, seconds, is_used=is_used)}
        if not is_used:
            return
        self.reduced = reduced
        if self.initial is not None:
            self._whole_initial, self.initial = self.initial, reduced.restrict(self.initial)

    def context(self, seed: int, seconds: float, share: Share = WHOLE) -> SearchContext:
        """What the search works on in a run of so many seconds, which makes a share of the restarts."""
        from qiosk.solvers.samplers.planner import Planned, useful_replicas
        from qiosk.solvers.search.context import SearchContext

        target, wanted = self._target, self._replicas
        return SearchContext(
            self.problem,
            Planned(
                useful_replicas(wanted, self.problem.n) if target.prefers_long_searches else wanted,
                kernel=self._kernel,
                ladder=target.has_ladder,
            ),
            seed,
            solutions=target.solutions(self._values),
            initial=self.initial,
            starts_at_random=target.is_parameter_free,
            violates=self.violates if HARD_CONSTRAINTS in self.cost_function.metadata else None,
            seconds=seconds,
            share=share,
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


def _uncertified(found: Exact | None) -> Exact | None:
    """The same without the certificate: that is of another problem than the whole."""
    return None if found is None else replace(found, bound=replace(found.bound, certificate={}))

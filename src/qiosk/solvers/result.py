"""What a run returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from qiosk.bounds.bound import Bound
from qiosk.bounds.branch.tree import METHOD as BRANCH
from qiosk.contract.jobs import BoundPoint, TracePoint
from qiosk.contract.provenance import Provenance
from qiosk.formats.qio.results import SolutionColumns
from qiosk.model.constraints.hard_constraints import Violation
from qiosk.model.cost_function import I8, I64
from qiosk.solvers.bounding import relative_gap
from qiosk.solvers.provenance import RunFacts
from qiosk.solvers.targets.documents import Document, ResultsContent, microsoft_document

if TYPE_CHECKING:
    from matplotlib.axes import Axes


ENUMERATION = "enumeration"
"""The method of a bound where all configurations were tried, or excluded by a search tree."""
ENUMERATION_RECEIPT_S = 1.0
"""Time to prove such a bound by another method, which has a receipt."""


@dataclass(frozen=True, eq=False)
class Solution:
    """A configuration and its cost. ``variables`` (n,) are ids, ascending; ``values`` (n,) are -1/+1, or 0/1."""

    variables: I64
    values: I8
    cost: float

    @cached_property
    def configuration(self) -> dict[int, int]:
        """Value of every variable, by id, ascending."""
        return dict(zip(self.variables.tolist(), self.values.tolist(), strict=True))

    def __repr__(self) -> str:
        return f"Solution(cost={self.cost!r}, variables={len(self.variables)})"


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """Distinct solutions, best first, and how they were found.

    ``parameters`` holds the values in effect, under the names of the parameterized target. ``trace`` has a point for
    every new best, and ``bounds`` one for every better lower bound, of many for those that changed most.
    ``statistics``:

    - ``kernel``: the sweep kernel and its arithmetic; ``exhaustive``, ``tree``,
      ``elimination`` and ``propagation`` where there were no sweeps;
    - ``spin_updates``: attempted, summed over replicas; ``sweeps``: of every replica, one after the other;
    - ``seconds``: sweeping alone; before it ``compile_seconds``, for loading the compiler and compiling or loading
      kernels, which no time limit counts, and ``prepare_seconds``; ``threads``;
    - ``stop_reason``: finished, converged, optimal, gap, violated, target, timeout, run_limit or cancelled;
    - ``presolve``, where a reduction of the problem was tried: ``is_used``, whether the search worked on what was left;
      ``variables`` that were left, ``removed``, how many by which of the ``rules``, and ``seconds`` that it took;
    - ``exchange_rates`` of parallel tempering, between neighbouring rungs; ``replica_costs`` of simulated annealing,
      after the last sweep: of the last round;
    - ``portfolio`` of ``qiosk.auto``: of each search its ``share`` of the work, its ``best`` and its ``fate``;
    - ``is_paced`` of parameter-free targets: whether the time limit has set the length of a round; of all, true where
      time, or a cancellation, ended the search for further solutions, or a bound beside the search has offered one;
    - ``rounds`` of models: why each round of the search ended.

    ``document`` writes the results in the provider's format; ``input_data_uri`` is where a job's problem is stored.
    ``violated`` are the hard constraints of the problem that the best solution violates; None if the problem has none.
    ``more`` are further members of the results document, as JSON values. ``covers_earlier_runs``: it takes into account
    what earlier runs of a job found.
    ``facts`` and ``ended_at`` are what ``provenance`` is made of.

    >>> import qiosk
    >>> problem = qiosk.Problem("two spins")
    >>> problem.add_terms(coefficients=[1, 0.5], ids=[0, 1, 0], indptr=[0, 2, 3])
    >>> result = qiosk.solve(problem, timeout=1, number_of_solutions=2)
    >>> result.cost, result.configuration
    (-1.5, {0: -1, 1: 1})
    >>> [solution.cost for solution in result.solutions]
    [-1.5, -0.5]
    """

    target: str
    solutions: Sequence[Solution]
    parameters: Mapping[str, Any]
    trace: Sequence[TracePoint]
    statistics: Mapping[str, Any]
    facts: RunFacts
    ended_at: datetime
    input_data_uri: str = ""
    document: Document = microsoft_document
    lower_bound: Bound | None = None
    bounds: Sequence[BoundPoint] = ()
    violated: Sequence[Violation] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    covers_earlier_runs: bool = False

    @property
    def cost(self) -> float:
        """Cost of the best solution, as ``Problem.evaluate`` computes it."""
        return self.solutions[0].cost

    @property
    def bound(self) -> float | None:
        """No configuration costs less than this; equal to the cost where that is proved to be the least. None where the
        run was interrupted before it began.
        """
        return None if self.lower_bound is None else self.lower_bound.value

    @property
    def bound_method(self) -> str | None:
        """How the bound was computed: a name of ``qiosk.bounds.METHODS``, or enumeration."""
        return None if self.lower_bound is None else self.lower_bound.method

    def receipt(self) -> bytes | None:
        """What proves the bound, as an npz file that ``qiosk verify`` checks.

        A bound by enumeration is proved by elimination, if that takes a second at most, and a trivial one in integers.
        None for a bound by branch and bound, and where weights of constraints are no longer those of the problem that
        the search began with.
        """
        from qiosk.solvers.receipts import is_as_good, other_bound

        own = self.lower_bound
        if own is None or own.has_receipt:
            return None if own is None else own.receipt()
        if own.method == BRANCH:
            return None
        other = other_bound(self.facts.cost_function, own, ENUMERATION_RECEIPT_S)
        is_enough = other.has_receipt and is_as_good(other, own, self.facts.cost_function)
        return other.receipt() if is_enough else None

    @property
    def gap_absolute(self) -> float | None:
        """How much less the least cost may be than that of the best solution."""
        return None if self.bound is None else self.cost - self.bound

    @property
    def gap(self) -> float | None:
        """The same as a share of the size of the cost: 0 if the best is optimal, infinite where the cost is 0 and the
        bound is less. Shares depend on the constant of a problem.
        """
        return None if self.bound is None else relative_gap(self.cost, self.bound)

    @property
    def configuration(self) -> dict[int, int]:
        """The best solution: value of every variable, by id, ascending."""
        return self.solutions[0].configuration

    @property
    def stop_reason(self) -> str:
        """finished, converged, optimal, gap, violated, target, timeout, run_limit or cancelled."""
        return str(self.statistics["stop_reason"])

    @cached_property
    def provenance(self) -> Provenance:
        """Where the result comes from: problem, target, parameters, seed, versions, machine, statistics and times."""
        return self.facts.at_end(self.parameters, self.statistics, self.ended_at)

    def plot(self, **options: Any) -> Axes:
        """Best cost against time; see :func:`qiosk.plots.search`. Needs matplotlib."""
        from qiosk.plots import search

        return search(self, **options)

    @property
    def _bound_member(self) -> dict[str, Any] | None:
        """The bound in a results document; a gap that is no number is null."""
        if self.lower_bound is None or self.gap is None:
            return None
        gap = self.gap if math.isfinite(self.gap) else None
        return {"value": self.bound, "gap": gap, "method": self.bound_method}

    def to_json(self) -> str:
        """The results document of the service, in the format of the target's provider."""
        found = ResultsContent(
            target=self.target,
            solutions=columns(self.solutions),
            parameters=self.parameters,
            input_data_uri=self.input_data_uri,
            message=self.stop_reason,
            seconds=self.statistics["seconds"],
            provenance=to_builtins(self.provenance),
            violated=self.violated,
            bound=self._bound_member,
            more=self.more,
        )
        return self.document(found).decode()

    def __repr__(self) -> str:
        stop = self.statistics["stop_reason"]
        return (
            f"Result(cost={self.cost!r}, solutions={len(self.solutions)}, target={self.target!r}, stop_reason={stop!r})"
        )


def columns(solutions: Sequence[Solution]) -> list[SolutionColumns]:
    """Solutions as results documents are written from them."""
    return [(s.variables, s.values, s.cost) for s in solutions]

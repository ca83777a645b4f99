"""The best solution that a job of a model has found so far, whatever the weights of the round that found it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import to_builtins

from qiosk.model.constraints.hard_constraints import Violation
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction
from qiosk.modeling.solution import Solution
from qiosk.solvers.reports import ChunkReport
from qiosk.solvers.result import Solution as Configuration
from qiosk.solvers.result import columns
from qiosk.solvers.targets.documents import RUNNING, ResultsContent
from qiosk.solvers.targets.target import Target

SHARE = 0.05
"""Largest part of the time that is spent on judging solutions."""


@dataclass(slots=True)
class BestSoFar:
    """Fewer violated constraints come first, then the costs of the problem as it was submitted."""

    cost_function: CostFunction
    decode: Callable[[Configuration], Solution]
    clock: Callable[[], float] = time.monotonic
    _best: Configuration | None = field(default=None, init=False)
    _violated: list[Violation] = field(default_factory=list, init=False)
    _seen: float | None = field(default=None, init=False)
    _due: float = field(default=0.0, init=False)

    @property
    def cost(self) -> float | None:
        """That of the submitted problem; None before the first solution."""
        return None if self._best is None else self._best.cost

    def take(self, report: ChunkReport) -> None:
        """Judge the best solution of a round, if it is a new one and the last one was judged long enough ago."""
        began, cost = self.clock(), report.progress.best_cost
        if cost is None or cost == self._seen or began < self._due or not (solutions := report.solutions()):
            return
        self._seen = cost
        self.offer(solutions[0])
        self._due = began + (self.clock() - began) / SHARE

    def offer(self, found: Configuration) -> None:
        """Keep a configuration if it is better."""
        cost = float(evaluate(self.cost_function, found.values))
        violated = [Violation(report.name, report.violation) for report in self.decode(found).violated]
        if self._best is None or (len(violated), cost) < (len(self._violated), self._best.cost):
            self._best, self._violated = Configuration(found.variables, found.values, cost), violated

    def document(self, target: Target, report: ChunkReport, input_data_uri: str) -> bytes:
        """The results document of the best solution so far."""
        if self._best is None:
            return report.best()
        provenance = report.provenance()
        return target.document(
            ResultsContent(
                target=target.id,
                solutions=columns([self._best]),
                parameters=provenance.parameters,
                input_data_uri=input_data_uri,
                message=RUNNING,
                seconds=report.progress.seconds,
                provenance=to_builtins(provenance),
                violated=self._violated,
            )
        )

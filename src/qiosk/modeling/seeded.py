"""The runs of a search in rounds: their seeds follow from the first one's, and one provenance describes them all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from qiosk.formats.comparison import ROUNDS
from qiosk.model.cost_function import CostFunction
from qiosk.modeling.answer import Answer
from qiosk.solvers.provenance import now
from qiosk.solvers.result import Result
from qiosk.solvers.solve import Hooks, Setup


@dataclass(slots=True)
class SeededRuns:
    """Runs of one target. The first one takes the seed that was given, or a new one, or that of its checkpoint."""

    setup: Setup
    _first: Result | None = field(default=None, init=False)

    def run(self, cost_function: CostFunction, hooks: Hooks, number: int) -> Result:
        """The run of a round. Raises as ``qiosk.solve``."""
        setup = self.setup if self._first is None else self.setup.seeded(self._first.facts.seed)
        result = setup.run(cost_function, hooks, number=number)
        self._first = self._first or result
        return result

    def described(self, answer: Answer) -> Answer:
        """The answer, whose result has the problem, the seed and the parameters with which the search began.

        So a search with what its provenance has ``given`` goes through the same rounds.
        """
        if self._first is None:
            return answer
        facts = self._first.facts
        result = replace(
            answer.result,
            facts=facts,
            parameters={**answer.result.parameters, "seed": facts.seed},
            statistics={**answer.result.statistics, ROUNDS: [each.stop_reason for each in answer.rounds]},
            ended_at=now(),
        )
        return replace(answer, result=result)

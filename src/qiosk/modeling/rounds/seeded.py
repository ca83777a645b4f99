"""The runs of a search in rounds: their seeds follow from the first one's, and one provenance describes them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from qiosk.formats.comparison import PACED, ROUNDS
from qiosk.model.check import initial_values
from qiosk.model.cost_function import CostFunction
from qiosk.modeling.answer import Answer
from qiosk.modeling.propagation.turns import KERNEL
from qiosk.problem import Problem
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.provenance import RunFacts, now
from qiosk.solvers.result import Result
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.setup import Setup


@dataclass(slots=True)
class SeededRuns:
    """Runs of one target. The first one takes the seed that was given, or a new one, or that of its checkpoint.

    ``facts`` are those of the first one, None before its end. ``is_paced``: time has changed what one of the runs did.
    """

    setup: Setup
    facts: RunFacts | None = None
    is_paced: bool = False

    def known(
        self, problem: Problem, submitted: Mapping[int, int] | None, hooks: Hooks, stop: StopReason, seconds: float
    ) -> Result:
        """The result where the configuration from which a problem begins was found by propagation.

        The problem of its provenance has the initial configuration that was ``submitted``. Raises as ``qiosk.solve``.
        """
        cost_function = problem.cost_function()
        values = initial_values(cost_function)
        assert values is not None
        cost_function = replace(cost_function, initial_configuration=submitted)
        setup = self.setup if self.facts is None else self.setup.seeded(self.facts.seed)
        result = setup.known(cost_function, values, hooks, KERNEL, stop, seconds)
        self.facts = self.facts or result.facts
        return result

    def run(self, cost_function: CostFunction, hooks: Hooks, number: int) -> Result:
        """The run of a round. Raises as ``qiosk.solve``."""
        setup = self.setup if self.facts is None else self.setup.seeded(self.facts.seed)
        result = setup.run(cost_function, hooks, number=number)
        self.facts = self.facts or result.facts
        self.is_paced |= result.statistics.get(PACED, False)
        return result

    def described(self, answer: Answer) -> Answer:
        """The answer, whose result has the problem, the seed and the parameters with which the search began.

        So a search with what its provenance has ``given`` goes through the same rounds. The results document has the
        answer as its member ``model``.
        """
        facts = self.facts
        if facts is None:
            return answer
        stops, is_paced = [each.stop_reason for each in answer.rounds], self.is_paced
        if answer.propagated is not None:
            stops.insert(0, answer.propagated.stop_reason)
            is_paced |= answer.propagated.is_paced
        own = answer.result.lower_bound
        if own is not None and answer.result.facts is not facts:
            own = replace(own, certificate={})  # which proves it for other weights
        result = replace(
            answer.result,
            lower_bound=own,
            facts=facts,
            parameters={**answer.result.parameters, "seed": facts.seed},
            statistics={**answer.result.statistics, PACED: is_paced, ROUNDS: stops, "status": str(answer.status)},
            more={"model": answer.to_json()},
            ended_at=now(),
        )
        return replace(answer, result=result)

"""Jobs whose problem carries its model: the same rounds as ``Model.solve``, on the machine that runs the job."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from msgspec import structs

from qiosk.errors import InvalidValue
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction
from qiosk.modeling.adaptive import begin, solve_in_rounds
from qiosk.modeling.answer import Answer
from qiosk.modeling.model import Model
from qiosk.modeling.seeded import SeededRuns
from qiosk.problem import Problem
from qiosk.solvers.result import Result, Solution
from qiosk.solvers.run import ChunkReport
from qiosk.solvers.solve import Hooks, Setup

_log = logging.getLogger(__name__)


def solve_job(cost_function: CostFunction, setup: Setup, hooks: Hooks) -> Result:
    """Run a job; in rounds if its problem is that of a model and the weights in its metadata.

    The costs of the result are those of the problem as it was submitted; solutions that satisfy all constraints come
    first. Progress and trace have the costs with the weights of the round. Only the first round can be resumed from a
    checkpoint. Raises as ``qiosk.solve``, and UnreadableCheckpoint.
    """
    model = model_of(cost_function)
    if model is None or not model.constraints:
        return setup.run(cost_function, hooks)
    setup = setup.until(model.cost.bounds[0])
    runs = SeededRuns(setup)
    began = time.monotonic()
    time_limit = setup.time_limit if hooks.max_seconds is None else min(setup.time_limit, hooks.max_seconds)

    def run(problem: Problem, seconds: float, number: int) -> Result:
        initial = cost_function.initial_configuration
        problem.init_config = None if initial is None else dict(initial)
        own = replace(
            hooks,
            resume=None if number else hooks.resume,
            max_seconds=None if math.isinf(seconds) else seconds,
            on_chunk=_shifted(hooks.on_chunk, time.monotonic() - began if number else 0.0, time_limit),
        )
        return runs.run(problem.cost_function(), own, number)

    standing = begin(model, cost_function.metadata["weights"])
    answer = runs.described(solve_in_rounds(model, run, time_limit, standing=standing))
    for number, found in enumerate(answer.rounds):
        violated = ", ".join(found.violated[:5]) or "nothing"
        _log.info("round %d: %s after %.1f s, violates %s", number, found.stop_reason, found.seconds, violated)
    return _as_submitted(model, answer, cost_function)


def model_of(cost_function: CostFunction) -> Model | None:
    """The model in a problem's metadata; None if there is none, or if it is not what the terms of the problem are."""
    document, weights = (cost_function.metadata.get(name) for name in ("model", "weights"))
    if document is None or not _are_weights(weights):
        return None
    try:
        model = Model.from_document(document)
        made = model.problem(weights=weights).cost_function()
    except InvalidValue as error:
        _log.warning("the model of the problem is not used: %s", error)
        return None
    pairs = [(getattr(made, name), getattr(cost_function, name)) for name in ("coefficients", "indptr", "ids")]
    groups = [
        (getattr(made.groups, n), getattr(cost_function.groups, n)) for n in ("coefficients", "indptr", "weights")
    ]
    pairs += [*groups, (made.groups.ids, cost_function.groups.ids)]
    return model if all(np.array_equal(a, b) for a, b in pairs) else None


def _are_weights(weights: Any) -> bool:
    return isinstance(weights, Mapping) and all(
        isinstance(weight, (int, float)) and 0 < weight < math.inf for weight in weights.values()
    )


def _shifted(
    on_chunk: Callable[[ChunkReport], None], elapsed: float, time_limit: float
) -> Callable[[ChunkReport], None]:
    """The hook of a round that began after ``elapsed`` seconds [s]."""

    def follow(report: ChunkReport) -> None:
        seconds = elapsed + report.progress.seconds
        fraction = report.progress.fraction if math.isinf(time_limit) else min(1.0, seconds / time_limit)
        progress = structs.replace(report.progress, seconds=seconds, fraction=fraction)
        trace = [structs.replace(point, seconds=elapsed + point.seconds) for point in report.new_trace]
        on_chunk(replace(report, progress=progress, new_trace=trace))

    return follow


def _as_submitted(model: Model, answer: Answer, cost_function: CostFunction) -> Result:
    """The result with the costs of the submitted problem, solutions that satisfy all constraints first."""
    solutions = []
    for found in answer.result.solutions:
        cost = float(evaluate(cost_function, found.values))
        rank = len(model.decode(found).violated), cost
        solutions.append((rank, Solution(found.variables, found.values, cost)))
    solutions.sort(key=lambda item: item[0])
    return replace(answer.result, solutions=[solution for _, solution in solutions])

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

from qiosk.contract.jobs import TracePoint
from qiosk.errors import InvalidValue
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction
from qiosk.modeling.answer import Answer, Round
from qiosk.modeling.model import Model
from qiosk.modeling.propagation.turns import Turns
from qiosk.modeling.rounds.adaptive import begin, solve_in_rounds
from qiosk.modeling.rounds.best_so_far import BestSoFar
from qiosk.modeling.rounds.resuming import Saved, read_checkpoint, write_checkpoint
from qiosk.modeling.rounds.seeded import SeededRuns
from qiosk.problem import Problem
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.run import run_members
from qiosk.solvers.reports import ChunkReport
from qiosk.solvers.result import Result, Solution
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.setup import Setup

_log = logging.getLogger(__name__)


def solve_job(cost_function: CostFunction, setup: Setup, hooks: Hooks) -> Result:
    """Run a job; in rounds if its problem is that of a model and the weights in its metadata.

    The costs of the result, and of the best solution so far, are those of the problem as it was submitted; solutions
    that satisfy all constraints come first. The trace has the costs with the weights of the round. Checkpoints contain
    all rounds. Over several nodes each member goes through rounds of its own, with a seed of its own. Raises as
    ``qiosk.solve``, and UnreadableCheckpoint.
    """
    starts = [time.monotonic()]  # of the first member, or the only one; others begin when they are run
    model = model_of(cost_function)
    if model is None:
        return run_members(setup, cost_function, hooks)

    def in_rounds(each: Setup, own: Hooks) -> Result:
        began = starts.pop() if starts else time.monotonic()
        return _Rounds(model, cost_function, each.whole.until(model.cost.bounds[0]), own).solve(began)

    return run_members(setup, cost_function, hooks, in_rounds)


class _Rounds:
    """The rounds of a job."""

    def __init__(self, model: Model, cost_function: CostFunction, setup: Setup, hooks: Hooks) -> None:
        self._model = model
        self._cost_function = cost_function
        self._hooks = hooks
        self._standing = begin(model, cost_function.metadata["weights"])
        self._runs = SeededRuns(setup)
        self._saved: Saved | None = None
        self._trace: list[TracePoint] = []  # of all rounds
        self._best = BestSoFar(cost_function, model.decode)
        self._limit = math.inf
        if hooks.resume is not None:
            self._saved = read_checkpoint(
                hooks.resume,
                self._standing,
                setup,
                decode=model.decode,
                problem=lambda weights: self._prepared(model.penalized(weights)),
            )
            self._runs.facts, self._runs.is_paced = self._saved.facts, self._saved.is_paced
            if hooks.is_extension:
                self._standing.uncounted = self._standing.elapsed
            if self._standing.best is not None:
                self._best.offer(self._standing.best[1].solutions[0])

    def solve(self, began: float) -> Result:
        """The result of the job, which began at that time of the monotonic clock."""
        standing, hooks = self._standing, self._hooks
        standing.elapsed += time.monotonic() - began
        allowed = math.inf if hooks.max_seconds is None else standing.elapsed + hooks.max_seconds
        own_limit = self._runs.setup.time_limit + standing.uncounted
        self._limit = min(own_limit, allowed)
        turns = Turns(self._model.propagation(), self._known, self._runs.setup.solutions == 1, hooks.is_cancelled)
        if hooks.resume is not None and turns.propagation is not None:
            self._runs.is_paced = True  # propagation begins again, at a time that a run in one go does not have
        answer = solve_in_rounds(
            self._model,
            self._search,
            self._limit,
            is_kept=self._runs.setup.keeps_one_hot and self._model.is_kept_by_moves,
            standing=standing,
            turns=turns,
            on_round=self._log,
        )
        if (did := answer.propagated) is not None:
            _log.info("propagation: %s after %.1f s, objective %s", did.stop_reason, did.seconds, did.objective)
        result = _as_submitted(self._model, self._runs.described(answer), self._cost_function)
        statistics = dict(result.statistics)
        if statistics["stop_reason"] == StopReason.TIMEOUT and allowed < own_limit:
            statistics["stop_reason"] = str(StopReason.RUN_LIMIT)
        return replace(
            result,
            statistics=statistics,
            input_data_uri=hooks.input_data_uri,
            trace=self._trace,
            covers_earlier_runs=True,  # their costs had other weights
        )

    def _prepared(self, problem: Problem) -> CostFunction:
        """With the initial configuration that was submitted, so that a checkpoint is of this problem."""
        initial = self._cost_function.initial_configuration
        problem.init_config = None if initial is None else dict(initial)
        return problem.cost_function()

    def _known(self, problem: Problem, reason: StopReason, seconds: float) -> Result:
        return self._runs.known(problem, self._cost_function.initial_configuration, self._hooks, reason, seconds)

    def _search(self, problem: Problem, seconds: float, number: int) -> Result:
        saved, self._saved = self._saved, None
        own = replace(
            self._hooks,
            resume=None if saved is None else saved.run,
            is_extension=self._hooks.is_extension and saved is not None,
            max_seconds=None if math.isinf(seconds) else seconds,
            on_chunk=self._follow(saved),
        )
        return self._runs.run(self._prepared(problem), own, number)

    def _follow(self, saved: Saved | None) -> Callable[[ChunkReport], None]:
        """The hook of a round, perhaps of one that was saved."""
        earlier = self._standing.elapsed - (0.0 if saved is None else saved.seconds) if self._standing.rounds else 0.0
        before = tuple(self._trace if saved is None else saved.trace)
        waiting = list(before) if saved is not None else []  # to be reported

        def follow(report: ChunkReport) -> None:
            spent = report.progress.seconds
            seconds = earlier + spent
            fraction = report.progress.fraction if math.isinf(self._limit) else min(1.0, seconds / self._limit)
            new = [structs.replace(point, seconds=earlier + point.seconds) for point in report.new_trace]
            new = [*waiting, *new]
            waiting.clear()
            self._trace.extend(new)
            self._best.take(report)
            bounds = tuple(structs.replace(p, seconds=earlier + p.seconds) for p in report.progress.bounds)
            progress = structs.replace(
                report.progress, seconds=seconds, fraction=fraction, best_cost=self._best.cost, bounds=bounds
            )
            self._hooks.on_chunk(
                replace(
                    report,
                    progress=progress,
                    new_trace=new,
                    best=lambda: self._best.document(self._runs.setup.target, report, self._hooks.input_data_uri),
                    checkpoint=lambda: write_checkpoint(
                        self._standing,
                        Saved(
                            run=report.checkpoint(),
                            seconds=spent,
                            trace=before,
                            facts=self._runs.facts,
                            is_paced=self._runs.is_paced,
                        ),
                    ),
                )
            )

        return follow

    def _log(self, found: Round) -> None:
        number, violated = len(self._standing.rounds) - 1, ", ".join(found.violated[:5]) or "nothing"
        _log.info("round %d: %s after %.1f s, violates %s", number, found.stop_reason, found.seconds, violated)


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


def _as_submitted(model: Model, answer: Answer, cost_function: CostFunction) -> Result:
    """The result with the costs of the submitted problem, solutions that satisfy all constraints first."""
    solutions = []
    for found in answer.result.solutions:
        cost = float(evaluate(cost_function, found.values))
        rank = len(model.decode(found).violated), cost
        solutions.append((rank, Solution(found.variables, found.values, cost)))
    solutions.sort(key=lambda item: item[0])
    return replace(answer.result, solutions=[solution for _, solution in solutions])

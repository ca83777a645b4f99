"""What a study has found: a row for each trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qiosk.client.results import Results, read_results
from qiosk.contract.api import JobsApi
from qiosk.contract.jobs import JobView, TracePoint
from qiosk.contract.provenance import Provenance
from qiosk.errors import BlobNotFound, JobNotFound
from qiosk.studies.trials import ROUNDING, Trial, cost_within

NOT_SUBMITTED = "NotSubmitted"
UNREADABLE = "Unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A run of a study, and what its job has found so far.

    >>> import qiosk
    >>> problem = qiosk.Problem("pair")
    >>> problem.add_terms(coefficients=[1], ids=[[0, 1]])
    >>> study = qiosk.Study(qiosk.Workspace(), "pairs", [problem], [{"target": "tabu"}], timeout=1)
    >>> study.rows()[0].status
    'NotSubmitted'
    >>> study.run()
    >>> row = study.rows()[0]
    >>> row.cost, row.target_cost, row.solver, row.parameters
    (-1.0, -1.0, 'tabu', {'timeout': 1.0})

    Attributes:
        instance: name of the instance.
        variables: its number of variables; None if it cannot be read.
        solver: label of the target and the parameters that are varied.
        target: full name of the target.
        parameters: parameters by name, without the seed; ``timeout`` is in seconds.
        seed: seed of the run.
        status: state of the job; ``NotSubmitted`` before it has one, ``Unreadable`` if the instance cannot be read.
        stop_reason: why the run ended; None if it has not, or failed.
        cost: the lowest cost found.
        bound: a proven lower bound on the cost; None if none was computed.
        gap: distance of the cost to the bound, as a share of the cost; None if it is unknown.
        best_known: the lowest known cost, or the best known objective of a model; None if none is known.
        best_known_gap: distance to it, as a share of its size; None if it is unknown, below 0 for a better solution.
        time_to_best: seconds from the start of the search to its last improvement.
        target_cost: the cost that counts as reached: of the settings' ``target_gap``, from the best known cost or else
            the best one of the study; None for models.
        time_to_target: seconds until that cost was reached; infinite if it was not, None for models and while the job
            has not ended.
        seconds: duration of the run.
        objective: objective of a model; None for other problems.
        is_feasible: whether all constraints hold; None for problems without any.
        violated: names of the violated constraints.
        model_status: what is known about the solution of a model: optimal, feasible, infeasible or not found.
        job_id: id of the job; None if the instance cannot be read.
        error: why there is no result.
        provenance: where the result comes from.
    """

    instance: str
    variables: int | None
    solver: str
    target: str
    parameters: Mapping[str, Any]
    seed: int
    status: str
    stop_reason: str | None = None
    cost: float | None = None
    bound: float | None = None
    gap: float | None = None
    best_known: float | None = None
    best_known_gap: float | None = None
    time_to_best: float | None = None
    target_cost: float | None = None
    time_to_target: float | None = None
    seconds: float | None = None
    objective: float | None = None
    is_feasible: bool | None = None
    violated: tuple[str, ...] = ()
    model_status: str | None = None
    job_id: str | None = None
    error: str | None = None
    provenance: Provenance | None = None
    is_model: bool = False
    is_maximized: bool = False
    trace: Sequence[TracePoint] = field(default=(), repr=False)

    @property
    def is_final(self) -> bool:
        """Whether nothing of the row will change."""
        return self.status in ("Succeeded", "Failed", "Cancelled", UNREADABLE)

    @property
    def value(self) -> float:
        """What rows are compared by, lower is better: the cost, or the objective of a model, with the sign changed if
        it is maximized; infinite without a solution, and for one that violates a constraint.
        """
        if self.is_feasible is False:
            return math.inf
        found = self.objective if self.is_model else self.cost
        if found is None:
            return math.inf
        return -found if self.is_maximized else found


def read_row(api: JobsApi, trial: Trial, view: JobView | None) -> Row:
    """The row of a trial, whose job is ``view`` (None: there is none). Target costs come later: ``with_targets``.

    Raises what requests to the workspace raise.
    """
    row = _row(trial)
    if view is None:
        return row
    row = replace(row, status=str(view.status), **_run(view))
    if not view.status.is_final:
        return row
    try:
        trace = api.trace(view.id)
        results = read_results(api.results(view.id)) if view.has_results else None
    except (BlobNotFound, JobNotFound):  # deleted meanwhile
        return row
    return replace(row, trace=trace, **_times(trace), **({} if results is None else _found(results)))


def _row(trial: Trial) -> Row:
    instance, facts = trial.instance, trial.instance.facts
    return Row(
        instance=instance.name,
        variables=None if facts is None else facts.variables,
        solver=trial.configuration.label,
        target=trial.configuration.target,
        parameters={name: value for name, value in trial.parameters.items() if name != "seed"},
        seed=trial.seed,
        status=NOT_SUBMITTED if facts is not None else UNREADABLE,
        best_known=None if facts is None else facts.best_known,
        is_model=facts is not None and facts.is_model,
        is_maximized=facts is not None and facts.is_maximized,
        job_id=trial.job_id,
        error=instance.error,
    )


def _run(view: JobView) -> dict[str, Any]:
    """What the properties of a job tell about its run."""
    error = view.error_data
    return {
        "stop_reason": None if view.provenance is None else view.provenance.stop_reason,
        "cost": view.progress.best_cost,
        "bound": view.progress.bound,
        "seconds": view.progress.seconds,
        "provenance": view.provenance,
        "error": None if error is None else f"{error.code}: {error.message}",
    }


def _times(trace: Sequence[TracePoint]) -> dict[str, Any]:
    return {"time_to_best": trace[-1].seconds} if trace else {}


def _found(results: Results) -> dict[str, Any]:
    """What a results document tells about the best solution."""
    found: dict[str, Any] = {"cost": getattr(results, "cost", None)}
    bound = results.get("bound")
    if isinstance(bound, Mapping):
        found |= {"bound": bound.get("value"), "gap": bound.get("gap")}
    violated = results.get("violated")
    if violated is not None:
        found |= {"violated": tuple(each["name"] for each in violated), "is_feasible": not violated}
    model = results.get("model")
    if isinstance(model, Mapping):
        found |= {
            "objective": model["objective"],
            "is_feasible": model["is_feasible"],
            "violated": tuple(each["name"] for each in model["violated"]),
            "model_status": model.get("status"),
        }
    return found


def with_targets(rows: Iterable[Row], target_gap: float) -> list[Row]:
    """The rows with gaps to the best known cost, target costs and times to target."""
    given = list(rows)
    best: dict[str, float] = {}
    for row in given:
        best[row.instance] = min(best.get(row.instance, math.inf), row.value)
    return [_with_target(row, best[row.instance], target_gap) for row in given]


def _with_target(row: Row, best_of_study: float, target_gap: float) -> Row:
    known = row.best_known
    if known is not None and row.value < math.inf:
        sign = -1 if row.is_maximized else 1
        row = replace(row, best_known_gap=gap_to(row.value, sign * known))
    reference = best_of_study if known is None else known
    if row.is_model or not math.isfinite(reference):
        return row
    goal = cost_within(reference, target_gap)
    if not row.is_final or row.status == UNREADABLE:
        return replace(row, target_cost=goal)
    return replace(row, target_cost=goal, time_to_target=time_to(goal, row.trace))


def gap_to(value: float, best: float) -> float | None:
    """How much higher a value is than the best one, as a share of the best one's size; None for another value than 0 if
    that is 0."""
    if math.isclose(value, best, rel_tol=ROUNDING):
        return 0.0
    return None if best == 0 else (value - best) / abs(best)


def time_to(goal: float, trace: Iterable[TracePoint]) -> float:
    """Seconds until a search has reached a cost; infinite if it has not."""
    limit = goal + ROUNDING * abs(goal)
    return next((point.seconds for point in trace if point.cost <= limit), math.inf)

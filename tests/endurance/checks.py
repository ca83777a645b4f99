"""What has to be true at the end of a run."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from endurance import history
from endurance.history import Step
from endurance.traffic import Traffic
from endurance.workload import Planned
from endurance.world import World
from qiosk.contract.jobs import JobStatus
from qiosk.formats import registry
from qiosk.model.cost import evaluate
from qiosk.service.jobs.job import JobState

_END = re.compile(r"attempt (\d+) ended(?:: (\w+)|, the job waits again)")
READERS = 4


@dataclass(frozen=True)
class Row:
    """What the state table says of a job."""

    state: str
    fence: int
    losses: int
    supervisor_deaths: int
    error: str | None


@dataclass(frozen=True)
class Found:
    """All that is known at the end."""

    rows: Mapping[str, Row]
    steps: Mapping[str, Sequence[Step]]
    logs: Mapping[str, Sequence[tuple[int, str]]]

    @property
    def states(self) -> Mapping[str, int]:
        """How many jobs are in which state."""
        return Counter(row.state for row in self.rows.values())

    @property
    def attempts(self) -> Mapping[int, int]:
        """How many jobs had how many attempts."""
        return dict(sorted(Counter(row.fence for row in self.rows.values()).items()))

    @property
    def requeues(self) -> int:
        """How often a job waited again."""
        waits = JobState.WAITING.value
        return sum(step.before is not None and step.after == waits for steps in self.steps.values() for step in steps)


def read(world: World) -> Found:
    """Read the state table, the history and the logs, past all servers."""
    columns = "state, fence, losses, supervisor_deaths, error_code || ': ' || error_message"
    with world.cluster.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT id, {columns} FROM jobs").all()
        return Found({row[0]: Row(*row[1:]) for row in rows}, history.read(connection), _logs(connection))


def faults_of(world: World, traffic: Traffic, found: Found) -> Iterator[tuple[str, str]]:
    """Every job that something is wrong with, and what."""
    for job_id in traffic.accepted:
        if job_id not in found.rows:
            yield job_id, "was accepted and is lost"
    for job_id, row in found.rows.items():
        steps = found.steps.get(job_id, ())
        for fault in history.faults_of(steps, state=row.state, fence=row.fence):
            yield job_id, fault
        if (job := traffic.accepted.get(job_id)) is not None:
            yield from ((job_id, fault) for fault in _faults_of_end(job, row, traffic))
        if _ends_of(steps) != list(found.logs.get(job_id, ())):
            yield job_id, f"its log has other ends of attempts: {found.logs.get(job_id)}"
    for job_id, view in traffic.followed.items():
        if view.status.value != found.rows[job_id].state:
            yield job_id, f"its live events ended with {view.status}"
    yield from _faults_of_results(traffic, found)


def _faults_of_end(job: Planned, row: Row, traffic: Traffic) -> Iterator[str]:
    right = job.may_end_as(traffic.cancelled_as.get(job.id))
    if row.state not in {status.value for status in right}:
        yield f"is {row.state}, but has to be {' or '.join(right)}: {row.error}"
    if job.kind == "invalid" and row.state == JobState.FAILED and (row.error or "").startswith("InternalError"):
        yield f"its input is invalid, but its error is {row.error}"


def _faults_of_results(traffic: Traffic, found: Found) -> Iterator[tuple[str, str]]:
    succeeded = [job for job in traffic.accepted.values() if found.rows[job.id].state == JobStatus.SUCCEEDED.value]

    def read_one(numbered: tuple[int, Planned]) -> tuple[str, str | None]:
        number, job = numbered
        try:
            document = json.loads(traffic.insist(number, lambda api: api.results(job.id)))
            return json.dumps(document["solutions"]), fault_of_result(job, document)
        except Exception as error:  # noqa: BLE001 - whatever it is, the results cannot be had
            return "", f"its results cannot be read: {type(error).__name__}: {error}"

    by_case: dict[str, dict[str, str]] = defaultdict(dict)
    with ThreadPoolExecutor(READERS) as pool:
        for job, (solutions, fault) in zip(succeeded, pool.map(read_one, enumerate(succeeded)), strict=True):
            if fault is not None:
                yield job.id, fault
            else:
                by_case[job.case].setdefault(solutions, job.id)
    for case, different in by_case.items():
        if len(different) > 1:
            yield next(iter(different.values())), f"case {case}: these found different solutions: {different.values()}"


def fault_of_result(job: Planned, document: Mapping[str, Any]) -> str | None:
    """Whether the costs in a results document are those of its configurations."""
    cost_function = registry.read(job.command.input_data or b"")
    for solution in document["solutions"]:
        values = np.array([solution["configuration"][str(id_)] for id_ in cost_function.variables.tolist()])
        if (cost := float(evaluate(cost_function, values))) != solution["cost"]:
            return f"its cost is {solution['cost']}, that of its configuration {cost}"
    return None


def _ends_of(steps: Sequence[Step]) -> list[tuple[int, str]]:
    """The attempts of a job that ended, and the state in which each left it."""
    running = {state.value for state in JobState if state.is_running}
    return [(step.fence, str(step.after)) for step in steps if step.before in running and step.after not in running]


def _logs(connection: sa.Connection) -> Mapping[str, Sequence[tuple[int, str]]]:
    """The attempts that the log of each job says have ended."""
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    wanted = "SELECT job_id, text FROM log_lines WHERE text LIKE 'attempt %%' ORDER BY job_id, position"
    for job_id, text in connection.exec_driver_sql(wanted):
        if (match := _END.match(text)) is not None:
            found[job_id].append((int(match[1]), match[2] or JobState.WAITING.value))
    return found

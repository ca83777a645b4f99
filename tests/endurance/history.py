"""What the database itself saw of every job, and the replay of it.

A trigger in the run's own cluster writes a row for every insertion, removal and change of state or fence of a job, in
the transaction that makes the change. No code of Qiosk takes part in that, so the record also shows what Qiosk would
not log: a claim, an illegal step, a job that changes after its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import sqlalchemy as sa

from qiosk.service.jobs.job import TRANSITIONS, JobEvent, JobState

INSTALL = """
CREATE SCHEMA endurance;
CREATE TABLE endurance.transitions (
    number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    job text NOT NULL, before text, after text, fence integer NOT NULL, worker text);
CREATE FUNCTION endurance.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    job jobs := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    IF TG_OP <> 'UPDATE' OR (NEW.state, NEW.fence) IS DISTINCT FROM (OLD.state, OLD.fence) THEN
        INSERT INTO endurance.transitions (job, before, after, fence, worker) VALUES (
            job.id, CASE TG_OP WHEN 'INSERT' THEN NULL ELSE OLD.state END,
            CASE TG_OP WHEN 'DELETE' THEN NULL ELSE NEW.state END, job.fence,
            coalesce(job.worker, CASE TG_OP WHEN 'UPDATE' THEN OLD.worker END));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION endurance.note();
"""

_NEXT: Mapping[tuple[str, str], JobEvent] = {
    (before.value, after.value): event for (before, event), after in TRANSITIONS.items()
}


@dataclass(frozen=True)
class Step:
    """A change of a job: its state before and after (None: there was no row), its fence after, and the claimant."""

    at: datetime
    job: str
    before: str | None
    after: str | None
    fence: int
    worker: str | None = None

    @property
    def home(self) -> str | None:
        """Id of the home whose supervisor had the claim."""
        return None if self.worker is None else self.worker.partition("/")[0]

    @property
    def is_end(self) -> bool:
        """Whether the job has ended by this."""
        return self.after is not None and JobState(self.after).is_final

    def __str__(self) -> str:
        return (
            f"{self.at:%H:%M:%S.%f} {self.before} -> {self.after}, fence {self.fence}, {self.worker or 'no claimant'}"
        )


def install(connection: sa.Connection) -> None:
    """Begin to record; the table of jobs exists and is empty."""
    connection.exec_driver_sql(INSTALL)


def read(connection: sa.Connection) -> Mapping[str, Sequence[Step]]:
    """The steps of every job, in order."""
    found: dict[str, list[Step]] = defaultdict(list)
    columns = "at, job, before, after, fence, worker"
    for row in connection.exec_driver_sql(f"SELECT {columns} FROM endurance.transitions ORDER BY number"):
        step = Step(*row)
        found[step.job].append(step)
    return found


def ends(connection: sa.Connection, after: datetime) -> Sequence[Step]:
    """Ends of jobs that had a claimant, later than a time, in order."""
    wanted = sa.text(
        "SELECT at, job, before, after, fence, worker FROM endurance.transitions WHERE at > :after"
        " AND after IN ('Succeeded', 'Failed', 'Cancelled') AND before <> 'Waiting' ORDER BY number"
    )
    return [Step(*row) for row in connection.execute(wanted, {"after": after})]


def unfinished(connection: sa.Connection) -> int:
    """How many jobs have not ended."""
    wanted = "SELECT count(*) FROM jobs WHERE state NOT IN ('Succeeded', 'Failed', 'Cancelled')"
    return int(connection.exec_driver_sql(wanted).scalar_one())


def faults_of(steps: Sequence[Step], *, state: str, fence: int) -> Iterator[str]:
    """What is wrong with the steps of a job whose row has this state and fence now."""
    if not steps:
        yield "has no history"
        return
    first, last = steps[0], steps[-1]
    if (first.before, first.after, first.fence) != (None, JobState.WAITING, 0):
        yield f"begins with {first}"
    for before, step in pairwise(steps):
        if step.before != before.after:
            yield f"was {before.after}, then {step.before}"
        yield from _faults_of_step(before, step)
    if (last.after, last.fence) != (state, fence):
        yield f"is {state} with fence {fence}, but its history ends with {last}"
    final = sum(step.is_end for step in steps)
    if final != 1:
        yield f"reached {final} final states"


def _faults_of_step(before: Step, step: Step) -> Iterator[str]:
    event = _NEXT.get((str(step.before), str(step.after)))
    if event is None:
        yield f"no event leads from {step.before} to {step.after}"
    claims = event is JobEvent.CLAIM
    if step.fence != before.fence + claims:
        yield f"its fence went from {before.fence} to {step.fence} by {event or step}"

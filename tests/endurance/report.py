"""What a run has shown, for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from endurance.checks import Found
from endurance.plan import Brought, Plan

SHOWN = 20
"""Jobs whose histories are shown at most."""


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows, the first of them the head, in columns as wide as they need."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def lines_of_faults(brought: Sequence[Brought], began: datetime) -> Iterator[str]:
    """One line for each fault: when it came, how long it lasted, and when jobs were finished again after its end."""
    rows = [("fault", "what", "at [s]", "lasted [s]", "finished meanwhile", "recovery after its end [s]")]
    for seen in brought:
        after = ", ".join(f"{host} {_seconds(passed)}" for host, passed in seen.recovery_s.items())
        lasted = (seen.ended - seen.began).total_seconds()
        at = (seen.began - began).total_seconds()
        rows.append((seen.name, seen.what, f"{at:.0f}", f"{lasted:.1f}", str(seen.finished), after))
    yield from table(rows)


def lines_of_counts(found: Found, plan: Plan, *, took_s: float, refusals: int) -> Iterator[str]:
    """States, attempts and requeues, and what was not brought about."""
    yield f"{len(found.rows)} jobs in {took_s:.0f} s: {_counts(found.states)}"
    yield f"jobs by number of attempts: {_counts(found.attempts)}; waited again: {found.requeues}"
    losses = sum(row.losses for row in found.rows.values())
    deaths = sum(row.supervisor_deaths for row in found.rows.values())
    yield f"attempts that ended with their process: {losses}, with their supervisor or its lease: {deaths}"
    yield f"requests that clients sent again to another server: {refusals}"
    for name, reason in plan.missing.items():
        yield f"not brought about: {name}: {reason}"


def lines_of_wrong(wrong: Sequence[tuple[str, str]], found: Found) -> Iterator[str]:
    """What is wrong with which jobs, and their histories."""
    by_job: dict[str, list[str]] = defaultdict(list)
    for job_id, fault in wrong:
        by_job[job_id].append(fault)
    for job_id, faults in list(by_job.items())[:SHOWN]:
        yield from (f"WRONG: {job_id}: {fault}" for fault in faults)
        yield from (f"    {step}" for step in found.steps.get(job_id, ()))
    if len(by_job) > SHOWN:
        yield f"WRONG: and {len(by_job) - SHOWN} more jobs"


def _seconds(passed: float | None) -> str:
    return "none" if passed is None else f"{passed:.1f}"


def _counts(counts: Mapping[object, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())

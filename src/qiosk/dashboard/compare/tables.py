"""The tables of a comparison: what jobs found, how they were told to search, and what they ran on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qiosk.contract.jobs import JobView
from qiosk.contract.provenance import MachineFacts, Provenance
from qiosk.dashboard.compare.profiles import GAPS, Compared, Profile
from qiosk.dashboard.compare.rows import Gap, Kind, Row, Section, is_same
from qiosk.dashboard.job.shown import STOP_REASONS, as_given, bound_of, submitted_parameters, updates_per_s
from qiosk.dashboard.units import percent
from qiosk.studies.rows import gap_to

Value = Callable[[JobView], Any]


def results(jobs: Sequence[Compared], profiles: Sequence[Profile]) -> list[Section]:
    """What the jobs found, and how long it took; relative to the best of all that solve the same problem."""
    of_best = {job.number: found.best for found in profiles for job in found.jobs}

    def row(label: str, kind: Kind, value: Callable[[Compared], Any], notes: tuple[str, ...] = ()) -> Row:
        found = [(job, value(job)) for job in jobs]
        return Row(label, kind, tuple(_blank(job.view) if each is None else each for job, each in found), notes)

    def above(job: Compared) -> float | None:
        cost = job.view.progress.best_cost
        return None if cost is None or job.number not in of_best else gap_to(cost, of_best[job.number])

    def until(gap: float) -> Row:
        times = {
            job.number: at for found in profiles for job, at in zip(found.jobs, found.goal(gap).times, strict=True)
        }
        near = f"within {percent(gap)} of ".replace(" %", "\N{NO-BREAK SPACE}%") if gap else ""
        label = f"Time to {near}the best of these jobs"
        return row(
            label, Kind.SECONDS, lambda job: at if math.isfinite(at := times.get(job.number, math.inf)) else None
        )

    costs = [
        row("Best cost", Kind.COST, lambda job: job.view.progress.best_cost),
        row("Above the best of these jobs", Kind.SHARE, above),
        row("Lower bound", Kind.COST, lambda job: bound_of(job.view, {})[0]),
        row("Gap to its bound", Kind.SHARE, lambda job: bound_of(job.view, {})[1]),
    ]
    times = [
        row("Time to its best", Kind.SECONDS, lambda job: job.best.seconds if job.best else None),
        *(until(gap) for gap in GAPS if profiles),
        row("Search time", Kind.SECONDS, lambda job: job.view.progress.seconds if job.has_begun else None),
    ]
    work = [
        row("Sweeps to its best", Kind.COUNT, lambda job: job.best.sweep if job.best else None),
        row("Sweeps", Kind.COUNT, lambda job: job.view.progress.sweeps if job.has_begun else None),
        row("Updates per second", Kind.AMOUNT, lambda job: updates_per_s(job.view)),
    ]
    reasons = tuple(_meaning(job.view) for job in jobs)
    ends = [
        row("Stop reason", Kind.VALUE, lambda job: job.view.provenance and job.view.provenance.stop_reason, reasons),
        row("Error", Kind.VALUE, lambda job: job.view.error_data and job.view.error_data.code),
    ]
    return [Section("Cost", costs), Section("Time", times), Section("Work", work), Section("End", ends)]


def _meaning(view: JobView) -> str:
    reason = None if view.provenance is None else view.provenance.stop_reason
    return STOP_REASONS.get(reason or "", "")


def settings(jobs: Sequence[Compared]) -> list[Section]:
    """How the jobs were told to search, and what they ran on."""
    views = [job.view for job in jobs]

    def row(label: str, value: Value, kind: Kind = Kind.VALUE) -> Row:
        return Row(label, kind, tuple(map(value, views)))

    what = [
        row("Target", lambda view: view.target, Kind.TARGET),
        row("Problem", _run(lambda run: run.problem), Kind.DIGEST),
        row("Seed", _run(lambda run: run.seed)),
    ]
    names = dict.fromkeys(name for view in views for name in _parameters(view) if name != "seed")
    where = [
        *(row(label, _run(_version(name))) for label, name in _VERSIONS.items()),
        *(row(label, _run(_machine(name))) for label, name in _MACHINE.items()),
    ]
    return [
        Section("Job", what),
        Section("Parameters", [_parameter(name, views) for name in names]),
        Section("Versions and machine", where),
    ]


_VERSIONS = {"Qiosk": "qiosk", "Python": "python", "NumPy": "numpy", "Numba": "numba"}
_MACHINE = {"Processor": "processor", "System": "system", "CPUs": "cpus", "Threads": "threads"}


def _version(name: str) -> Callable[[Provenance], Any]:
    return lambda run: getattr(run.versions, name)


def _machine(name: str) -> Callable[[Provenance], Any]:
    return lambda run: getattr(run.machine, name)


def _run(value: Callable[[Provenance], Any]) -> Value:
    """A value that a run has reported."""

    def of_view(view: JobView) -> Any:
        found = None if view.provenance is None else value(view.provenance)
        return _blank(view) if found is None else found

    return of_view


def _blank(view: JobView) -> Gap:
    return Gap.ABSENT if view.status.is_final else Gap.UNKNOWN


def _parameter(name: str, views: Sequence[JobView]) -> Row:
    """A parameter as it came into effect, else as it was given; if both are known and differ, the note has the given
    value."""
    values: list[Any] = []
    notes: list[str] = []
    for view in views:
        given, used = _given(view), _used(view)
        found = _parameters(view).get(name)  # None as well if the solver had to choose, and did not tell
        values.append(found if found is not None else _blank(view) if _has_reported(view) else Gap.UNKNOWN)
        is_changed = given.get(name) is not None and name in used and not is_same(given[name], used[name])
        notes.append(f"given {as_given(given[name])}" if is_changed else "")
    return Row(name, Kind.VALUE, tuple(values), tuple(notes))


def _parameters(view: JobView) -> Mapping[str, Any]:
    return {**_given(view), **_used(view)}


def _has_reported(view: JobView) -> bool:
    return view.provenance is not None and bool(view.provenance.given or view.provenance.parameters)


def _given(view: JobView) -> Mapping[str, Any]:
    """The parameters with their defaults; before the run has reported, those that were submitted."""
    if view.provenance is not None and _has_reported(view):
        return view.provenance.given
    return {str(name): value for name, value in submitted_parameters(view).items()}


def _used(view: JobView) -> Mapping[str, Any]:
    return {} if view.provenance is None else view.provenance.parameters


def machines(jobs: Sequence[Compared]) -> set[MachineFacts]:
    """The machines on which the jobs ran."""
    return {job.view.provenance.machine for job in jobs if job.view.provenance is not None}

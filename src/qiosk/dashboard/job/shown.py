"""Parameters and statistics of a run, put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from qiosk.contract.jobs import JobView
from qiosk.dashboard.new_job.parameters import entries_found_by
from qiosk.dashboard.units import amount, number, percent, seconds
from qiosk.errors import InvalidInput, InvalidTarget, NotFound
from qiosk.solvers.targets.catalogue import target
from qiosk.solvers.targets.target import Target

MAX_TEXT: Final = 600
"""Most characters of a value; of a longer one the beginning is shown."""
STOP_REASONS: Final = {
    "finished": "the planned work is done",
    "converged": "more work kept finding the same best",
    "target": "the target cost was reached",
    "optimal": "the best costs as much as a proven bound",
    "gap": "the best is as close to a bound as was asked for",
    "violated": "more work kept finding the same best, which violates a constraint",
    "timeout": "its time limit",
    "run_limit": "no job of the workspace may run longer",
    "cancelled": "it was cancelled",
}
_TIMES: Final = {
    "seconds": "Search time",
    "compile_seconds": "Compiling kernels",
    "prepare_seconds": "Preparing the problem",
}
_COUNTS: Final = {"sweeps": "Sweeps", "spin_updates": "Updates", "threads": "Threads"}
_TEXTS: Final = {"kernel": "Kernel", "status": "Status"}
_NAMED: Final = {"is_paced": "Rounds paced by the time limit", "rounds": "Rounds ended by"}


class Parameter(NamedTuple):
    """A parameter by its name: as it was given or by default, and as it came into effect."""

    name: str
    given: str
    used: str
    is_found: bool


class Fact(NamedTuple):
    """A label, and what is known."""

    label: str
    text: str


def text_of(value: Any) -> str:
    """A JSON value as text of a bounded length.

    >>> text_of(None), text_of(True), text_of(-2.0), text_of([1, 2]), text_of("a text")
    ('–', 'yes', '−2', '[1,2]', 'a text')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value) if abs(value) < 1e15 else str(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def as_given(value: Any) -> str:
    """A parameter's value as programs write it, so that it can be copied."""
    if value is None or isinstance(value, bool):
        return text_of(value)
    return text_of(str(value) if isinstance(value, (int, float)) else value)


def submitted_parameters(view: JobView) -> Mapping[str, Any]:
    """The parameters of a job as they were submitted."""
    submitted = view.input_params if isinstance(view.input_params, Mapping) else {}
    inner = submitted.get("params")
    return inner if isinstance(inner, Mapping) else submitted


def parameters(view: JobView) -> list[Parameter]:
    """The parameters of a job: before its run has reported, only those that were submitted."""
    if view.provenance is None:
        found = submitted_parameters(view)
        return [Parameter(str(name), as_given(value), "", is_found=False) for name, value in found.items()]
    given, used = view.provenance.given, view.provenance.parameters
    return [
        Parameter(name, as_given(given.get(name)), as_given(used.get(name)), name in used and name not in given)
        for name in dict.fromkeys((*given, *used))
    ]


def has_found_parameters(view: JobView) -> bool:
    """Whether a parameter-free run found parameters that another job can use."""
    known = _target(view)
    if known is None or not known.is_parameter_free:
        return False
    try:
        return bool(entries_found_by(view))
    except (NotFound, InvalidTarget, InvalidInput):
        return False


def takes_seed(view: JobView) -> bool:
    """Whether the job's target has a seed."""
    known = _target(view)
    return known is not None and any(parameter.name == "seed" for parameter in known.parameters)


def with_seed(input_params: Any, seed: int) -> dict[str, Any]:
    """A job's input parameters with another seed."""
    members = dict(input_params) if isinstance(input_params, Mapping) else {}
    if isinstance(members.get("params"), Mapping):
        return {**members, "params": {**members["params"], "seed": seed}}
    return {**members, "seed": seed}


def _target(view: JobView) -> Target | None:
    try:
        return target(view.target)
    except InvalidTarget:
        return None


def updates_per_s(view: JobView) -> float | None:
    """Updates of variables in a second of the search; None if that is not known."""
    found = {} if view.provenance is None else view.provenance.statistics
    updates, spent = found.get("spin_updates"), found.get("seconds")
    if not isinstance(updates, int) or not isinstance(spent, (int, float)) or spent <= 0:
        return None
    return updates / spent


def bound_of(view: JobView, extra: Mapping[str, Any]) -> tuple[float | None, float | None, str]:
    """The best bound that is known, the relative gap to it, and what proves it."""
    stored = extra.get("bound")
    if isinstance(stored, Mapping):
        value, gap = stored.get("value"), stored.get("gap")
        is_number = isinstance(value, (int, float))
        return (
            float(value) if is_number and value is not None else None,
            float(gap) if isinstance(gap, (int, float)) else None,
            text_of(stored.get("method", "")),
        )
    return view.progress.bound, view.progress.gap, ""


def statistics(view: JobView, extra: Mapping[str, Any]) -> list[Fact]:
    """What a run did, and how its result is to be judged."""
    if view.provenance is None:
        return []
    found = dict(view.provenance.statistics)
    facts = []
    if (reason := view.provenance.stop_reason) is not None:
        meaning = STOP_REASONS.get(reason)
        facts.append(Fact("Stop reason", f"{text_of(reason)}: {meaning}" if meaning else text_of(reason)))
    facts += [Fact(label, text_of(found.pop(name))) for name, label in _TEXTS.items() if name in found]
    if (speed := updates_per_s(view)) is not None:
        facts.append(Fact("Updates per second", amount(speed)))
    facts += [Fact(label, text_of(found.pop(name))) for name, label in _COUNTS.items() if name in found]
    facts += [Fact(label, _time(found.pop(name))) for name, label in _TIMES.items() if name in found]
    value, gap, method = bound_of(view, extra)
    if value is not None:
        facts.append(Fact("Bound", f"{number(value)} ({method})" if method else number(value)))
        facts.append(Fact("Gap", "0: the best is optimal" if gap == 0 else percent(gap)))
    if view.provenance.seed is not None:
        facts.append(Fact("Seed", str(view.provenance.seed)))
    rest = {name: value for name, value in found.items() if name != "portfolio" and value not in (None, [], {})}
    facts += [Fact(_NAMED.get(name, name), _listed(value)) for name, value in rest.items()]
    return facts


def _listed(value: Any) -> str:
    is_list = isinstance(value, list) and not any(isinstance(member, (list, dict)) for member in value)
    return text_of(", ".join(map(text_of, value)) if is_list else value)


def portfolio(view: JobView) -> Sequence[Sequence[str]]:
    """Rows about the searches of a portfolio: name, kernel, share of the work, best cost, time, fate, parameters."""
    found = [] if view.provenance is None else view.provenance.statistics.get("portfolio")
    rows = []
    for member in found if isinstance(found, list) else []:
        if not isinstance(member, Mapping):
            continue
        share, at = member.get("share"), member.get("found_at")
        rows.append(
            (
                text_of(member.get("member")),
                text_of(member.get("kernel")),
                percent(share) if isinstance(share, (int, float)) else "–",
                text_of(member.get("best")),
                _time(at),
                text_of(member.get("fate")),
                text_of(member.get("parameters")),
            )
        )
    return rows


def _time(value: Any) -> str:
    return seconds(float(value)) if isinstance(value, (int, float)) else text_of(value)

"""The properties of jobs and sessions, as programs read and print them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from qiosk.contract.jobs import QIO_OUTPUT_FORMAT, ErrorData, JobProgress, JobStatus, JobView
from qiosk.contract.sessions import JobFailurePolicy, SessionStatus, SessionView

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_SIGNATURE = re.compile(r"(?<=[?&]sig=)[^&\s]+")


@dataclass(kw_only=True, repr=False)
class _Details:
    """Properties that print as one line each."""

    def as_dict(self) -> dict[str, Any]:
        """The properties under their wire names (``containerUri``), as JSON values; times end in ``Z``."""
        return wire_members(self)

    def __str__(self) -> str:
        width = max(len(f.name) for f in fields(self))
        return "\n".join(f"{name:<{width}}  {text}" for name, text in self._rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        return [(f.name, _readable(getattr(self, f.name))) for f in fields(self)]


@dataclass(kw_only=True, repr=False)
class JobDetails(_Details):
    """Every property of the job table, under the names of the old SDK.

    Properties that only the service sets (``status``, the times, ``cost_estimate``, ``error_data`` …) are
    None on details that were made by hand and not submitted yet. Times are aware UTC. ``str()`` gives one
    line per property.
    """

    id: str | None = None
    name: str | None = None
    container_uri: str | None
    input_data_uri: str | None = None
    input_data_format: str
    input_params: Any = None
    provider_id: str
    target: str
    metadata: Mapping[str, str] | None = None
    output_data_uri: str | None = None
    output_data_format: str | None = QIO_OUTPUT_FORMAT
    status: JobStatus | None = None
    creation_time: datetime | None = None
    begin_execution_time: datetime | None = None
    end_execution_time: datetime | None = None
    cancellation_time: datetime | None = None
    error_data: ErrorData | None = None
    cost_estimate: Mapping[str, Any] | None = None
    is_cancelling: bool = False
    item_type: str = "Job"
    job_type: str = "Optimization"
    tags: Sequence[str] = ()
    priority: str | None = None
    session_id: str | None = None
    attempts: int = 0
    has_results: bool = False
    progress: JobProgress = field(default_factory=JobProgress)

    @classmethod
    def from_view(cls, view: JobView) -> JobDetails:
        """The details of a job as the service shows it."""
        return cls(**{f.name: getattr(view, f.name) for f in fields(cls)})

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, so that nothing here changes any more."""
        return self.status is not None and JobStatus(self.status).is_final


@dataclass(kw_only=True, repr=False)
class SessionDetails(_Details):
    """Every property of a session.

    Properties that only the service sets (``status``, the times, ``error_data`` …) are None on details that were made
    by hand and not opened yet. Times are aware UTC. ``str()`` gives one line per property.
    """

    id: str
    name: str
    provider_id: str
    target: str
    job_failure_policy: JobFailurePolicy = JobFailurePolicy.ABORT
    status: SessionStatus | None = None
    creation_time: datetime | None = None
    begin_execution_time: datetime | None = None
    end_execution_time: datetime | None = None
    error_data: ErrorData | None = None
    cost_estimate: Mapping[str, Any] | None = None
    item_type: str = "Session"
    tags: Sequence[str] = ()
    priority: str | None = None

    @classmethod
    def from_view(cls, view: SessionView) -> SessionDetails:
        """The details of a session as the service shows it."""
        return cls(**{f.name: getattr(view, f.name) for f in fields(cls)})

    @property
    def is_final(self) -> bool:
        """Whether the session has ended, so that it takes no more jobs and nothing here changes any more."""
        return self.status is not None and self.status.is_final


def wire_members(value: DataclassInstance) -> dict[str, Any]:
    """The members of a dataclass under their wire names, as JSON values."""
    return {_wire_name(f.name): _json_value(getattr(value, f.name)) for f in fields(value)}


def html_table(rows: Sequence[tuple[str, str]]) -> str:
    """A two-column table for notebooks; every text is escaped."""
    body = "".join(
        f"<tr style='text-align:left'><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows
    )
    return f"<table>{body}</table>"


def wire_time(moment: datetime) -> str:
    """ISO 8601 in UTC, ending in ``Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return wire_time(value)
    if isinstance(value, ErrorData):
        return {"code": value.code, "message": value.message}
    if isinstance(value, JobProgress):
        return wire_members(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _json_value(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(member) for member in value]
    return value


def _readable(value: Any) -> str:
    if isinstance(value, JobProgress):
        best = "" if value.best_cost is None else f", best cost {value.best_cost:.10g}"
        return f"{value.fraction:.0%} after {value.seconds:.1f} s, {value.sweeps} sweeps{best}"
    if isinstance(value, str):
        value = _SIGNATURE.sub("…", value)  # what is printed may be shown to others
    plain = f"{value.code}: {value.message}" if isinstance(value, ErrorData) else _json_value(value)
    # a line break inside a value would break "one line per property"
    return "-" if plain is None or plain in ([], ()) else " ".join(str(plain).splitlines())

"""The properties of jobs and sessions, as programs read and print them.

Details are views whose members can be changed. Those that only the service sets are None on details made by hand.
"""

# mypy: disable-error-code="assignment,misc"
# Details widen some members of views to None, and can be changed, which types of subclasses are not meant to do.

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from msgspec import Struct, structs, to_builtins

from qiosk.contract.jobs import INPUT_BLOB, QIO_OUTPUT_FORMAT, ErrorData, JobProgress, JobStatus, JobView, SubmitJob
from qiosk.contract.provenance import Provenance
from qiosk.contract.sessions import JobFailurePolicy, OpenSession, SessionStatus, SessionView
from qiosk.errors import InvalidJobDefinition

_SIGNATURE = re.compile(r"(?<=[?&]sig=)[^&\s]+")


class _Printed(Struct):
    """Properties that print as one line each."""

    def as_dict(self) -> dict[str, Any]:
        """The properties under their wire names (``containerUri``), as JSON values; times end in ``Z``."""
        members: dict[str, Any] = to_builtins(self, str_keys=True)
        return members

    def __str__(self) -> str:
        width = max(map(len, self.__struct_fields__))
        return "\n".join(f"{name:<{width}}  {text}" for name, text in self._rows())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        return [(name, _readable(getattr(self, name))) for name in self.__struct_fields__]


class JobDetails(_Printed, JobView, rename="camel", frozen=False, kw_only=True):
    """Every property of the job table, under the names of the old SDK.

    Properties that only the service sets (``status``, the times, ``cost_estimate``, ``error_data`` …) are
    None on details that were made by hand and not submitted yet. Times are in UTC. ``str()`` gives one line
    per property.
    """

    id: str | None = None
    name: str | None = None
    container_uri: str | None
    input_data_uri: str | None = None
    input_params: Any = None
    metadata: Mapping[str, str] | None = None
    output_data_uri: str | None = None
    output_data_format: str | None = QIO_OUTPUT_FORMAT
    status: JobStatus | None = None
    creation_time: datetime | None = None

    @classmethod
    def from_view(cls, view: JobView) -> JobDetails:
        """The details of a job as the service shows it."""
        return cls(**structs.asdict(view))

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, so that its details no longer change."""
        return self.status is not None and JobStatus(self.status).is_final

    def command(self) -> SubmitJob:
        """The command that submits the job. Raises InvalidJobDefinition if no member locates its input."""
        uri = self.input_data_uri
        if uri is None:
            if self.container_uri is None:
                raise InvalidJobDefinition(f"job {self.id}: input_data_uri and container_uri are both missing")
            base, mark, query = self.container_uri.partition("?")
            uri = f"{base.rstrip('/')}/{INPUT_BLOB}{mark}{query}"
        output_format = self.output_data_format or QIO_OUTPUT_FORMAT
        members = {"name": self.name or "", "input_data_uri": uri, "output_data_format": output_format}
        return SubmitJob(**{**_members(self, SubmitJob), **members})


class SessionDetails(_Printed, SessionView, rename="camel", frozen=False, kw_only=True):
    """Every property of a session.

    Properties that only the service sets (``status``, the times, ``error_data`` …) are None on details that were made
    by hand and not opened yet. Times are in UTC. ``str()`` gives one line per property.
    """

    job_failure_policy: JobFailurePolicy = JobFailurePolicy.ABORT
    status: SessionStatus | None = None
    creation_time: datetime | None = None

    @classmethod
    def from_view(cls, view: SessionView) -> SessionDetails:
        """The details of a session as the service shows it."""
        return cls(**structs.asdict(view))

    @property
    def is_final(self) -> bool:
        """Whether the session has ended, so that it accepts no more jobs and its details no longer change."""
        return self.status is not None and self.status.is_final

    def command(self) -> OpenSession:
        """The command that opens the session."""
        return OpenSession(**_members(self, OpenSession))


def _members(details: Struct, command: type[Struct]) -> dict[str, Any]:
    """The members of details that a command has, too."""
    common = [name for name in command.__struct_fields__ if name in details.__struct_fields__]
    members = {name: getattr(details, name) for name in common}
    return {**members, "tags": tuple(members["tags"] or ())}


def html_table(rows: Sequence[tuple[str, str]]) -> str:
    """A two-column table for notebooks; every text is escaped."""
    body = "".join(
        f"<tr style='text-align:left'><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows
    )
    return f"<table>{body}</table>"


def _origin(found: Provenance) -> str:
    """The most important facts of a provenance; ``as_dict`` has all of them."""
    versions, machine = found.versions, found.machine
    facts = {
        "status": found.statistics.get("status"),
        "stop reason": found.stop_reason,
        "seed": found.seed,
        "problem": found.problem,
        "kernel": found.statistics.get("kernel"),
        "threads": machine.threads,
        "processor": machine.processor,
        "versions": ", ".join(f"{name} {text}" for name, text in structs.asdict(versions).items() if text is not None),
    }
    return "; ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)


def _readable(value: Any) -> str:
    if isinstance(value, JobProgress):
        best = "" if value.best_cost is None else f", best cost {value.best_cost:.10g}"
        best += "" if value.bound is None else f", at least {value.bound:.10g}"
        activity = "" if value.activity is None else f", {value.activity}"
        return f"{value.fraction:.0%} after {value.seconds:.1f} s, {value.sweeps} sweeps{best}{activity}"
    if isinstance(value, Provenance):
        return _origin(value)
    if isinstance(value, str):
        value = _SIGNATURE.sub("…", value)  # what is printed may be shown to others
    plain = f"{value.code}: {value.message}" if isinstance(value, ErrorData) else to_builtins(value, str_keys=True)
    # a line break inside a value would break "one line per property"
    return "-" if plain is None or plain in ([], ()) else " ".join(str(plain).splitlines())

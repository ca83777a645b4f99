"""A session of a workspace: jobs that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from qiosk.client.details import SessionDetails, html_table
from qiosk.contract.sessions import JobFailurePolicy, OpenSession, SessionStatus
from qiosk.errors import InvalidJobDefinition

if TYPE_CHECKING:
    from qiosk.client.job import Job
    from qiosk.client.solvers import Solver
    from qiosk.client.workspace import Workspace


class Session:
    """A session, as it was when its details were last read; ``solver.open_session()`` makes and opens one.

    One made by hand exists nowhere until :meth:`open`. A context manager: the session is closed when the block ends.

    Args:
        workspace: where it is opened.
        details: everything about it, instead of what follows.
        target: the target, or the solver, that it is opened for. Its jobs may go to others, too.
        provider_id: who offers the target; what its name begins with unless given.
        id: a new one unless given.
        name: ``session-ID`` unless given; not unique.
        job_failure_policy: ``Abort`` ends the session with the first job that fails, ``Continue`` goes on.
        priority, tags: kept with the session.

    Raises ValueError without a target, or with both details and members; InvalidJobDefinition for another policy.
    """

    def __init__(
        self,
        workspace: Workspace,
        details: SessionDetails | None = None,
        target: Solver | str | None = None,
        provider_id: str | None = None,
        id: str | None = None,
        name: str | None = None,
        job_failure_policy: JobFailurePolicy | str | None = None,
        priority: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> None:
        members = (provider_id, id, name, job_failure_policy, priority, tags)
        if details is not None and any(member is not None for member in members):
            raise ValueError("session: give details, or the members one by one, not both")
        self.workspace = workspace
        self.target = None if isinstance(target, str) else target
        if details is None:
            if target is None:
                raise ValueError("session: target is missing")
            session_id = id or str(uuid4())
            target_name = target if isinstance(target, str) else target.name
            details = SessionDetails(
                id=session_id,
                name=f"session-{session_id}" if name is None else name,
                provider_id=provider_id or _provider(target),
                target=target_name,
                job_failure_policy=_policy(job_failure_policy),
                priority=priority,
                tags=tuple(tags or ()),
            )
        self.details = details

    @property
    def id(self) -> str:
        """The session's id."""
        return self.details.id

    @property
    def name(self) -> str:
        """The session's name."""
        return self.details.name

    @property
    def status(self) -> SessionStatus | None:
        """State of the session when its details were last read; None before it was opened."""
        return self.details.status

    def open(self) -> Session:
        """Open the session; the same definition again gives the same session.

        Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget); SessionAlreadyExists if the id is another's.
        """
        return self.workspace.open_session(self)

    def close(self) -> Session:
        """End the session: it takes no more jobs, those it has run on. One that has ended is left alone.

        Raises SessionNotFound.
        """
        return self.workspace.close_session(self)

    def refresh(self) -> Session:
        """Read the details again. Raises SessionNotFound."""
        return self.workspace.refresh_session(self)

    def list_jobs(self, **conditions: Any) -> list[Job]:
        """The session's jobs that meet the conditions of :meth:`Workspace.list_jobs`, newest first.

        Raises SessionNotFound, InvalidFilter.
        """
        return self.workspace.list_session_jobs(self.id, **conditions)

    def is_in_terminal_state(self) -> bool:
        """Whether the session had succeeded, failed or timed out."""
        return self.details.is_final

    def command(self) -> OpenSession:
        """What is asked of a workspace to open it."""
        details = self.details
        return OpenSession(
            id=details.id,
            name=details.name,
            provider_id=details.provider_id,
            target=details.target,
            job_failure_policy=details.job_failure_policy,
            tags=tuple(details.tags),
            priority=details.priority,
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Session id={self.id!r} name={self.name!r} status={str(self.status)!r}>"

    def _repr_html_(self) -> str:
        rows = [
            ("session", self.id),
            ("name", self.name),
            ("target", self.details.target),
            ("status", str(self.status)),
        ]
        if self.details.error_data is not None:
            rows.append(("error", f"{self.details.error_data.code}: {self.details.error_data.message}"))
        return html_table(rows)


def _provider(target: Solver | str) -> str:
    return target.partition(".")[0] if isinstance(target, str) else target.provider_id


def _policy(policy: JobFailurePolicy | str | None) -> JobFailurePolicy:
    try:
        return JobFailurePolicy.ABORT if policy is None else JobFailurePolicy(policy)
    except ValueError:
        allowed = ", ".join(JobFailurePolicy)
        raise InvalidJobDefinition(f"job_failure_policy: must be one of {allowed}, found {policy!r}") from None

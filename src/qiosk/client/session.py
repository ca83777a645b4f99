"""A session of a workspace, which groups jobs."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload
from uuid import uuid4

from qiosk.client.details import SessionDetails, html_table
from qiosk.contract.sessions import JobFailurePolicy, SessionStatus
from qiosk.errors import InvalidJobDefinition

if TYPE_CHECKING:
    import pandas

    from qiosk.client.job import Job
    from qiosk.client.solvers.base import Solver
    from qiosk.client.workspace import Workspace


class Session:
    """A session, as it was when its details were last read; ``solver.open_session()`` makes and opens one.

    A session made by hand does not exist in the workspace until :meth:`open`. A context manager: the session is closed
    when the block ends.

    >>> from qiosk import Problem, Workspace
    >>> from qiosk.optimization import Tabu, Term
    >>> problem = Problem("pair", terms=[Term(c=1.0, indices=[0, 1])])
    >>> with Workspace() as workspace:
    ...     solver = Tabu(workspace, sweeps=10, seed=1)
    ...     with solver.open_session(name="pairs") as session:
    ...         costs = [solver.submit(problem).get_results().cost for _ in range(2)]
    ...     print(costs, len(session.list_jobs()))
    [-1.0, -1.0] 2

    Args:
        workspace: workspace that it is opened in.
        details: all properties, instead of the arguments below.
        target: the target, or the solver, that it is opened for. Its jobs may have other targets, too.
        provider_id: provider of the target; by default the one that the target's name begins with.
        id: id; by default a new one.
        name: name, not unique; by default ``session-ID``.
        job_failure_policy: ``Abort`` ends the session when a job fails, ``Continue`` does not.
        priority, tags: stored with the session.

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
        """Open the session. Opening it twice has no further effect.

        Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget); SessionAlreadyExists if another one has the id.
        """
        return self.workspace.open_session(self)

    def close(self) -> Session:
        """End the session: it accepts no more jobs, and its jobs continue to run. One that has ended does not change.

        Raises SessionNotFound.
        """
        return self.workspace.close_session(self)

    def refresh(self) -> Session:
        """Read the details again. Raises SessionNotFound."""
        return self.workspace.refresh_session(self)

    @overload
    def list_jobs(self, *, as_frame: Literal[False] = False, **conditions: Any) -> list[Job]: ...

    @overload
    def list_jobs(self, *, as_frame: Literal[True], **conditions: Any) -> pandas.DataFrame: ...

    def list_jobs(self, *, as_frame: bool = False, **conditions: Any) -> list[Job] | pandas.DataFrame:
        """The session's jobs that meet the conditions of :meth:`Workspace.list_jobs`, newest first; a frame as there.

        Raises SessionNotFound, InvalidFilter; MissingExtra for a frame without pandas.
        """
        if as_frame:
            return self.workspace.list_session_jobs(self.id, as_frame=True, **conditions)
        return self.workspace.list_session_jobs(self.id, **conditions)

    def is_in_terminal_state(self) -> bool:
        """Whether the session had succeeded, failed or timed out."""
        return self.details.is_final

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

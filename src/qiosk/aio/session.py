"""A session for asyncio programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from qiosk.aio.threads import in_thread
from qiosk.client.details import SessionDetails
from qiosk.client.session import Session as SyncSession
from qiosk.contract.sessions import SessionStatus

if TYPE_CHECKING:
    import pandas

    from qiosk.aio.job import Job
    from qiosk.aio.workspace import Workspace


class Session:
    """An asyncio wrapper of :class:`qiosk.client.session.Session`; its methods are coroutines.

    ``sync`` is that session. An asynchronous context manager: the session is closed when the block ends.
    """

    def __init__(self, workspace: Workspace, session: SyncSession) -> None:
        self.workspace = workspace
        self.sync = session

    @property
    def details(self) -> SessionDetails:
        """All properties of the session, as they were when it was last read."""
        return self.sync.details

    @property
    def id(self) -> str:
        """The session's id."""
        return self.sync.id

    @property
    def name(self) -> str:
        """The session's name."""
        return self.sync.name

    @property
    def status(self) -> SessionStatus | None:
        """State of the session when its details were last read."""
        return self.sync.status

    def is_in_terminal_state(self) -> bool:
        """Whether the session had succeeded, failed or timed out."""
        return self.sync.is_in_terminal_state()

    async def open(self) -> Session:
        """See :meth:`qiosk.client.session.Session.open`."""
        await in_thread(self.sync.open)
        return self

    async def close(self) -> Session:
        """See :meth:`qiosk.client.session.Session.close`."""
        await in_thread(self.sync.close)
        return self

    async def refresh(self) -> Session:
        """See :meth:`qiosk.client.session.Session.refresh`."""
        await in_thread(self.sync.refresh)
        return self

    @overload
    async def list_jobs(self, *, as_frame: Literal[False] = False, **conditions: Any) -> list[Job]: ...

    @overload
    async def list_jobs(self, *, as_frame: Literal[True], **conditions: Any) -> pandas.DataFrame: ...

    async def list_jobs(self, *, as_frame: bool = False, **conditions: Any) -> list[Job] | pandas.DataFrame:
        """See :meth:`qiosk.client.session.Session.list_jobs`."""
        if as_frame:
            return await self.workspace.list_session_jobs(self.id, as_frame=True, **conditions)
        return await self.workspace.list_session_jobs(self.id, **conditions)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self.sync)

"""Problems for asyncio programs: uploads and downloads are coroutines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from qiosk.aio.threads import in_thread
from qiosk.client.streaming import OnlineProblem as SyncOnlineProblem
from qiosk.client.streaming import StreamingProblem as SyncStreamingProblem
from qiosk.client.workspace import Workspace as SyncWorkspace
from qiosk.problem import Problem as SyncProblem
from qiosk.problem import Term
from qiosk.problem.term import Number


class HasSync(Protocol):
    """The part of an asyncio workspace that uploads need."""

    sync: SyncWorkspace


class Problem(SyncProblem):
    """As :class:`qiosk.optimization.Problem`; ``upload`` and ``download`` are coroutines."""

    async def upload(  # type: ignore[override]
        self,
        workspace: HasSync,
        container_name: str = "qio-problems",
        blob_name: str = "inputData",
        container_uri: str | None = None,
    ) -> str:
        """See :meth:`qiosk.optimization.Problem.upload`."""
        return await in_thread(super().upload, workspace.sync, container_name, blob_name, container_uri)

    async def download(self, workspace: HasSync) -> SyncProblem:  # type: ignore[override]
        """See :meth:`qiosk.optimization.Problem.download`."""
        return await in_thread(super().download, workspace.sync)


class StreamingProblem:
    """An asyncio wrapper of :class:`qiosk.optimization.StreamingProblem`; its methods are coroutines."""

    def __init__(self, workspace: HasSync, *args: Any, **kwargs: Any) -> None:
        self.workspace = workspace
        self.sync = SyncStreamingProblem(workspace.sync, *args, **kwargs)

    @classmethod
    async def create(
        cls,
        workspace: HasSync,
        name: str = "Optimization Problem",
        terms: Iterable[Term] | None = None,
        **kwargs: Any,
    ) -> StreamingProblem:
        """Make a problem whose first terms are ``terms``."""
        problem = cls(workspace, name, **kwargs)
        if terms is not None:
            await problem.add_terms(list(terms))
        return problem

    def __getattr__(self, name: str) -> Any:
        if name in ("sync", "workspace"):
            raise AttributeError(name)
        return getattr(self.sync, name)

    async def add_term(self, c: Number, indices: list[int]) -> None:
        """See :meth:`qiosk.optimization.StreamingProblem.add_term`."""
        await in_thread(self.sync.add_term, c, indices)

    async def add_terms(self, *args: Any, **arrays: Any) -> None:
        """See :meth:`qiosk.optimization.StreamingProblem.add_terms`."""
        await in_thread(self.sync.add_terms, *args, **arrays)

    async def upload(self, workspace: HasSync | None = None) -> str:
        """See :meth:`qiosk.optimization.StreamingProblem.upload`."""
        return await in_thread(self.sync.upload)

    async def download(self) -> SyncProblem:
        """See :meth:`qiosk.optimization.StreamingProblem.download`."""
        return await in_thread(self.sync.download)


class OnlineProblem(SyncOnlineProblem):
    """As :class:`qiosk.optimization.OnlineProblem`; ``download`` is a coroutine."""

    async def download(self, workspace: HasSync) -> SyncProblem:  # type: ignore[override]
        """See :meth:`qiosk.optimization.OnlineProblem.download`."""
        return await in_thread(super().download, workspace.sync)

"""Problems, for programs that use asyncio: what goes over the wire is a coroutine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from qiosk.aio.threads import in_thread
from qiosk.client.streaming import OnlineProblem as SyncOnlineProblem
from qiosk.client.streaming import StreamingProblem as SyncStreamingProblem
from qiosk.problem import Problem as SyncProblem
from qiosk.problem import Term
from qiosk.problem.term import Number

if TYPE_CHECKING:
    from qiosk.aio.workspace import Workspace


class Problem(SyncProblem):
    """As :class:`qiosk.optimization.Problem`; ``upload`` and ``download`` are coroutines."""

    async def upload(  # type: ignore[override]
        self,
        workspace: Workspace,
        container_name: str = "qio-problems",
        blob_name: str = "inputData",
        container_uri: str | None = None,
    ) -> str:
        """See :meth:`qiosk.optimization.Problem.upload`."""
        return await in_thread(super().upload, workspace.sync, container_name, blob_name, container_uri)

    async def download(self, workspace: Workspace) -> SyncProblem:  # type: ignore[override]
        """See :meth:`qiosk.optimization.Problem.download`."""
        return await in_thread(super().download, workspace.sync)


class StreamingProblem:
    """As :class:`qiosk.optimization.StreamingProblem`: its attributes, and its methods as coroutines."""

    def __init__(self, workspace: Workspace, *args: Any, **kwargs: Any) -> None:
        self.workspace = workspace
        self.sync = SyncStreamingProblem(workspace.sync, *args, **kwargs)

    @classmethod
    async def create(
        cls,
        workspace: Workspace,
        name: str = "Optimization Problem",
        terms: Iterable[Term] | None = None,
        **kwargs: Any,
    ) -> StreamingProblem:
        """A problem that begins with ``terms``."""
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

    async def upload(self, workspace: Workspace | None = None) -> str:
        """See :meth:`qiosk.optimization.StreamingProblem.upload`."""
        return await in_thread(self.sync.upload)

    async def download(self) -> SyncProblem:
        """See :meth:`qiosk.optimization.StreamingProblem.download`."""
        return await in_thread(self.sync.download)


class OnlineProblem(SyncOnlineProblem):
    """As :class:`qiosk.optimization.OnlineProblem`; ``download`` is a coroutine."""

    async def download(self, workspace: Workspace) -> SyncProblem:  # type: ignore[override]
        """See :meth:`qiosk.optimization.OnlineProblem.download`."""
        return await in_thread(super().download, workspace.sync)

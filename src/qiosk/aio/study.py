"""A study for asyncio programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from qiosk.aio.threads import in_thread
from qiosk.aio.workspace import Workspace
from qiosk.studies.rows import Row
from qiosk.studies.study import Study as SyncStudy

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from qiosk.problem import Problem


class Study:
    """An asyncio wrapper of :class:`qiosk.Study`, with the same arguments; its methods are coroutines.

    ``sync`` is that study.

    >>> import asyncio
    >>> import qiosk
    >>> from qiosk import aio
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> async def main():
    ...     async with aio.Workspace() as workspace:
    ...         study = aio.Study(workspace, "asyncio chains", [problem], [{"target": "tabu"}], timeout=1)
    ...         await study.run()
    ...         return [row.cost for row in await study.rows()]
    >>> asyncio.run(main())
    [-9.0]
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        instances: Sequence[Problem | Path | str | Mapping[str, Any]],
        targets: Sequence[Mapping[str, Any]],
        **settings: Any,
    ) -> None:
        self.workspace = workspace
        self.sync = SyncStudy(workspace.sync, name, instances, targets, **settings)

    @classmethod
    async def from_file(cls, workspace: Workspace, file: str | Path) -> Study:
        """See :meth:`qiosk.Study.from_file`."""
        study = cls.__new__(cls)
        study.workspace = workspace
        study.sync = await in_thread(SyncStudy.from_file, workspace.sync, file)
        return study

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.sync.name

    async def run(self, *, retry: bool = False, show_progress: bool = False) -> None:
        """See :meth:`qiosk.Study.run`. If the task is cancelled, the jobs that were submitted continue."""
        stopped = Event()
        try:
            await in_thread(
                partial(self.sync.run, retry=retry, show_progress=show_progress, should_stop=stopped.is_set)
            )
        finally:
            stopped.set()

    async def cancel(self) -> int:
        """See :meth:`qiosk.Study.cancel`."""
        return await in_thread(self.sync.cancel)

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """See :meth:`qiosk.Study.counts`."""
        return await in_thread(self.sync.counts)

    async def rows(self) -> list[Row]:
        """See :meth:`qiosk.Study.rows`."""
        return await in_thread(self.sync.rows)

    async def to_frame(self) -> pandas.DataFrame:
        """See :meth:`qiosk.Study.to_frame`."""
        return await in_thread(self.sync.to_frame)

    async def write(self, file: str | Path) -> None:
        """See :meth:`qiosk.Study.write`."""
        await in_thread(self.sync.write, file)

    async def plot(self, kind: str = "performance-profile", **options: Any) -> Axes:
        """See :meth:`qiosk.Study.plot`; the plot itself is drawn here, the rows are read in a thread."""
        from qiosk.studies.plots import plot

        return plot(kind, await self.rows(), **options)

    def __repr__(self) -> str:
        return repr(self.sync)

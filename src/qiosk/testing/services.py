"""The jobs and sessions of a workspace over stores in memory."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, final

from qiosk.machine import SystemClock
from qiosk.service.jobs.job_service import JobService
from qiosk.service.jobs.runs import JobRunner
from qiosk.service.ports import Clock
from qiosk.solvers.targets.catalogue import Catalogue
from qiosk.testing.accounts import MemorySessionStore
from qiosk.testing.blobs import MemoryBlobStore
from qiosk.testing.execution import DeferredExecutor, InlineExecutor
from qiosk.testing.jobs import MemoryJobStore

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace


@final
class MemoryService:
    """A workspace without files and processes. ``service`` is its ``JobService``.

    ``runner`` runs the jobs, by default the solvers. Jobs run when they are submitted, in the thread that submits them;
    with ``is_deferred`` they wait until ``run_waiting``. ``clock`` is the machine's by default.

    >>> from qiosk.optimization import Problem, SimulatedAnnealing, Term
    >>> from qiosk.testing import MemoryService
    >>> memory = MemoryService(is_deferred=True)
    >>> workspace = memory.workspace()
    >>> job = SimulatedAnnealing(workspace, seed=1).submit(Problem("pair", [Term(c=1, indices=[0, 1])]))
    >>> print(job.details.status)
    Waiting
    >>> memory.run_waiting()
    >>> job.get_results().cost
    -1.0
    """

    def __init__(
        self, runner: JobRunner | None = None, *, is_deferred: bool = False, clock: Clock | None = None
    ) -> None:
        clock = clock or SystemClock()
        jobs, blobs = MemoryJobStore(), MemoryBlobStore()
        self._executor = InlineExecutor(jobs, blobs, clock, runner or _solver_runner())
        self.service = JobService(
            workspace="default",
            jobs=jobs,
            sessions=MemorySessionStore(jobs),
            blobs=blobs,
            targets=Catalogue(),
            executor=DeferredExecutor(self._executor) if is_deferred else self._executor,
            clock=clock,
            new_id=lambda: str(uuid.uuid4()),
        )

    def workspace(self) -> Workspace:
        """A workspace to give to the program under test; all that are opened have the same jobs."""
        from qiosk.client.workspace import Workspace

        return Workspace(api=self.service)

    def run_waiting(self) -> None:
        """Run all waiting jobs to their ends."""
        self._executor.wake()


def _solver_runner() -> JobRunner:
    # here, so that tests with a runner of their own load no solver
    from qiosk.supervisor.processes.solver_runner import run

    return run

"""The solver classes, for programs that use asyncio: the same parameters, with coroutines to submit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qiosk.aio.job import Job
from qiosk.aio.problem import StreamingProblem
from qiosk.aio.session import Session
from qiosk.aio.threads import in_thread
from qiosk.client import solvers as sync
from qiosk.client.job import DEFAULT_TIMEOUT_S
from qiosk.client.results import Results
from qiosk.client.solvers.base import Source

if TYPE_CHECKING:
    from qiosk.aio.workspace import Workspace


class Solver:
    """As :class:`qiosk.optimization.Solver` with the same arguments. ``sync`` is the solver itself."""

    sync_class: ClassVar[type[sync.Solver]] = sync.Solver

    def __init__(self, workspace: Workspace, *args: Any, **parameters: Any) -> None:
        self.workspace = workspace
        self.sync = self.sync_class(workspace.sync, *args, **parameters)

    def __getattr__(self, name: str) -> Any:
        if name in ("sync", "workspace"):
            raise AttributeError(name)
        return getattr(self.sync, name)

    async def submit(self, problem: Source | StreamingProblem, **properties: Any) -> Job:
        """See :meth:`qiosk.optimization.Solver.submit`."""
        source = problem.sync if isinstance(problem, StreamingProblem) else problem
        job = await in_thread(self.sync.submit, source, **properties)
        return Job(self.workspace, job.details)

    async def optimize(
        self, problem: Source | StreamingProblem, timeout_secs: float | None = DEFAULT_TIMEOUT_S
    ) -> Results:
        """See :meth:`qiosk.optimization.Solver.optimize`."""
        job = await self.submit(problem)
        return await job.get_results(timeout_secs=timeout_secs)

    async def open_session(self, **properties: Any) -> Session:
        """See :meth:`qiosk.optimization.Solver.open_session`."""
        return Session(self.workspace, await in_thread(self.sync.open_session, **properties))

    async def refresh(self) -> None:
        """See :meth:`qiosk.optimization.Solver.refresh`."""
        await in_thread(self.sync.refresh)

    def __repr__(self) -> str:
        return repr(self.sync)


class SimulatedAnnealing(Solver):
    """See :class:`qiosk.optimization.SimulatedAnnealing`."""

    sync_class = sync.SimulatedAnnealing


class ParallelTempering(Solver):
    """See :class:`qiosk.optimization.ParallelTempering`."""

    sync_class = sync.ParallelTempering


class Tabu(Solver):
    """See :class:`qiosk.optimization.Tabu`."""

    sync_class = sync.Tabu


class PopulationAnnealing(Solver):
    """See :class:`qiosk.optimization.PopulationAnnealing`."""

    sync_class = sync.PopulationAnnealing


class SubstochasticMonteCarlo(Solver):
    """See :class:`qiosk.optimization.SubstochasticMonteCarlo`."""

    sync_class = sync.SubstochasticMonteCarlo


class QuantumMonteCarlo(Solver):
    """See :class:`qiosk.optimization.QuantumMonteCarlo`."""

    sync_class = sync.QuantumMonteCarlo


class TabuSearch(Solver):
    """See :class:`qiosk.optimization.oneqbit.TabuSearch`."""

    sync_class = sync.TabuSearch


class PathRelinkingSolver(Solver):
    """See :class:`qiosk.optimization.oneqbit.PathRelinkingSolver`."""

    sync_class = sync.PathRelinkingSolver


class PticmSolver(Solver):
    """See :class:`qiosk.optimization.oneqbit.PticmSolver`."""

    sync_class = sync.PticmSolver


class SimulatedBifurcationMachine(Solver):
    """See :class:`qiosk.optimization.toshiba.SimulatedBifurcationMachine`."""

    sync_class = sync.SimulatedBifurcationMachine


_TWINS = {twin.sync_class: twin for twin in Solver.__subclasses__()}


def twin_of(workspace: Workspace, solver: sync.Solver) -> Solver:
    """The asynchronous twin of a solver object."""
    twin = object.__new__(_TWINS.get(type(solver), Solver))
    twin.workspace, twin.sync = workspace, solver
    return twin

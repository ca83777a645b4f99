"""The solver classes for asyncio programs: the same parameters, with coroutines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qiosk.aio.job import Job
from qiosk.aio.problem import StreamingProblem
from qiosk.aio.session import Session
from qiosk.aio.threads import in_thread
from qiosk.client import solvers as sync
from qiosk.client.job import DEFAULT_TIMEOUT_S
from qiosk.client.results import Results
from qiosk.client.solvers.sources import Source

if TYPE_CHECKING:
    from qiosk.aio.workspace import Workspace

_WRAPPERS: dict[type[sync.Solver], type[Solver]] = {}


class Solver:
    """An asyncio wrapper of :class:`qiosk.optimization.Solver`, with the same arguments. ``sync`` is that solver.

    A subclass wraps ``sync_class``, and shares its documentation.
    """

    sync_class: ClassVar[type[sync.Solver]] = sync.Solver

    def __init_subclass__(cls, sync_class: type[sync.Solver] | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if sync_class is not None:
            cls.sync_class = sync_class
            _WRAPPERS.setdefault(sync_class, cls)

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


class Auto(Solver, sync_class=sync.Auto):
    """See :class:`qiosk.optimization.Auto`."""


class SimulatedAnnealing(Solver, sync_class=sync.SimulatedAnnealing):
    """See :class:`qiosk.optimization.SimulatedAnnealing`."""


class ParallelTempering(Solver, sync_class=sync.ParallelTempering):
    """See :class:`qiosk.optimization.ParallelTempering`."""


class Tabu(Solver, sync_class=sync.Tabu):
    """See :class:`qiosk.optimization.Tabu`."""


class PopulationAnnealing(Solver, sync_class=sync.PopulationAnnealing):
    """See :class:`qiosk.optimization.PopulationAnnealing`."""


class SubstochasticMonteCarlo(Solver, sync_class=sync.SubstochasticMonteCarlo):
    """See :class:`qiosk.optimization.SubstochasticMonteCarlo`."""


class QuantumMonteCarlo(Solver, sync_class=sync.QuantumMonteCarlo):
    """See :class:`qiosk.optimization.QuantumMonteCarlo`."""


class TabuSearch(Solver, sync_class=sync.TabuSearch):
    """See :class:`qiosk.optimization.oneqbit.TabuSearch`."""


class PathRelinkingSolver(Solver, sync_class=sync.PathRelinkingSolver):
    """See :class:`qiosk.optimization.oneqbit.PathRelinkingSolver`."""


class PticmSolver(Solver, sync_class=sync.PticmSolver):
    """See :class:`qiosk.optimization.oneqbit.PticmSolver`."""


class SimulatedBifurcationMachine(Solver, sync_class=sync.SimulatedBifurcationMachine):
    """See :class:`qiosk.optimization.toshiba.SimulatedBifurcationMachine`."""


def wrapper_of(workspace: Workspace, solver: sync.Solver) -> Solver:
    """The asyncio wrapper of a solver object."""
    wrapper = object.__new__(_WRAPPERS.get(type(solver), Solver))
    wrapper.workspace, wrapper.sync = workspace, solver
    return wrapper

"""Solve a problem in this process: no job, no database, no other process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from msgspec import structs

from qiosk.contract.jobs import JobProgress
from qiosk.errors import WrongType
from qiosk.kernels.announcements import Start, announced_to
from qiosk.model.cost_function import I8, CostFunction
from qiosk.model.sources import cost_function_of
from qiosk.solvers.reports import ChunkReport
from qiosk.solvers.result import Result
from qiosk.solvers.run import Task
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, full_name, target
from qiosk.solvers.targets.parameters import integer, read_parameters
from qiosk.solvers.targets.target import Target

_THREADS = integer("threads", low=1, meaning="threads to sweep in")
IGNORED = ("disabled_features",)
"""Parameters of the old service that are accepted and ignored."""


class HasCostFunction(Protocol):
    """Anything with a cost function: ``qiosk.Problem``, or a class of your own."""

    def cost_function(self) -> CostFunction:
        """Terms by column."""
        ...


@runtime_checkable
class HasTarget(Protocol):
    """A solver of ``qiosk.optimization``: the name of its target, and its parameters as a job has them."""

    name: str
    params: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """How a caller follows and controls a run.

    ``on_progress`` is called instead of ``on_chunk`` while something else than a solver works.
    ``resume`` is a checkpoint to continue from. With ``is_extension`` it is that of a run that has ended: the time of
    that run does not count against the time limit. ``input_data_uri`` is where the problem is stored, for results
    documents that contain it. ``max_seconds`` ends the run like a time limit, whatever time limit the parameters have;
    what was done before the checkpoint does not count. ``start`` is when the time that the run may take began; by
    default when the run begins.
    """

    is_cancelled: Callable[[], bool] = lambda: False
    on_progress: Callable[[JobProgress], object] = lambda progress: None
    on_chunk: Callable[[ChunkReport], None] = lambda report: None
    resume: bytes | None = None
    is_extension: bool = False
    input_data_uri: str = ""
    max_seconds: float | None = None
    start: Start | None = None


def solve(
    problem: HasCostFunction | CostFunction | Any,
    solver: str | type | HasTarget = DEFAULT_TARGET,
    *,
    timeout: float | None = None,
    seed: int | None = None,
    threads: int | None = None,
    progress: bool | Callable[[JobProgress], bool | None] | None = None,
    kernel: str | None = None,
    **params: Any,
) -> Result:
    """Minimize a problem in this process.

    Args:
        problem: a ``Problem``, a ``Model``, an encoded problem of ``qiosk.interop``, a ``CostFunction``, or a QUBO: a
            dict of coefficients by pairs (i, j) of integers, or a square matrix of NumPy or SciPy.
        solver: target name, as ``qiosk targets`` lists them, or the middle part of it, such as ``tabu``; any case. The
            middle part means the parameter-free target, unless a parameter of the search is given. Or a class of
            ``qiosk.optimization``, or an instance of one: then its parameters are used, except where they are given
            here, but not its workspace.
        timeout: time limit [s]. Parameter-free solvers stop earlier when they have converged. The default is no limit,
            but 30 s for parameter-free solvers, 5 s for those with populations, and 10 s for simulated bifurcation.
        seed: any 64-bit integer; the same seed gives the same result unless a time limit ends the run. From the clock
            if not given.
        threads: threads to sweep in; all cores if not given. The result does not depend on it.
        progress: True shows a progress bar. A function is called about twenty times a second, and before kernels are
            compiled, then perhaps by another thread; it returns False to stop and keep the best found so far.
        kernel: force a sweep kernel instead of the planned one, where the target has a choice.
        **params: parameters of the target, such as ``sweeps`` or ``number_of_solutions``, and ``target_cost``.

    Raises:
        InvalidInput: the problem or a parameter is wrong (AZQ101 to AZQ107), or there is no such parameter or kernel.
        InvalidTarget: no such target.
        InsufficientResources: the problem does not fit memory, or the time limit is 0.

    >>> import qiosk
    >>> problem = qiosk.Problem("triangle")
    >>> problem.add_terms(coefficients=[1, 1, 1], ids=[[0, 1], [1, 2], [0, 2]])
    >>> qiosk.solve(problem, timeout=1, seed=1).cost
    -1.0
    >>> qiosk.solve(problem, "microsoft.simulatedannealing.cpu", sweeps=10, restarts=4, seed=1).cost
    -1.0
    """
    start = Start()
    given = {"timeout": timeout, "seed": seed, "threads": threads, "kernel": kernel}
    setup = set_up(solver, given, params)
    with followed(progress) as hooks:
        return setup.run(cost_function_of(problem), replace(hooks, start=start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A target with its parameters as they were given, ready to run on one cost function or several."""

    target: Target
    given: Mapping[str, Any]
    threads: int | None = None
    kernel: str | None = None

    @property
    def seed(self) -> int | None:
        """The seed that was given. Raises as :func:`solve`."""
        seed = read_parameters(self.target.parameters, self.given)["seed"]
        return None if seed is None else int(seed)

    @property
    def solutions(self) -> int:
        """How many solutions are wanted. Raises as :func:`solve`."""
        return self.target.solutions(read_parameters(self.target.parameters, self.given))

    @property
    def time_limit(self) -> float:
        """How long a run may take [s]; infinite without a limit."""
        return self.target.time_limit(read_parameters(self.target.parameters, self.given))

    @property
    def keeps_one_hot(self) -> bool:
        """Whether moves of the search keep one-hot groups."""
        return self.target.keeps_groups(self.kernel)

    def until(self, cost: float) -> Setup:
        """The same, but a search also ends when it reaches a cost; one that was asked for comes first."""
        if all(parameter.name != "target_cost" for parameter in self.target.parameters):
            return self
        return replace(self, given={"target_cost": cost, **self.given})

    def seeded(self, seed: int) -> Setup:
        """The same with another seed."""
        return replace(self, given={**self.given, "seed": seed})

    def run(self, cost_function: CostFunction, hooks: Hooks, *, number: int | None = None) -> Result:
        """Minimize a cost function. Raises as :func:`solve`.

        ``number`` is that of a round, if others may follow with other weights of constraints: rounds have different
        seeds.
        """
        task = self._task(cost_function, hooks, number)
        return task.run(is_cancelled=hooks.is_cancelled, on_chunk=hooks.on_chunk)

    def known(
        self, cost_function: CostFunction, values: I8, hooks: Hooks, kernel: str, stop: StopReason, seconds: float
    ) -> Result:
        """The result where a ``kernel`` found ``values`` (n,) in some seconds [s]. Raises as :func:`solve`."""
        task = self._task(cost_function, replace(hooks, resume=None, is_extension=False), None)
        return task.known(values, kernel, stop, seconds)

    def _task(self, cost_function: CostFunction, hooks: Hooks, number: int | None) -> Task:
        values = read_parameters(self.target.parameters, self.given)
        if number and values["seed"] is not None:
            values = {**values, "seed": values["seed"] ^ number}
        return Task(
            self.target,
            values,
            cost_function,
            threads=self.threads,
            kernel=self.kernel,
            resume=hooks.resume,
            is_extension=hooks.is_extension,
            input_data_uri=hooks.input_data_uri,
            max_seconds=hooks.max_seconds,
            is_round=number is not None,
            start=hooks.start,
        )


def set_up(solver: str | type | HasTarget, common: Mapping[str, Any], params: Mapping[str, Any]) -> Setup:
    """The target that :func:`solve` was asked for; ``common`` are its arguments ``timeout``, ``seed``, ``threads`` and
    ``kernel``. Raises as :func:`solve`.
    """
    chosen, own = _chosen(solver, params)
    chosen.check_names(params, also=IGNORED)
    threads, kernel = common["threads"], common["kernel"]
    if threads is not None:
        threads = _THREADS.read(_THREADS.name, threads)
    if kernel is not None:
        from qiosk.solvers.samplers.planner import check_kernel  # loads the compiler

        check_kernel(kernel)
    given = chosen.in_own_units({**params, "timeout": common["timeout"], "seed": common["seed"]})
    given = {**own, **{name: value for name, value in given.items() if value is not None}}
    return Setup(target=chosen, given=given, threads=threads, kernel=kernel)


def _chosen(solver: Any, params: Mapping[str, Any]) -> tuple[Target, Mapping[str, Any]]:
    """The target that a name, a class of solvers or a solver means, and the parameters that a solver brings."""
    if isinstance(solver, str):
        return target(full_name(solver, params.keys() - IGNORED)), {}
    names: Sequence[str] = getattr(solver, "target_names", ())
    if isinstance(solver, type) and names:
        return target(getattr(solver, "target_for")(names[0], params)), {}  # noqa: B009
    if isinstance(solver, HasTarget):
        chosen = target(solver.name)
        return chosen, chosen.section(solver.params)
    raise WrongType(
        "solver: must be the name of a target, such as 'microsoft.tabu.cpu', or a class of qiosk.optimization "
        f"or an instance of one, found {getattr(solver, '__name__', type(solver).__name__)}"
    )


@contextmanager
def followed(progress: bool | Callable[[JobProgress], bool | None] | None) -> Iterator[Hooks]:
    """The hooks that show progress, or call a function with it; True shows a bar while this context lasts."""
    stop = False
    latest = JobProgress()

    def tell(progress: JobProgress) -> None:
        nonlocal stop, latest
        latest = progress
        if not stop and show(progress) is False:
            stop = True

    def announce(activity: str) -> None:
        tell(structs.replace(latest, activity=activity))

    with _shown(progress) as show, announced_to(announce):
        yield Hooks(is_cancelled=lambda: stop, on_progress=tell, on_chunk=lambda report: tell(report.progress))


@contextmanager
def _shown(progress: bool | Callable[[JobProgress], bool | None] | None) -> Iterator[Callable[[JobProgress], Any]]:
    """The function to call with progress; True shows a bar while this context lasts."""
    if callable(progress):
        yield progress
    elif progress:
        from qiosk.console.progress_bar import ProgressBar  # which loads Rich

        with ProgressBar() as bar:
            yield lambda found: bar.update("Executing", found)
    else:
        yield lambda found: None


def run_target(
    name: str, input_params: Any, cost_function: CostFunction, *, threads: int | None, hooks: Hooks
) -> Result:
    """Run a job: a target, the ``inputParams`` as they were submitted, and the problem. Raises as :func:`solve`."""
    return job_setup(name, input_params, threads).run(cost_function, hooks)


def job_setup(name: str, input_params: Any, threads: int | None) -> Setup:
    """The target of a job and its ``inputParams`` as they were submitted. Raises as :func:`solve`."""
    chosen = target(name)
    return Setup(target=chosen, given=chosen.section(input_params), threads=threads)

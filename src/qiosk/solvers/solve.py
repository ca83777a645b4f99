"""Solve a problem in this process, or on a Ray cluster: no job, no database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from msgspec import structs

from qiosk.contract.jobs import JobProgress
from qiosk.errors import WrongType, extra
from qiosk.kernels.announcements import Start, announced_to
from qiosk.model.cost_function import CostFunction
from qiosk.model.sources import cost_function_of
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.run import run_members
from qiosk.solvers.result import Result
from qiosk.solvers.setup import Setup, job_setup
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET, full_name, target
from qiosk.solvers.targets.parameters import integer
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


def solve(
    problem: HasCostFunction | CostFunction | Any,
    solver: str | type | HasTarget = DEFAULT_TARGET,
    *,
    timeout: float | None = None,
    seed: int | None = None,
    threads: int | None = None,
    progress: bool | Callable[[JobProgress], bool | None] | None = None,
    kernel: str | None = None,
    nodes: int | None = None,
    ray_address: str | None = None,
    **params: Any,
) -> Result:
    """Minimize a problem in this process, or with ``ray_address`` on a cluster.

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
        threads: threads to sweep in; all cores if not given, but one on a cluster. The result does not depend on it.
        progress: True shows a progress bar. A function is called about twenty times a second, and before kernels are
            compiled, then perhaps by another thread; it returns False to stop and keep the best found so far.
        kernel: force a sweep kernel instead of the planned one, where the target has a choice.
        nodes: into how many members to divide the search, 1 to 1024, as a cluster does. Here they run one after the
            other, each with the time limit. Targets with independent restarts divide these and find the same as
            without it; others search as often, each time with other random numbers.
        ray_address: ``HOST:PORT`` of a Ray cluster, or ``auto`` for the one of this machine, which must be a node of
            it. The members run there at the same time, one if ``nodes`` is not given, each with ``threads`` CPUs. For a
            seed and without a time limit the result is the same. Needs ``qiosk[ray]``, here and on all nodes.
        **params: parameters of the target, such as ``sweeps`` or ``number_of_solutions``, and ``target_cost``.

    Raises:
        InvalidInput: the problem or a parameter is wrong (AZQ101 to AZQ107), or there is no such parameter or kernel.
        InvalidTarget: no such target.
        InsufficientResources: the problem does not fit memory, or the time limit is 0.
        MissingExtra: ``ray_address`` is given, and Ray is not installed.
        ServiceUnavailable: the cluster cannot be reached, or a member was lost too often.
        Conflict: a node of the cluster has another version of Ray, Python or Qiosk.

    >>> import qiosk
    >>> problem = qiosk.Problem("triangle")
    >>> problem.add_terms(coefficients=[1, 1, 1], ids=[[0, 1], [1, 2], [0, 2]])
    >>> qiosk.solve(problem, timeout=1, seed=1).cost
    -1.0
    >>> qiosk.solve(problem, "microsoft.simulatedannealing.cpu", sweeps=10, restarts=4, seed=1).cost
    -1.0

    On a cluster that runs::

        qiosk.solve(problem, "microsoft.simulatedannealing.cpu", restarts=4000, nodes=4, ray_address="head:6379")
    """
    start = Start()
    given = {"timeout": timeout, "seed": seed, "threads": threads, "kernel": kernel, "nodes": nodes}
    setup = set_up(solver, given, params)
    if ray_address is not None:
        with extra("ray", "qiosk.solve(ray_address=…)"):
            from qiosk.solvers.members.on_ray import run_on_ray

        with followed(progress) as hooks:
            return run_on_ray(setup, cost_function_of(problem), hooks, ray_address)
    with followed(progress) as hooks:
        return run_members(setup, cost_function_of(problem), replace(hooks, start=start))


def set_up(solver: str | type | HasTarget, common: Mapping[str, Any], params: Mapping[str, Any]) -> Setup:
    """The target that :func:`solve` was asked for; ``common`` are its arguments ``timeout``, ``seed``, ``threads``,
    ``kernel`` and ``nodes``, which may lack. Raises as :func:`solve`.
    """
    chosen, own = _chosen(solver, params)
    chosen.check_names(params, also=IGNORED)
    threads, kernel = common.get("threads"), common.get("kernel")
    if threads is not None:
        threads = _THREADS.read(_THREADS.name, threads)
    if kernel is not None:
        from qiosk.solvers.samplers.planner import check_kernel  # loads the compiler

        check_kernel(kernel)
    alike = {name: common[name] for name in ("timeout", "seed", "nodes") if name in common}
    given = chosen.in_own_units({**params, **alike})
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
    return run_members(job_setup(name, input_params, threads), cost_function, hooks)

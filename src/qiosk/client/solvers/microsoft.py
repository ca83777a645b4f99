"""Microsoft's solvers, with the names, parameters and defaults of the old SDK.

Wrong values raise InvalidInput, a ValueError, when a solver is made. The service checks them again, and ends jobs that
other clients submitted with wrong ones as ``Failed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qiosk.client.solvers.base import HardwarePlatform, Solver
from qiosk.client.solvers.checks import RangeSchedule, number_above, positive_integer, schedule
from qiosk.client.solvers.params import given
from qiosk.problem import ContentType

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace


class SimulatedAnnealing(Solver):
    """Annealing of many independent restarts; parameter-free unless its search is given.

    Args:
        workspace: where jobs are submitted.
        name: target.
        beta_start, beta_stop: inverse temperature at the first and the last sweep [1/cost].
        sweeps: sweeps of each restart.
        restarts: independent runs.
        timeout: most seconds to search.
        seed: makes the run repeatable.
        platform: only the CPU is left; ValueError for another.
        params: further parameters by name, such as ``number_of_solutions``.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, SimulatedAnnealing, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = SimulatedAnnealing(Workspace(), sweeps=100, restarts=8, seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("microsoft.simulatedannealing.cpu", "microsoft.simulatedannealing-parameterfree.cpu")
    search_parameters = ("beta_start", "beta_stop", "sweeps", "restarts")

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.simulatedannealing.cpu",
        beta_start: float | None = None,
        beta_stop: float | None = None,
        sweeps: int | None = None,
        restarts: int | None = None,
        timeout: float | None = None,
        seed: int | None = None,
        platform: HardwarePlatform = HardwarePlatform.CPU,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if platform is not HardwarePlatform.CPU:
            raise ValueError(f"platform must be HardwarePlatform.CPU, found {platform}")
        super().__init__(workspace, name, params=given(locals()), **options)


class ParallelTempering(Solver):
    """Replicas at fixed temperatures that exchange places; parameter-free unless its search is given.

    Args:
        workspace: where jobs are submitted.
        name: target.
        sweeps: sweeps of each replica.
        replicas: number of replicas; the length of ``all_betas`` when that is given.
        all_betas: inverse temperature of each replica [1/cost].
        timeout: most seconds to search.
        seed: makes the run repeatable.
        params: further parameters by name, such as ``number_of_solutions``.

    Raises ValueError if ``replicas`` is not the length of ``all_betas``.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import ParallelTempering, Problem, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = ParallelTempering(Workspace(), sweeps=100, all_betas=[0.1, 1.0, 10.0], seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("microsoft.paralleltempering.cpu", "microsoft.paralleltempering-parameterfree.cpu")
    search_parameters = ("sweeps", "replicas", "all_betas")

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.paralleltempering.cpu",
        sweeps: int | None = None,
        replicas: int | None = None,
        all_betas: Sequence[float] | None = None,
        timeout: float | None = None,
        seed: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if all_betas is not None:
            replicas = len(all_betas) if replicas is None else replicas
            if replicas != len(all_betas):
                raise ValueError(f"replicas must be the length of all_betas, {len(all_betas)}, found {replicas}")
        super().__init__(workspace, name, params=given(locals()), **options)


class Tabu(Solver):
    """Local search that may not undo its latest moves; parameter-free unless its search is given.

    Args:
        workspace: where jobs are submitted.
        name: target.
        sweeps: sweeps of each restart.
        tabu_tenure: moves for which a changed variable stays as it is.
        timeout: most seconds to search.
        seed: makes the run repeatable.
        restarts: independent runs.
        params: further parameters by name, such as ``number_of_solutions``.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, Tabu, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = Tabu(Workspace(), sweeps=10, seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("microsoft.tabu.cpu", "microsoft.tabu-parameterfree.cpu")
    search_parameters = ("sweeps", "tabu_tenure", "restarts")

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.tabu.cpu",
        sweeps: int | None = None,
        tabu_tenure: int | None = None,
        timeout: float | None = None,
        seed: int | None = None,
        restarts: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(workspace, name, params=given(locals()), **options)


class PopulationAnnealing(Solver):
    """Annealing of a population that is resampled as it cools; parameter-free if a time-out is given.

    Args:
        workspace: where jobs are submitted.
        name: target.
        alpha: ratio that triggers a resampling, greater than 1.
        seed: makes the run repeatable.
        population: replicas.
        sweeps: sweeps of each replica.
        beta: inverse temperature by sweep [1/cost]; increasing, its ends greater than 0.
        timeout: most seconds to search; makes the solver find the other parameters itself.
        content_type: programs may still name it; the problem's own decides.
        params: further parameters by name, such as ``number_of_solutions``.

    Raises ValueError for a parameter out of its range or of another type.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import PopulationAnnealing, Problem, RangeSchedule, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = PopulationAnnealing(Workspace(), sweeps=100, beta=RangeSchedule("linear", 0.1, 10), seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("microsoft.populationannealing.cpu", "microsoft.populationannealing-parameterfree.cpu")
    auto_parameters = ("timeout",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.populationannealing.cpu",
        alpha: float | None = None,
        seed: int | None = None,
        population: int | None = None,
        sweeps: int | None = None,
        beta: RangeSchedule | None = None,
        timeout: int | None = None,
        content_type: ContentType | None = ContentType.json,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        alpha = number_above("alpha", alpha, 1.0)
        population = positive_integer("population", population)
        sweeps = positive_integer("sweeps", sweeps)
        beta = schedule("beta", beta, is_increasing=True)
        timeout = positive_integer("timeout", timeout)
        super().__init__(workspace, name, params=given(locals()), **options)


class SubstochasticMonteCarlo(Solver):
    """Walkers that move at random, and multiply or vanish by their cost; parameter-free if a time-out is given.

    Args:
        workspace: where jobs are submitted.
        name: target.
        alpha: chance to move, by step; decreasing, its ends at least 0.
        seed: makes the run repeatable.
        target_population: walkers to keep alive.
        step_limit: updates of single variables (not sweeps).
        beta: weight of the resampling, by step [1/cost]; increasing, its ends greater than 0.
        steps_per_walker: moves that a walker tries before it is resampled.
        timeout: most seconds to search; makes the solver find the other parameters itself.
        content_type: programs may still name it; the problem's own decides.
        params: further parameters by name, such as ``number_of_solutions``.

    Raises ValueError for a parameter out of its range or of another type.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, SubstochasticMonteCarlo, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = SubstochasticMonteCarlo(Workspace(), step_limit=1000, target_population=16, seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("microsoft.substochasticmontecarlo.cpu", "microsoft.substochasticmontecarlo-parameterfree.cpu")
    auto_parameters = ("timeout",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.substochasticmontecarlo.cpu",
        alpha: RangeSchedule | None = None,
        seed: int | None = None,
        target_population: int | None = None,
        step_limit: int | None = None,
        beta: RangeSchedule | None = None,
        steps_per_walker: int | None = None,
        timeout: int | None = None,
        content_type: ContentType | None = ContentType.json,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        alpha = schedule("alpha", alpha, is_increasing=False)
        target_population = positive_integer("target_population", target_population)
        step_limit = positive_integer("step_limit", step_limit)
        beta = schedule("beta", beta, is_increasing=True)
        steps_per_walker = positive_integer("steps_per_walker", steps_per_walker)
        timeout = positive_integer("timeout", timeout)
        super().__init__(workspace, name, params=given(locals()), **options)


class QuantumMonteCarlo(Solver):
    """Annealing of a transverse field over copies of the problem along imaginary time.

    Args:
        workspace: where jobs are submitted.
        name: target.
        trotter_number: copies of every variable.
        seed: makes the run repeatable.
        transverse_field_start, transverse_field_stop: field in the first and in the last sweep.
        restarts: independent runs.
        sweeps: sweeps of each run.
        beta_start: inverse temperature [1/cost].
        params: further parameters by name, such as ``number_of_solutions``.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, QuantumMonteCarlo, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = QuantumMonteCarlo(Workspace(), sweeps=100, trotter_number=8, seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("microsoft.qmc.cpu",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.qmc.cpu",
        trotter_number: int | None = None,
        seed: int | None = None,
        transverse_field_start: float | None = None,
        transverse_field_stop: float | None = None,
        restarts: int | None = None,
        sweeps: int | None = None,
        beta_start: float | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(workspace, name, params=given(locals()), **options)

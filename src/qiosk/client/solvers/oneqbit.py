"""1QBit's solvers, with the names, parameters and defaults of the old SDK; every value is sent as a string."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qiosk.client.solvers.base import Solver
from qiosk.client.solvers.params import given
from qiosk.client.solvers.provider_formats import ONEQBIT

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace


class TabuSearch(Solver):
    """Local search that may not undo its latest moves; for quadratic problems.

    Args:
        workspace: where jobs are submitted.
        name: target.
        improvement_cutoff: moves without improvement after which the search ends; 0 leaves it to the service.
        improvement_tolerance: least decrease of cost that counts as one.
        seed: makes the run repeatable.
        tabu_tenure: moves for which a changed variable stays as it is; 0 leaves it to the service.
        tabu_tenure_rand_max: moves below which a random number is added to the tenure.
        timeout: most milliseconds to search; 0 for no limit.
        params: further parameters by name.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, Term
    >>> from qiosk.optimization.oneqbit import TabuSearch
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = TabuSearch(Workspace(), improvement_cutoff=10, timeout=1000, seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("1qbit.tabu",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "1qbit.tabu",
        improvement_cutoff: int | None = None,
        improvement_tolerance: float | None = None,
        seed: int | None = None,
        tabu_tenure: int | None = None,
        tabu_tenure_rand_max: int | None = None,
        timeout: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(workspace, name, params=given(locals()), **{**asdict(ONEQBIT), **options})


class PathRelinkingSolver(Solver):
    """Tabu searches from places on the paths between good solutions; for quadratic problems.

    Args:
        workspace: where jobs are submitted.
        name: target.
        distance_scale: share of a path next to its ends that is left out, 0 to 0.5.
        greedy_path_relinking: follow the cheapest path instead of a random one.
        ref_set_count: good solutions to keep, at least 2.
        seed: makes the run repeatable.
        timeout: most milliseconds to search; 0 for no limit.
        params: further parameters by name.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, Term
    >>> from qiosk.optimization.oneqbit import PathRelinkingSolver
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = PathRelinkingSolver(Workspace(), ref_set_count=2, timeout=1000, seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("1qbit.pathrelinking",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "1qbit.pathrelinking",
        distance_scale: float | None = None,
        greedy_path_relinking: bool | None = None,
        ref_set_count: int | None = None,
        seed: int | None = None,
        timeout: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(workspace, name, params=given(locals()), **{**asdict(ONEQBIT), **options})


class PticmSolver(Solver):
    """Parallel tempering with cluster moves between replicas of one temperature; for quadratic problems.

    Args:
        workspace: where jobs are submitted.
        name: target.
        auto_set_temperatures: find the temperatures, instead of using those given.
        elite_threshold: share of the best solutions by which variables are fixed.
        frac_icm_thermal_layers: share of the temperatures at which clusters are moved.
        frac_sweeps_fixing, frac_sweeps_idle: shares of the sweeps in which variables are fixed, and before it.
        frac_sweeps_stagnation: share of the sweeps without improvement after which the search restarts.
        goal: ``OPTIMIZE`` or ``SAMPLE``.
        high_temp, low_temp: highest and lowest temperature.
        max_samples_per_layer: samples to collect of each replica.
        max_total_sweeps: sweeps after which the search ends.
        manual_temperatures: the temperatures.
        num_elite_temps: temperatures by which variables are fixed.
        num_replicas: replicas at each temperature.
        num_sweeps_per_run: sweeps of each run.
        num_temps: temperatures.
        perform_icm: no longer used; a DeprecationWarning if it is given.
        scaling_type: ``MEDIAN`` or ``NO_SCALING``.
        seed: makes the run repeatable.
        var_fixing_type: ``PERSISTENCY``, ``SPVAR`` or ``NO_FIXING``.
        params: further parameters by name.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, Term
    >>> from qiosk.optimization.oneqbit import PticmSolver
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = PticmSolver(Workspace(), num_sweeps_per_run=10, max_total_sweeps=100, seed=1)
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names = ("1qbit.pticm",)

    def __init__(
        self,
        workspace: Workspace,
        name: str = "1qbit.pticm",
        auto_set_temperatures: bool | None = None,
        elite_threshold: float | None = None,
        frac_icm_thermal_layers: float | None = None,
        frac_sweeps_fixing: float | None = None,
        frac_sweeps_idle: float | None = None,
        frac_sweeps_stagnation: float | None = None,
        goal: str | None = None,
        high_temp: float | None = None,
        low_temp: float | None = None,
        max_samples_per_layer: int | None = None,
        max_total_sweeps: int | None = None,
        manual_temperatures: Sequence[float] | None = None,
        num_elite_temps: int | None = None,
        num_replicas: int | None = None,
        num_sweeps_per_run: int | None = None,
        num_temps: int | None = None,
        perform_icm: bool | None = None,
        scaling_type: str | None = None,
        seed: int | None = None,
        var_fixing_type: str | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if perform_icm is not None:
            warnings.warn("perform_icm is no longer used", DeprecationWarning, stacklevel=2)
        super().__init__(workspace, name, params=given(locals()), **{**asdict(ONEQBIT), **options})

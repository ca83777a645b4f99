"""Names, signatures and semantics that programs written for the old SDK rely on."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from fake_jobs import FakeJobs
from qiosk.client.details import JobDetails
from qiosk.client.job import Job
from qiosk.client.solvers import (
    SOLVERS,
    HardwarePlatform,
    ParallelTempering,
    PathRelinkingSolver,
    PopulationAnnealing,
    PticmSolver,
    QuantumMonteCarlo,
    RangeSchedule,
    SimulatedAnnealing,
    SimulatedBifurcationMachine,
    Solver,
    SubstochasticMonteCarlo,
    Tabu,
    TabuSearch,
)
from qiosk.client.workspace import Workspace
from qiosk.errors import WrongType

# Positional parameters, in order, of the public methods of azure-quantum 0.27.
SIGNATURES: list[tuple[Any, list[str]]] = [
    (
        Workspace.__init__,
        [
            "subscription_id",
            "resource_group",
            "name",
            "storage",
            "resource_id",
            "location",
            "credential",
            "user_agent",
        ],
    ),
    (Workspace.submit_job, ["job"]),
    (Workspace.cancel_job, ["job"]),
    (Workspace.get_job, ["job_id"]),
    (Workspace.list_jobs, ["name_match", "status", "created_after"]),
    (Workspace.get_targets, ["name", "provider_id"]),
    (Workspace.get_container_uri, ["job_id", "container_name", "container_name_format"]),
    (Job.__init__, ["workspace", "job_details"]),
    (Job.wait_until_completed, ["max_poll_wait_secs", "timeout_secs", "print_progress"]),
    (Job.get_results, ["timeout_secs"]),
    (Job.matches_filter, ["name_match", "status", "created_after"]),
    (Job.upload_attachment, ["name", "data", "container_uri"]),
    (Job.download_attachment, ["name", "container_uri"]),
    (Job.download_data, ["blob_uri"]),
    (
        SimulatedAnnealing.__init__,
        ["workspace", "name", "beta_start", "beta_stop", "sweeps", "restarts", "timeout", "seed", "platform"],
    ),
    (
        ParallelTempering.__init__,
        ["workspace", "name", "sweeps", "replicas", "all_betas", "timeout", "seed"],
    ),
    (Tabu.__init__, ["workspace", "name", "sweeps", "tabu_tenure", "timeout", "seed", "restarts"]),
    (
        PopulationAnnealing.__init__,
        ["workspace", "name", "alpha", "seed", "population", "sweeps", "beta", "timeout", "content_type"],
    ),
    (
        SubstochasticMonteCarlo.__init__,
        [
            "workspace",
            "name",
            "alpha",
            "seed",
            "target_population",
            "step_limit",
            "beta",
            "steps_per_walker",
            "timeout",
            "content_type",
        ],
    ),
    (
        QuantumMonteCarlo.__init__,
        [
            "workspace",
            "name",
            "trotter_number",
            "seed",
            "transverse_field_start",
            "transverse_field_stop",
            "restarts",
            "sweeps",
            "beta_start",
        ],
    ),
    (RangeSchedule.__init__, ["schedule_type", "initial", "final"]),
    (
        TabuSearch.__init__,
        [
            "workspace",
            "name",
            "improvement_cutoff",
            "improvement_tolerance",
            "seed",
            "tabu_tenure",
            "tabu_tenure_rand_max",
            "timeout",
        ],
    ),
    (
        PathRelinkingSolver.__init__,
        ["workspace", "name", "distance_scale", "greedy_path_relinking", "ref_set_count", "seed", "timeout"],
    ),
    (
        PticmSolver.__init__,
        [
            "workspace",
            "name",
            "auto_set_temperatures",
            "elite_threshold",
            "frac_icm_thermal_layers",
            "frac_sweeps_fixing",
            "frac_sweeps_idle",
            "frac_sweeps_stagnation",
            "goal",
            "high_temp",
            "low_temp",
            "max_samples_per_layer",
            "max_total_sweeps",
            "manual_temperatures",
            "num_elite_temps",
            "num_replicas",
            "num_sweeps_per_run",
            "num_temps",
            "perform_icm",
            "scaling_type",
            "seed",
            "var_fixing_type",
        ],
    ),
    (
        SimulatedBifurcationMachine.__init__,
        ["workspace", "name", "steps", "loops", "target", "maxout", "timeout", "dt", "C", "algo", "auto"],
    ),
    (
        Solver.__init__,
        [
            "workspace",
            "name",
            "provider_id",
            "input_data_format",
            "output_data_format",
            "nested_params",
            "force_str_params",
            "params",
        ],
    ),
    (Solver.submit, ["problem"]),
    (Solver.optimize, ["problem", "timeout_secs"]),
    (Solver.set_one_param, ["name", "value"]),
    (Solver.set_number_of_solutions, ["number_of_solutions"]),
]

DETAILS = {
    "id",
    "name",
    "container_uri",
    "input_data_uri",
    "input_data_format",
    "input_params",
    "provider_id",
    "target",
    "metadata",
    "output_data_uri",
    "output_data_format",
    "status",
    "creation_time",
    "begin_execution_time",
    "end_execution_time",
    "cancellation_time",
    "cost_estimate",
    "error_data",
    "tags",
}


@pytest.fixture
def workspace() -> Workspace:
    return Workspace(api=FakeJobs())


@pytest.mark.parametrize(("method", "names"), SIGNATURES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_positional_parameters_are_those_of_the_sdk(method: Any, names: list[str]) -> None:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    positional = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if method is Workspace.__init__:  # its first argument may also be a server's URL, so the name stands by itself
        assert [p.kind for p in parameters if p.name == "subscription_id"] == [inspect.Parameter.KEYWORD_ONLY]
        names = names[1:]
    assert positional == names


def test_details_have_the_properties_of_the_sdk() -> None:
    assert set(JobDetails.__struct_fields__) >= DETAILS


@pytest.mark.parametrize(
    ("solver", "parameters", "target", "sent"),
    [
        (SimulatedAnnealing, {}, "simulatedannealing-parameterfree", {}),
        (
            SimulatedAnnealing,
            {"timeout": 100, "seed": 22},
            "simulatedannealing-parameterfree",
            {"timeout": 100, "seed": 22},
        ),
        (SimulatedAnnealing, {"beta_start": 0}, "simulatedannealing", {"beta_start": 0}),
        (SimulatedAnnealing, {"restarts": 3, "timeout": 1}, "simulatedannealing", {"restarts": 3, "timeout": 1}),
        (ParallelTempering, {"seed": 1}, "paralleltempering-parameterfree", {"seed": 1}),
        (ParallelTempering, {"replicas": 2}, "paralleltempering", {"replicas": 2}),
        (ParallelTempering, {"all_betas": [1, 2]}, "paralleltempering", {"all_betas": [1, 2], "replicas": 2}),
        (Tabu, {"timeout": 3}, "tabu-parameterfree", {"timeout": 3}),
        (Tabu, {"tabu_tenure": 0}, "tabu", {"tabu_tenure": 0}),
        (PopulationAnnealing, {}, "populationannealing", {}),
        (
            PopulationAnnealing,
            {"timeout": 5, "seed": 1},
            "populationannealing-parameterfree",
            {"timeout": 5, "seed": 1},
        ),
        (
            PopulationAnnealing,
            {"alpha": 2, "population": 8, "sweeps": 9, "beta": RangeSchedule("linear", 0.5, 5)},
            "populationannealing",
            {"alpha": 2, "population": 8, "sweeps": 9, "beta": {"type": "linear", "initial": 0.5, "final": 5}},
        ),
        (SubstochasticMonteCarlo, {}, "substochasticmontecarlo", {}),
        (SubstochasticMonteCarlo, {"timeout": 5}, "substochasticmontecarlo-parameterfree", {"timeout": 5}),
        (
            SubstochasticMonteCarlo,
            {
                "alpha": RangeSchedule("linear", 0.5, 0),
                "target_population": 8,
                "step_limit": 9,
                "steps_per_walker": 2,
            },
            "substochasticmontecarlo",
            {
                "alpha": {"type": "linear", "initial": 0.5, "final": 0},
                "target_population": 8,
                "step_limit": 9,
                "steps_per_walker": 2,
            },
        ),
        (QuantumMonteCarlo, {}, "qmc", {}),
        (
            QuantumMonteCarlo,
            {"trotter_number": 4, "transverse_field_stop": 0.0},
            "qmc",
            {"trotter_number": 4, "transverse_field_stop": 0.0},
        ),
    ],
    ids=str,
)
def test_parameters_choose_the_target_and_are_sent_nested(
    workspace: Workspace, solver: type[Solver], parameters: dict[str, Any], target: str, sent: dict[str, Any]
) -> None:
    made = solver(workspace, **parameters)
    assert made.name == f"microsoft.{target}.cpu"
    assert made.params == {"params": sent}
    assert made.provider_id == "Microsoft"


@pytest.mark.parametrize(
    ("solver", "parameters", "target", "sent"),
    [
        (TabuSearch, {}, "1qbit.tabu", {}),
        (
            TabuSearch,
            {"improvement_tolerance": 1e-9, "timeout": 50},
            "1qbit.tabu",
            {"improvement_tolerance": "1e-09", "timeout": "50"},
        ),
        (
            PathRelinkingSolver,
            {"distance_scale": 0.33, "greedy_path_relinking": False},
            "1qbit.pathrelinking",
            {"distance_scale": "0.33", "greedy_path_relinking": "False"},
        ),
        (
            PticmSolver,
            {"goal": "SAMPLE", "manual_temperatures": [0.2, 1.0], "seed": 7},
            "1qbit.pticm",
            {"goal": "SAMPLE", "manual_temperatures": "[0.2, 1.0]", "seed": "7"},
        ),
        (SimulatedBifurcationMachine, {}, "toshiba.sbm.ising", {}),
        (
            SimulatedBifurcationMachine,
            {"loops": 0, "dt": 0.5, "C": 0, "algo": "1.5", "auto": True, "target": -3.5, "maxout": 4},
            "toshiba.sbm.ising",
            {"loops": 0, "dt": 0.5, "C": 0, "algo": "1.5", "auto": True, "target": -3.5, "maxout": 4},
        ),
    ],
    ids=str,
)
def test_other_providers_get_their_parameters_flat(
    workspace: Workspace, solver: type[Solver], parameters: dict[str, Any], target: str, sent: dict[str, Any]
) -> None:
    made = solver(workspace, **parameters)
    assert made.name == target
    assert made.params == sent
    provider = target.partition(".")[0]
    assert made.provider_id == provider
    assert made.output_data_format == f"microsoft.qio-results.v{1 if provider == '1qbit' else 2}"


@pytest.mark.parametrize(
    ("solver", "parameters", "message"),
    [
        (PopulationAnnealing, {"alpha": 1.0}, "alpha must be greater than 1, found 1.0"),
        (PopulationAnnealing, {"alpha": "2"}, "alpha must be a number, found str '2'"),
        (PopulationAnnealing, {"population": 0}, "population must be positive, found 0"),
        (PopulationAnnealing, {"sweeps": 1.5}, "sweeps must be an integer, found float 1.5"),
        (PopulationAnnealing, {"timeout": -1}, "timeout must be positive, found -1"),
        (PopulationAnnealing, {"beta": 5}, "beta must be a RangeSchedule, found int"),
        (PopulationAnnealing, {"beta": RangeSchedule("linear", 2, 1)}, "beta must be increasing, found 2 to 1"),
        (PopulationAnnealing, {"beta": RangeSchedule("linear", 0, 1)}, "beta.initial must be greater than 0, found 0"),
        (SubstochasticMonteCarlo, {"alpha": RangeSchedule("linear", 0, 1)}, "alpha must be decreasing, found 0 to 1"),
        (
            SubstochasticMonteCarlo,
            {"alpha": RangeSchedule("linear", 1, -1)},
            "alpha.final must be at least 0, found -1",
        ),
        (SubstochasticMonteCarlo, {"target_population": -2}, "target_population must be positive, found -2"),
        (SubstochasticMonteCarlo, {"step_limit": 0}, "step_limit must be positive, found 0"),
        (SubstochasticMonteCarlo, {"steps_per_walker": 0}, "steps_per_walker must be positive, found 0"),
    ],
    ids=str,
)
def test_what_the_sdk_refused_is_refused_before_anything_is_sent(
    workspace: Workspace, solver: type[Solver], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        solver(workspace, **parameters)


def test_schedules_are_linear_or_geometric() -> None:
    made = RangeSchedule("geometric", 1, 2)
    assert (made.schedule_type, made.initial, made.final) == ("geometric", 1, 2)
    with pytest.raises(ValueError, match="schedule_type must be linear or geometric, found 'cubic'"):
        RangeSchedule("cubic", 1, 2)


def test_isoenergetic_cluster_moves_need_not_be_asked_for(workspace: Workspace) -> None:
    with pytest.warns(DeprecationWarning, match="perform_icm"):
        assert PticmSolver(workspace, perform_icm=True).params == {}


def test_solvers_are_where_programs_import_them_from() -> None:
    for solver in SOLVERS:
        provider = solver.target_names[0].partition(".")[0]
        module = {"1qbit": ".oneqbit", "toshiba": ".toshiba"}.get(provider, "")
        assert getattr(import_module(f"qiosk.optimization{module}"), solver.__name__) is solver


def test_replicas_must_be_as_many_as_betas(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"replicas must be .*3, found 2"):
        ParallelTempering(workspace, all_betas=[1, 2, 3], replicas=2)


def test_only_the_cpu_is_left(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"platform must be HardwarePlatform.CPU"):
        SimulatedAnnealing(workspace, platform=HardwarePlatform.FPGA)


def test_unknown_arguments_are_refused(workspace: Workspace) -> None:
    told = (
        "SimulatedAnnealing has no parameter 'sweep'; it takes beta_start, beta_stop, sweeps, restarts, timeout, seed,"
    )
    with pytest.raises(TypeError, match=told):
        SimulatedAnnealing(workspace, sweep=1)
    with pytest.raises(TypeError, match="Solver has no parameter 'sweep'$"):
        Solver(workspace, "other.newsolver", sweep=1)
    with pytest.raises(WrongType, match="workspace: must be a Workspace, found dict"):
        SimulatedAnnealing({})  # type: ignore[arg-type]

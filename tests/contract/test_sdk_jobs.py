"""Names, signatures and semantics that programs written for the old SDK rely on."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from fake_jobs import FakeJobs
from qiosk.client.details import JobDetails
from qiosk.client.job import Job
from qiosk.client.solvers import HardwarePlatform, ParallelTempering, SimulatedAnnealing, Solver
from qiosk.client.workspace import Workspace

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
    assert positional == names


def test_details_have_the_properties_of_the_sdk() -> None:
    assert set(JobDetails.__dataclass_fields__) >= DETAILS


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


def test_replicas_must_be_as_many_as_betas(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"replicas must be .*3, found 2"):
        ParallelTempering(workspace, all_betas=[1, 2, 3], replicas=2)


def test_only_the_cpu_is_left(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"platform must be HardwarePlatform.CPU"):
        SimulatedAnnealing(workspace, platform=HardwarePlatform.FPGA)


def test_unknown_arguments_are_refused(workspace: Workspace) -> None:
    with pytest.raises(TypeError, match="sweep"):
        SimulatedAnnealing(workspace, sweep=1)  # type: ignore[call-arg]

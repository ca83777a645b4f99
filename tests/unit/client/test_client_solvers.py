"""Solver objects: from parameters and a problem to a submission."""

from __future__ import annotations

import gzip
import json
import logging
import math
from typing import Any

import numpy as np
import pytest

from fake_jobs import FakeJobs
from qiosk.client.solvers import (
    SOLVERS,
    ParallelTempering,
    QuantumMonteCarlo,
    RangeSchedule,
    SimulatedAnnealing,
    SimulatedBifurcationMachine,
    Solver,
    SubstochasticMonteCarlo,
    Tabu,
    TabuSearch,
    format_of,
    target_for,
)
from qiosk.client.workspace import Workspace
from qiosk.contract.jobs import JobStatus, TargetView
from qiosk.errors import InvalidTarget, InvalidValue, RepeatedVariable, WrongType
from qiosk.problem import Problem, ProblemType


@pytest.fixture
def problem() -> Problem:
    made = Problem(name="ship", problem_type=ProblemType.ising)
    made.add_term(c=-9, indices=[0])
    made.add_term(c=-3, indices=[1, 0])
    return made


def test_a_problem_is_sent_as_gzip_under_its_own_name(workspace: Workspace, api: FakeJobs, problem: Problem) -> None:
    job = SimulatedAnnealing(workspace, timeout=5).submit(problem)
    command = api.commands[0]
    assert (job.id, job.details.name, command.name) == (command.id, "ship", "ship")
    assert (command.provider_id, command.target) == ("Microsoft", "microsoft.simulatedannealing-parameterfree.cpu")
    assert (command.input_data_format, command.output_data_format) == ("microsoft.qio.v2", "microsoft.qio-results.v2")
    sent = json.loads(gzip.decompress(api.blobs[f"job-{job.id}", "inputData"]))
    assert sent == json.loads(problem.serialize())
    assert json.loads(job.download_data(job.details.input_data_uri or "")) == sent


def test_a_problem_can_be_sent_as_it_is(workspace: Workspace, api: FakeJobs, problem: Problem) -> None:
    ParallelTempering(workspace).submit(problem, compress=False, name="other", tags=["a"], priority="High")
    command = api.commands[0]
    assert command.input_data == problem.serialize().encode()
    assert (command.name, command.tags, command.priority) == ("other", ("a",), "High")


def test_an_uploaded_problem_is_named_by_its_uri(workspace: Workspace, api: FakeJobs, problem: Problem) -> None:
    uri = workspace.upload_problem(problem)
    job = ParallelTempering(workspace).submit(uri)
    assert (api.commands[0].input_data_uri, api.commands[0].input_data) == (uri, None)
    assert job.details.name == "Optimization problem"


def test_packed_bytes_are_not_packed_again(workspace: Workspace, api: FakeJobs) -> None:
    packed = gzip.compress(b"{}")
    ParallelTempering(workspace).submit(packed)
    assert api.commands[0].input_data == packed


@pytest.mark.parametrize("wrong", [None, 3, [], {}])
def test_what_is_no_problem_is_refused(workspace: Workspace, api: FakeJobs, wrong: Any) -> None:
    with pytest.raises(WrongType, match=f"problem: must be a Problem, .* found {type(wrong).__name__}"):
        ParallelTempering(workspace).submit(wrong)
    assert api.jobs == {}


def test_a_target_that_is_not_offered_is_refused_and_nothing_is_stored(workspace: Workspace, api: FakeJobs) -> None:
    with pytest.raises(InvalidTarget):
        Solver(workspace, "microsoft.gone.cpu").submit(b"{}")
    assert api.jobs == {}
    assert api.blobs == {}


def test_optimize_returns_the_results(workspace: Workspace, api: FakeJobs, problem: Problem) -> None:
    api.steps = [lambda i: api.finish(i, JobStatus.SUCCEEDED, b'{"cost": -12.0}')]
    assert SimulatedAnnealing(workspace).optimize(problem)["cost"] == -12.0


def test_optimize_gives_up_in_time_and_leaves_the_job(workspace: Workspace, api: FakeJobs) -> None:
    with pytest.raises(TimeoutError):
        SimulatedAnnealing(workspace).optimize(b"{}", timeout_secs=0)
    assert [job.status for job in api.jobs.values()] == ["Waiting"]


def test_the_number_of_solutions_is_a_parameter(workspace: Workspace) -> None:
    solver = SimulatedAnnealing(workspace)
    solver.set_number_of_solutions(3)
    assert solver.params == {"params": {"number_of_solutions": 3}}


def test_numpy_values_become_json(workspace: Workspace) -> None:
    solver = ParallelTempering(workspace, sweeps=np.int64(5), all_betas=np.linspace(0.5, 1, 3), seed=np.uint8(7))  # type: ignore[arg-type]
    assert json.loads(json.dumps(solver.params)) == {
        "params": {"sweeps": 5, "all_betas": [0.5, 0.75, 1.0], "replicas": 3, "seed": 7}
    }


@pytest.mark.parametrize(
    ("make", "parameters", "rule"),
    [
        (SimulatedAnnealing, {"sweeps": -1}, "`sweeps`: must be greater than 0, found -1"),
        (SimulatedAnnealing, {"timeout": -4}, "`timeout`: must be at least 0, found -4"),
        (SimulatedAnnealing, {"sweeps": "many"}, "`sweeps`: must be an integer, found str 'many'"),
        (
            SimulatedAnnealing,
            {"params": {"number_of_solutions": 11}},
            "`number_of_solutions`: must be 1 to 10",
        ),
        (ParallelTempering, {"all_betas": [1, -1]}, r"`all_betas\[1\]`: must be at least 0"),
        (Tabu, {"tabu_tenure": 0.5, "sweeps": 1}, "`tabu_tenure`: must be an integer"),
        (QuantumMonteCarlo, {"trotter_number": -2}, "`trotter_number`: must be"),
        (SubstochasticMonteCarlo, {"alpha": RangeSchedule("geometric", 1, 0)}, "`alpha.final`: must be greater than 0"),
        (TabuSearch, {"timeout": -1}, "`timeout`: must be at least 0"),
        (SimulatedBifurcationMachine, {"dt": 2.0}, "`dt`: must be"),
    ],
)
def test_wrong_parameters_are_refused_when_a_solver_is_made(
    workspace: Workspace, make: type[Solver], parameters: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        make(workspace, **parameters)


def test_wrong_parameters_are_refused_when_they_are_set(workspace: Workspace) -> None:
    solver = SimulatedAnnealing(workspace, sweeps=5)
    with pytest.raises(InvalidValue, match="`number_of_solutions`: must be 1 to 10"):
        solver.set_number_of_solutions(0)
    with pytest.raises(WrongType, match="`sweeps`"):
        solver.set_one_param("sweeps", "few")
    assert solver.params == {"params": {"sweeps": 5}}


def test_parameters_of_other_targets_are_left_to_the_service_unless_json_cannot_hold_them(workspace: Workspace) -> None:
    assert Solver(workspace, "other.newsolver", params={"sweeps": -1}).params == {"params": {"sweeps": -1}}
    for value in (math.inf, [0.5, math.nan]):
        with pytest.raises(InvalidValue, match="parameter `all_betas.*must be finite"):
            Solver(workspace, "other.newsolver", params={"all_betas": value})
    with pytest.raises(WrongType, match=r"parameter `beta.initial`: must be a JSON value, found object"):
        Solver(workspace, "other.newsolver", params={"beta": {"initial": object()}})


def test_flat_parameters_can_be_sent_as_strings(workspace: Workspace) -> None:
    flat = Solver(workspace, "1qbit.tabu", "1qbit", nested_params=False, force_str_params=True, params={"goal": False})
    flat.set_one_param("timeout", 0.5)
    flat.set_one_param("seed", None)
    assert flat.params == {"goal": "False", "timeout": "0.5"}


@pytest.mark.parametrize(
    ("name", "params", "target"),
    [
        ("Microsoft.SimulatedAnnealing.cpu", {}, "Microsoft.SimulatedAnnealing-parameterfree.cpu"),
        ("microsoft.simulatedannealing.cpu", {"sweeps": None}, "microsoft.simulatedannealing-parameterfree.cpu"),
        ("microsoft.simulatedannealing.cpu", {"sweeps": 1}, "microsoft.simulatedannealing.cpu"),
        (
            "microsoft.simulatedannealing-parameterfree.cpu",
            {"sweeps": 1},
            "microsoft.simulatedannealing-parameterfree.cpu",
        ),
        ("microsoft.tabu.cpu", {}, "microsoft.tabu-parameterfree.cpu"),
        ("microsoft.populationannealing.cpu", {}, "microsoft.populationannealing.cpu"),
        ("Microsoft.PopulationAnnealing.cpu", {"timeout": 1}, "Microsoft.PopulationAnnealing-parameterfree.cpu"),
        ("microsoft.qmc.cpu", {}, "microsoft.qmc.cpu"),
        ("1qbit.tabu", {}, "1qbit.tabu"),
        ("plain", {}, "plain"),
    ],
)
def test_only_targets_that_are_known_to_tune_themselves_are_switched(
    name: str, params: dict[str, Any], target: str
) -> None:
    assert target_for(name, params) == target


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_is_sent_to_a_target_that_is_offered(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, api: FakeJobs, problem: Problem, solver: type[Solver]
) -> None:
    offered = tuple(TargetView(id=name, provider_id="any") for name in solver.target_names)
    monkeypatch.setattr("fake_jobs.TARGETS", offered)
    made: Any = solver
    made(workspace, params={"seed": 3}).submit(problem)
    sent = api.commands[0]
    assert sent.target in solver.target_names
    assert sent.provider_id.lower() == sent.target.partition(".")[0]
    flat: Any = sent.input_params
    nested = {"params": {"seed": 3}}
    assert flat == {"1qbit": {"seed": "3"}, "toshiba": {"seed": 3}}.get(sent.provider_id, nested)


def test_targets_that_are_looked_up_are_of_their_class_and_provider(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    offered = [TargetView(id=name, provider_id=format_of(name).provider_id) for s in SOLVERS for name in s.target_names]
    offered.append(TargetView(id="1qbit.new", provider_id="1QBit"))
    monkeypatch.setattr("fake_jobs.TARGETS", tuple(offered))
    found = workspace.get_targets()
    assert isinstance(found, list)
    assert {type(solver) for solver in found} == {*SOLVERS, Solver}
    assert "microsoft.populationannealing.cpu" in {solver.name for solver in found}
    new = workspace.get_targets("1qbit.new")
    assert isinstance(new, Solver)
    assert (new.provider_id, new.nested_params, new.force_str_params) == ("1QBit", False, True)
    assert new.output_data_format == "microsoft.qio-results.v1"


def test_refresh_reads_availability_again(workspace: Workspace) -> None:
    solver = Solver(workspace, "other.newsolver", "other")
    solver.refresh()
    assert (solver.current_availability, solver.average_queue_time) == ("Available", 7)
    with pytest.raises(ValueError, match="target 'gone' of provider 'other' is not offered"):
        Solver(workspace, "gone", "other").refresh()


def test_optimize_warns_about_what_may_take_long(
    workspace: Workspace, api: FakeJobs, problem: Problem, caplog: pytest.LogCaptureFixture
) -> None:
    api.steps = [lambda i: api.finish(i, JobStatus.SUCCEEDED, b"{}")] * 2
    with caplog.at_level(logging.WARNING):
        SimulatedAnnealing(workspace, sweeps=100_000).optimize(problem)
        assert caplog.messages == []
        SimulatedAnnealing(workspace, timeout=3600).optimize(problem)
    assert caplog.messages == ["a time-out of 3600 s: this may take long"]


def test_a_long_job_is_told_of_before_it_is_submitted(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, problem: Problem, caplog: pytest.LogCaptureFixture
) -> None:
    solver = SimulatedAnnealing(workspace, sweeps=10_000, timeout=599)
    with caplog.at_level(logging.WARNING):
        solver.check_submission_warnings(problem)
        assert caplog.messages == []
        monkeypatch.setattr(Problem, "NUM_TERMS_LARGE", 2)
        monkeypatch.setattr(Problem, "NUM_VARIABLES_LARGE", 2)
        solver.check_submission_warnings(problem)
        monkeypatch.setattr(Solver, "TIMEOUT_WARNING", 599)
        monkeypatch.setattr(Solver, "SWEEPS_WARNING", 10_001)
        solver.check_submission_warnings(problem)
    assert caplog.messages == [
        "a large problem and 10000 sweeps: this may take long",
        "a time-out of 599 s: this may take long",
    ]


def test_a_problem_is_checked_without_a_job(workspace: Workspace, api: FakeJobs, problem: Problem) -> None:
    solver = SimulatedAnnealing(workspace)
    solver.check_valid_problem(problem)
    problem.add_term(c=1, indices=[2, 2])
    with pytest.raises(RepeatedVariable, match="term 2: variable 2 occurs twice in an Ising term"):
        solver.check_valid_problem(problem)
    assert api.commands == []


def test_the_estimate_of_a_price_is_an_error_that_is_not_raised(workspace: Workspace, problem: Problem) -> None:
    estimate = Tabu(workspace).estimate_cost(problem)
    assert isinstance(estimate, NotImplementedError)
    assert str(estimate) == "target 'microsoft.tabu-parameterfree.cpu' has no price"

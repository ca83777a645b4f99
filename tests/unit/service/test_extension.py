"""Searches that go on from the checkpoint of a run that has ended; and which checkpoints are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from patience import SLOWNESS
from qiosk.contract.jobs import ErrorData, SubmitJob
from qiosk.contract.provenance import environment
from qiosk.errors import Conflict, UnreadableCheckpoint
from qiosk.modeling import Model, total
from qiosk.optimization import ParallelTempering, Problem, SimulatedAnnealing, Tabu, Term
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import BlobRef, Job, JobState
from qiosk.service.jobs.removal import is_leftover
from qiosk.service.jobs.runs import RunOutcome, RunUpdate
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.setup import job_setup
from qiosk.solvers.targets.catalogue import targets
from qiosk.testing import ManualClock, MemoryBlobStore, MemoryJobStore, MemoryService

RNG = np.random.default_rng(5)
PAIRS = [tuple(RNG.choice(300, 2, replace=False).tolist()) for _ in range(900)]
GLASS = Problem("glass", [Term(c=float(RNG.choice([-1, 1])), indices=list(pair)) for pair in PAIRS])

SEARCH_S = 0.2 * SLOWNESS
"""Long enough that a search goes on in it, also on a busy machine."""


def cut(target, params, *, resume=None, is_extension=False, stop_after=3, least_s=0.0):
    """A run that is cancelled after a few chunks, and no sooner than ``least_s``: its result, and its reports."""
    reports = []
    setup = job_setup(target, {"params": params} if target.startswith(("microsoft", "qiosk")) else params, 1)
    hooks = Hooks(
        is_cancelled=lambda: len(reports) >= stop_after and reports[-1].progress.seconds >= least_s,
        on_chunk=reports.append,
        resume=resume,
        is_extension=is_extension,
    )
    return setup.run(GLASS.cost_function(), hooks), reports


LONG = {
    "microsoft.simulatedannealing.cpu": {"sweeps": 10**7, "restarts": 4},
    "microsoft.paralleltempering.cpu": {"sweeps": 10**7, "replicas": 4},
    "microsoft.tabu.cpu": {"sweeps": 10**7, "restarts": 4},
    "microsoft.qmc.cpu": {"sweeps": 10**7, "restarts": 1},
    "microsoft.populationannealing.cpu": {"sweeps": 10**7, "population": 4},
    "microsoft.substochasticmontecarlo.cpu": {"step_limit": 10**7},
    "toshiba.sbm.ising": {"steps": 10**6, "loops": 1},
    "1qbit.pticm": {"max_total_sweeps": 10**7},
    **{t.id: {"timeout": 600.0} for t in targets() if t.is_parameter_free},
}


@pytest.mark.parametrize("target", LONG)
def test_every_target_goes_on_with_another_time_limit(target):
    result, reports = cut(target, {"seed": 3, **LONG[target]})
    assert result.stop_reason == "cancelled"
    last = reports[-1]
    assert last.is_last
    assert not any(report.is_last for report in reports[:-1])
    params = {"seed": 3, **LONG[target], "timeout": 300.0}
    longer, after = cut(target, params, resume=last.checkpoint(), is_extension=True, stop_after=1)
    assert longer.cost <= result.cost
    assert longer.statistics["sweeps"] >= result.statistics["sweeps"]
    assert list(longer.trace[: len(result.trace)]) == list(result.trace)
    assert after[0].progress.seconds >= last.progress.seconds


def test_the_time_before_does_not_count_against_the_new_limit():
    """But that of earlier attempts of the extension does."""
    target, params = "microsoft.simulatedannealing.cpu", {"seed": 3, "sweeps": 10**8, "restarts": 4}
    _, reports = cut(target, params, least_s=2 * SEARCH_S)
    checkpoint, before = reports[-1].checkpoint(), reports[-1].progress
    limited = {**params, "timeout": SEARCH_S}
    first, after = cut(target, limited, resume=checkpoint, is_extension=True, stop_after=10**9)
    assert first.stop_reason == "timeout"
    assert len(after) > 1
    assert after[-1].progress.sweeps > before.sweeps  # though the time before was longer than the limit
    again, reports = cut(target, limited, resume=after[-1].checkpoint(), stop_after=10**9)
    assert reports[-1].progress.sweeps - after[-1].progress.sweeps < after[-1].progress.sweeps - before.sweeps
    assert again.cost <= first.cost
    not_extended, reports = cut(target, limited, resume=checkpoint, stop_after=10**9)
    assert [report.is_last for report in reports] == [True]
    assert not_extended.cost >= first.cost


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_reduced_problem_is_reduced_again(is_wanted):
    terms = [Term(c=1.0, indices=[i, 300 + i]) for i in range(100)]
    problem = Problem("glass with leaves", [*GLASS.terms, *terms])
    params = {"params": {"seed": 1, "sweeps": 10**7, "restarts": 2, "presolve": is_wanted}}
    reports = []
    hooks = Hooks(is_cancelled=lambda: len(reports) >= 2, on_chunk=reports.append)
    setup = job_setup("microsoft.simulatedannealing.cpu", params, 1)
    result = setup.run(problem.cost_function(), hooks)
    checkpoint = reports[-1].checkpoint()
    reports.clear()
    longer = setup.run(problem.cost_function(), replace(hooks, resume=checkpoint, is_extension=True))
    assert (longer.parameters.get("presolve"), longer.cost <= result.cost) == (is_wanted, True)
    assert longer.cost == problem.evaluate(longer.configuration)


def test_the_checkpoint_of_other_parameters_is_refused():
    _, reports = cut("microsoft.tabu.cpu", {"seed": 3, "sweeps": 10**7})
    with pytest.raises(UnreadableCheckpoint, match="digest of the parameters"):
        cut("microsoft.tabu.cpu", {"seed": 4, "sweeps": 10**7}, resume=reports[-1].checkpoint(), is_extension=True)


@pytest.mark.parametrize(
    ("solver", "params"),
    [
        (SimulatedAnnealing, {"sweeps": 10**8, "restarts": 2}),
        (ParallelTempering, {"sweeps": 10**8, "all_betas": [0.1, 1.0]}),
        (Tabu, {"sweeps": 10**8}),
    ],
)
def test_a_job_of_the_solvers_is_extended_in_memory(solver, params):
    workspace = MemoryService().workspace()
    job = solver(workspace, timeout=SEARCH_S, seed=1, **params).submit(GLASS)
    job.wait_until_completed()
    assert (job.stop_reason, job.details.can_extend) == ("timeout", True)
    longer = job.extend(timeout=SEARCH_S)
    longer.wait_until_completed()
    assert longer.stop_reason == "timeout"
    assert longer.get_results().cost <= job.get_results().cost
    assert longer.details.progress.sweeps > job.details.progress.sweeps
    assert longer.provenance.seed == job.provenance.seed
    assert longer.trace[: len(job.trace)] == job.trace


def test_a_job_over_several_nodes_is_not_extended():
    job = Tabu(MemoryService().workspace(), timeout=SEARCH_S, seed=1, sweeps=10**8, params={"nodes": 2}).submit(GLASS)
    job.wait_until_completed()
    assert (job.stop_reason, job.details.can_extend) == ("timeout", False)
    assert [member["stop_reason"] for member in job.provenance.statistics["members"]] == ["timeout", "timeout"]
    with pytest.raises(Conflict, match="ran over several nodes, each for the time limit"):
        job.extend(timeout=SEARCH_S)


class Store:
    """One running job, with a checkpoint of so many bytes."""

    def __init__(self, size=10, kept_bytes=100):
        self.clock, self.jobs, self.blobs = ManualClock(), MemoryJobStore(), MemoryBlobStore()
        command = SubmitJob(name="n", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
        job = define_job("j", command, workspace="w", blobs=self.blobs, at=self.clock.now())
        self.jobs.add(job)
        claimed = claim_next(self.jobs, self.clock, worker="h/w")
        self.attempt = Attempt(claimed, jobs=self.jobs, blobs=self.blobs, clock=self.clock, kept_bytes=kept_bytes)
        for name, data in (("checkpoint", b"x" * size), ("bestSoFar", b"{}"), ("rawOutputData", b"{}")):
            self.blobs.put(BlobRef(job.container, name), data)
        self.attempt.report(RunUpdate(checkpoint_blob="checkpoint", best_blob="bestSoFar", best_cost=-1.0))

    def end(self, reason):
        self.attempt.report(RunUpdate(provenance=structs.replace(environment(), stop_reason=reason)))
        assert self.attempt.finish(RunOutcome(output_blob="rawOutputData", stop_reason=reason))
        return self.job

    @property
    def job(self) -> Job:
        return self.jobs.get(self.attempt.job.key)

    @property
    def left(self):
        return list(self.blobs.list("job-j"))


@pytest.mark.parametrize("reason", ["timeout", "run_limit"])
def test_the_checkpoint_of_a_job_that_time_ended_is_kept(reason):
    store = Store()
    job = store.end(reason)
    assert (job.state, job.can_extend, store.left) == (JobState.SUCCEEDED, True, ["checkpoint", "rawOutputData"])
    assert not is_leftover("checkpoint", job)
    assert is_leftover("checkpoint-2", job)


@pytest.mark.parametrize("reason", ["finished", "converged", "target"])
def test_the_checkpoint_of_a_job_that_ended_by_itself_is_removed(reason):
    store = Store()
    job = store.end(reason)
    assert (job.can_extend, job.checkpoint_blob, store.left) == (False, None, ["rawOutputData"])


def test_the_checkpoint_of_a_failed_job_is_removed():
    store = Store()
    assert store.attempt.fail(ErrorData(code="InternalError", message="no"))
    assert (store.job.can_extend, store.left) == (False, [])


def test_a_checkpoint_that_is_too_large_is_removed():
    store = Store(size=101)
    job = store.end("timeout")
    assert (job.can_extend, job.checkpoint_blob, store.left) == (False, None, ["rawOutputData"])
    assert Store(size=100).end("timeout").can_extend
    assert not Store(kept_bytes=0).end("timeout").can_extend


def test_a_checkpoint_that_is_gone_is_not_promised():
    store = Store()
    store.blobs.delete(BlobRef("job-j", "checkpoint"))
    assert not store.end("timeout").can_extend


def test_a_job_that_was_killed_at_the_run_limit_can_be_extended():
    store = Store()
    assert store.attempt.time_over(5.0)
    assert store.job.can_extend


def packing(n=60):
    """A model of many constraints, which no search in a fraction of a second solves for certain."""
    model = Model("packing")
    take = model.bits("take", range(n))
    model.maximize(total((5 + i * 5 % 13) * bit for i, bit in take.items()))
    for k in range(12):
        model.add(total((3 + (i * 7 + k * k) % 11) * bit for i, bit in take.items()) <= 60, f"room {k}")
    return model


@pytest.mark.parametrize("weight", [1.0, 100.0])
def test_a_job_of_a_model_goes_on_in_the_round_in_which_it_ended(weight):
    model = packing()
    workspace = MemoryService().workspace()
    problem = model.problem(weights=dict.fromkeys(model.weights(), weight))
    job = SimulatedAnnealing(workspace, timeout=1.5, seed=1, sweeps=10**8, restarts=2).submit(problem)
    job.wait_until_completed()
    assert job.details.can_extend
    longer = job.extend(timeout=1.5)
    longer.wait_until_completed()
    assert (str(longer.status), longer.details.can_extend) == ("Succeeded", True)
    before, after = (len(each.provenance.statistics["rounds"]) for each in (job, longer))
    assert after >= before
    assert longer.provenance.statistics["is_paced"], "propagation has begun again"
    assert longer.details.progress.seconds >= job.details.progress.seconds
    assert len(model.decode(longer.get_results()).violated) <= len(model.decode(job.get_results()).violated)
    costs = [[point.cost for point in each.trace] for each in (job, longer)]
    assert costs[1][: len(costs[0])] == costs[0]

"""The asyncio twins do what their originals do, and do not hold up the event loop."""

from __future__ import annotations

import asyncio

import pytest

from homes import shared_home
from qiosk.aio import Job, Workspace
from qiosk.aio import solvers as aio_solvers
from qiosk.aio.optimization import ParallelTempering, Problem, ProblemType, SimulatedAnnealing, Term
from qiosk.client import solvers as sync_solvers
from qiosk.errors import BlobNotFound, JobFailed, JobNotFound


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with shared_home(tmp_path_factory.mktemp("home")) as path:
        yield path


def ship(n=3):
    return Problem(
        "ship", [Term(c=(i + 1), indices=[i, (i + 1) % n]) for i in range(n)], problem_type=ProblemType.ising
    )


def test_every_solver_has_a_twin():
    assert {twin.sync_class for twin in aio_solvers.Solver.__subclasses__()} == set(sync_solvers.SOLVERS)


def test_a_batch(home):
    async def batch():
        async with Workspace(home=home) as workspace:
            solver = SimulatedAnnealing(workspace, timeout=5, seed=1)
            jobs = await asyncio.gather(*(solver.submit(ship(n)) for n in (3, 4, 5)))
            results = await asyncio.gather(*(job.get_results() for job in jobs))
            listed = await workspace.list_jobs(name_match="ship")
            return jobs, results, listed

    jobs, results, listed = asyncio.run(batch())
    assert [r["cost"] for r in results] == [-4, -10, -13]
    assert {job.id for job in jobs} <= {job.id for job in listed}
    assert all(isinstance(job, Job) and job.has_completed() for job in jobs)


def test_the_loop_goes_on_while_a_job_runs(home):
    async def both():
        async with Workspace(home=home) as workspace:
            job = await ParallelTempering(workspace, timeout=600, sweeps=10**9).submit(ship(40))
            waiting = asyncio.create_task(job.wait_until_completed())
            for _ in range(20):
                await asyncio.sleep(0.01)
            await workspace.cancel_job(job)
            await waiting
            return job

    assert asyncio.run(both()).status == "Cancelled", "the loop stood still until the job had ended"


def test_cancelling_and_time_limits(home):
    async def cancelled():
        async with Workspace(home=home) as workspace:
            job = await ParallelTempering(workspace, timeout=600, sweeps=10**9).submit(ship(40))
            with pytest.raises(TimeoutError):
                await job.get_results(timeout_secs=0.3)
            task = asyncio.create_task(job.wait_until_completed())
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not (await workspace.get_job(job.id)).has_completed(), "the wait was cancelled, and not the job"
            await workspace.cancel_job(job)
            await job.wait_until_completed()
            return job

    assert asyncio.run(cancelled()).status == "Cancelled"


def test_the_rest_of_a_job(home):
    async def rest():
        async with Workspace(home=home) as workspace:
            assert workspace.name == "default"
            uri = await ship().upload(workspace, blob_name="ship-3")
            job = await SimulatedAnnealing(workspace, timeout=5).submit(uri)
            seen = [progress async for progress in job.watch()]
            assert seen[-1].fraction == 1.0
            await job.upload_attachment("note", b"hello")
            assert await job.download_attachment("note") == b"hello"
            assert (await job.best())["cost"] == (await job.get_results())["cost"] == -4
            assert (await job.trace())[-1].cost == -4
            assert (await job.progress()).best_cost == -4
            assert b"cost_function" in await job.download_data(job.details.input_data_uri)
            again = await workspace.get_job(job.id)
            await again.delete()
            with pytest.raises(JobNotFound):
                await workspace.get_job(job.id)
            with pytest.raises(BlobNotFound):
                await job.download_attachment("note")

    asyncio.run(rest())


def test_targets_are_twins(home):
    async def targets():
        async with Workspace(home=home) as workspace:
            one = await workspace.get_targets("microsoft.tabu.cpu")
            assert isinstance(one, aio_solvers.Tabu)
            await one.refresh()
            assert one.name == "microsoft.tabu-parameterfree.cpu"
            assert await one.optimize(ship())
            assert len(await workspace.get_targets()) > 5

    asyncio.run(targets())


def test_failures_are_the_same(home):
    async def failing():
        async with Workspace(home=home) as workspace:
            job = await SimulatedAnnealing(workspace, timeout=5).submit(b"no problem")
            await job.get_results()

    with pytest.raises(JobFailed, match="AZQ105"):
        asyncio.run(failing())


def test_nothing_that_blocks_is_passed_through(home):
    workspace = Workspace(home=home)
    with pytest.raises(AttributeError, match="asyncio workspace"):
        workspace.watch  # noqa: B018
    asyncio.run(workspace.close())

"""What a workspace may use, on stores in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from qiosk.contract.jobs import SubmitJob
from qiosk.contract.quotas import UNLIMITED, Dimension
from qiosk.contract.sessions import OpenSession
from qiosk.errors import InvalidValue, QuotaExceeded
from qiosk.service.accounts.quotas import CACHE_S, MEASURE_S, QuotaService, check_limit, month_of
from qiosk.service.jobs.attempts import claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobEvent
from qiosk.service.jobs.views import job_view
from qiosk.service.sessions.session import TIMEOUT
from qiosk.service.sessions.session_service import SessionService
from qiosk.solvers.targets.catalogue import Catalogue
from qiosk.testing import ManualClock, MemoryBlobStore, MemoryJobStore, MemoryLimitStore, MemorySessionStore


def new_session(session_id: str) -> OpenSession:
    return OpenSession(name="a", provider_id="Microsoft", target="microsoft.simulatedannealing.cpu", id=session_id)


class Office:
    """Quotas of the workspace ``w``, and what they are taken from."""

    def __init__(self, **defaults: float) -> None:
        self.jobs = MemoryJobStore()
        self.sessions = MemorySessionStore(self.jobs)
        self.limits = MemoryLimitStore()
        self.clock = ManualClock(datetime(2026, 1, 31, 23, 0, tzinfo=UTC))
        self.stored = 0
        self.service = QuotaService(
            jobs=self.jobs,
            sessions=self.sessions,
            limits=self.limits,
            defaults={Dimension[name]: limit for name, limit in defaults.items()},
            clock=self.clock,
            stored_bytes=lambda workspace: self.stored,
        )

    def submit(self, job_id: str, workspace: str = "w") -> None:
        command = SubmitJob(name="a", provider_id="m", target="t", input_data=b"")
        self.jobs.add(define_job(job_id, command, workspace=workspace, blobs=MemoryBlobStore(), at=self.clock.now()))

    def open_sessions(self) -> SessionService:
        return SessionService(
            workspace="w",
            sessions=self.sessions,
            jobs=self.jobs,
            targets=Catalogue(),
            clock=self.clock,
            new_id=lambda: "new",
            view_job=lambda job: job_view(job, MemoryBlobStore().uri),
            quotas=self.service,
        )

    def run_next(self, seconds: float) -> None:
        job = claim_next(self.jobs, self.clock, worker="w")
        self.clock.sleep(seconds)
        ended = job.on(JobEvent.SUCCEED, at=self.clock.now(), output_blob="o")
        assert self.jobs.swap(ended, expected=job)

    def shown(self, dimension: Dimension):
        return next(quota for quota in self.service.view("w") if quota.dimension == dimension)


def test_without_limits_everything_is_allowed_and_counted():
    office = Office()
    for number in range(3):
        office.submit(f"j{number}")
    office.submit("other", "z")
    office.run_next(1800)
    claim_next(office.jobs, office.clock, worker="w")
    office.clock.sleep(360)
    office.stored = 123
    office.service.check_submit("w")
    office.service.check_bytes("w", 10**18)
    quotas = {quota.dimension: quota for quota in office.service.view("w")}
    assert {name: quota.utilization for name, quota in quotas.items()} == {
        "combined_job_hours": 0.5,
        "concurrent_cpu_jobs": 1.0,
        "queued_jobs": 1.0,
        "stored_bytes": 123.0,
        "run_seconds": 360.0,
        "open_sessions": 0.0,
    }
    hours = quotas["combined_job_hours"]
    assert (hours.scope, hours.provider_id, hours.period, hours.limit) == (
        "Workspace",
        "Microsoft",
        "Monthly",
        UNLIMITED,
    )
    assert quotas["queued_jobs"].period == "None"


def test_open_sessions_are_limited_and_a_repeated_request_is_no_second_one():
    office = Office(OPEN_SESSIONS=2)
    sessions = office.open_sessions()
    opened = sessions.open(new_session("s1"))
    sessions.open(new_session("s2"))
    with pytest.raises(QuotaExceeded, match="open sessions: at most 2 are allowed, found 2"):
        sessions.open(new_session("s3"))
    assert sessions.open(new_session("s1")) == opened
    assert office.shown(Dimension.OPEN_SESSIONS).utilization == 2.0
    sessions.close("s1")
    sessions.open(new_session("s3"))
    with pytest.raises(QuotaExceeded):
        sessions.open(new_session("s4"))
    office.clock.sleep(2 * TIMEOUT.total_seconds())
    assert sessions.open(new_session("s4")).id == "s4", "those that have timed out do not count"


def test_a_job_keeps_the_default_longest_run_of_the_process_that_accepted_it():
    office = Office()
    assert (office.service.run_limit(), office.service.run_seconds("w", 60.0)) == (None, 60.0)
    server = Office(RUN_SECONDS=100.0)
    assert (server.service.run_limit(), server.service.run_seconds("w", None)) == (100.0, 100.0)
    assert server.service.run_seconds("w", 60.0) == 60.0
    server.limits.set("w", Dimension.RUN_SECONDS, 5000.0)
    server.clock.sleep(CACHE_S)
    assert server.service.run_seconds("w", 60.0) == 5000.0
    server.limits.set("w", Dimension.RUN_SECONDS, None)
    server.clock.sleep(CACHE_S)
    assert server.service.run_seconds("w", 60.0) is None


def test_running_jobs_hold_hours():
    office = Office()
    office.submit("j")
    claim_next(office.jobs, office.clock, worker="w")
    office.clock.sleep(900)
    hours = office.shown(Dimension.JOB_HOURS)
    assert (hours.utilization, hours.holds) == (0.0, 0.25)
    assert office.shown(Dimension.CONCURRENT_JOBS).utilization == 1.0


def test_hours_are_booked_in_the_month_in_which_a_job_ends_and_stay_when_it_is_deleted():
    office = Office(JOB_HOURS=1.0)
    office.submit("j")
    office.submit("k")
    office.run_next(1800)
    office.jobs.delete(("w", "j"))
    assert office.jobs.run_seconds("w", "2026-01") == 1800.0
    office.run_next(3600)
    assert office.jobs.run_seconds("w", "2026-02") == 3600.0
    with pytest.raises(QuotaExceeded, match="job hours: at most 1 a month are allowed, found 1") as caught:
        office.service.check_submit("w")
    assert caught.value.retry_after_s > 0
    office.service.check_submit("v")
    office.clock.sleep(timedelta(days=28).total_seconds())
    assert month_of(office.clock.now()) == "2026-03"
    office.service.check_submit("w")


def test_a_job_that_never_ran_costs_nothing():
    office = Office()
    office.submit("j")
    job = office.jobs.get(("w", "j"))
    assert office.jobs.swap(job.on(JobEvent.CANCEL, at=office.clock.now()), expected=job)
    assert office.jobs.run_seconds("w", month_of(office.clock.now())) == 0.0


def test_a_later_change_of_a_job_that_has_ended_is_not_booked_again():
    office = Office()
    office.submit("j")
    office.run_next(60)
    job = office.jobs.get(("w", "j"))
    assert office.jobs.swap(replace(job, name="other"), expected=job)
    assert office.jobs.run_seconds("w", month_of(office.clock.now())) == 60.0


def test_a_full_queue_takes_no_more_jobs():
    office = Office(QUEUED_JOBS=2)
    office.submit("a")
    office.service.check_submit("w")
    office.submit("b")
    with pytest.raises(QuotaExceeded, match="queued jobs: at most 2 are allowed, found 2"):
        office.service.check_submit("w")
    office.run_next(1)
    office.service.check_submit("w")


def test_bytes_are_measured_now_and_then_and_added_up_in_between():
    office = Office(STORED_BYTES=100)
    office.stored = 50
    office.service.check_bytes("w", 30)
    office.service.check_bytes("w", 20)
    with pytest.raises(QuotaExceeded, match="stored bytes: at most 100 are allowed, found 100 and 1 more"):
        office.service.check_bytes("w", 1)
    office.clock.sleep(MEASURE_S)
    office.service.check_bytes("w", 50)


def test_a_workspace_may_have_limits_of_its_own():
    office = Office(QUEUED_JOBS=0, CONCURRENT_JOBS=4)
    assert office.service.concurrent_jobs("w") == 4
    office.limits.set("w", Dimension.QUEUED_JOBS, None)
    office.limits.set("w", Dimension.CONCURRENT_JOBS, 1)
    assert office.service.concurrent_jobs("w") == 4  # for some seconds
    office.clock.sleep(CACHE_S)
    assert office.service.concurrent_jobs("w") == 1
    office.service.check_submit("w")
    with pytest.raises(QuotaExceeded):
        office.service.check_submit("v")
    assert office.shown(Dimension.QUEUED_JOBS).limit == UNLIMITED


@pytest.mark.parametrize(
    ("dimension", "limit", "message"),
    [
        (Dimension.JOB_HOURS, -1, "combined_job_hours: must be at least 0, found -1"),
        (Dimension.JOB_HOURS, float("nan"), "must be at least 0, found nan"),
        (Dimension.QUEUED_JOBS, 1.5, "queued_jobs: must be a whole number, found 1.5"),
    ],
)
def test_a_wrong_limit_is_refused(dimension, limit, message):
    with pytest.raises(InvalidValue, match=message):
        check_limit(dimension, limit)
    assert check_limit(Dimension.JOB_HOURS, 1.5) == 1.5

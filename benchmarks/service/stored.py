"""A home with many jobs that have ended, written straight into its database."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.service.served import TARGET
from qiosk.adapters.home.home import Home
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.adapters.sql.tables import jobs, to_row
from qiosk.contract.jobs import ErrorData
from qiosk.service.jobs.job import BlobRef, Job, JobEvent

KEY = "s/g/load"
TARGETS = (TARGET, "microsoft.tabu.cpu", "microsoft.simulatedannealing-parameterfree.cpu", "qiosk.auto")
TAGS = ("nightly", "study-7", "graph")
SESSIONS = 1000
"""Jobs of a session."""
_BATCH = 5000


def fill(home: Path, count: int) -> None:
    """Store ``count`` jobs of the last 14 hours, most of which have succeeded, in the measurements' workspace."""
    chance = random.Random(0)
    database = open_sqlite_database(Home(home).database)
    begin = datetime.now(UTC) - timedelta(milliseconds=500 * count)
    for first in range(0, count, _BATCH):
        rows = [to_row(_job(number, begin, chance)) for number in range(first, min(count, first + _BATCH))]
        with database.write() as connection:
            connection.execute(jobs.insert(), rows)
    database.close()


def _job(number: int, begin: datetime, chance: random.Random) -> Job:
    at = begin + timedelta(milliseconds=500 * number)
    job = Job(
        workspace=KEY,
        id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        name=f"{chance.choice('abcdefgh')}-{chance.randrange(10**6)}",
        provider_id="Microsoft",
        target=chance.choice(TARGETS),
        job_type="Optimization",
        input_params={"params": {"sweeps": 2}},
        metadata=None,
        tags=tuple(tag for tag in TAGS if chance.random() < 0.1),
        priority=None,
        session_id=f"session-{number // SESSIONS}",
        container=f"job-{number}",
        input=BlobRef(f"job-{number}", "inputData"),
        input_data_format="microsoft.qio.v2",
        output_data_format="microsoft.qio-results.v2",
        definition="",
        created_at=at,
    )
    ending = chance.random()
    if ending < 0.1:
        return job.on(JobEvent.CANCEL, at=at)
    running = job.on(JobEvent.CLAIM, at=at, worker="w", lease_expires_at=at)
    if ending < 0.15:
        error = ErrorData(code="InsufficientResources", message="the job needs 300 GB of memory, and 16 GB are there")
        return running.on(JobEvent.FAIL, at=at + timedelta(milliseconds=20), error=error)
    return running.on(JobEvent.SUCCEED, at=at + timedelta(milliseconds=20), output_blob="rawOutputData")

"""A home with many jobs that have ended, written straight into its database."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.service.served import TARGET
from qiosk.adapters.home.home import Home
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.adapters.sql.tables import jobs, to_row
from qiosk.service.jobs.job import BlobRef, Job, JobEvent

KEY = "s/g/load"
_BATCH = 5000


def fill(home: Path, count: int) -> None:
    """Store ``count`` jobs, most of which have succeeded, in the workspace of the other measurements."""
    chance = random.Random(0)
    database = open_sqlite_database(Home(home).database)
    begin = datetime.now(UTC) - timedelta(days=1)
    for first in range(0, count, _BATCH):
        rows = [to_row(_job(number, begin, chance)) for number in range(first, min(count, first + _BATCH))]
        with database.write() as connection:
            connection.execute(jobs.insert(), rows)
    database.close()


def _job(number: int, begin: datetime, chance: random.Random) -> Job:
    at = begin + timedelta(milliseconds=500 * number)
    job = Job(
        workspace=KEY,
        id=f"job-{number:08d}",
        name=f"{chance.choice('abcdefgh')}-{chance.randrange(10**6)}",
        provider_id="Microsoft",
        target=TARGET,
        job_type="Optimization",
        input_params={"params": {"sweeps": 2}},
        metadata=None,
        tags=(),
        priority=None,
        session_id=None,
        container=f"job-{number}",
        input=BlobRef(f"job-{number}", "inputData"),
        input_data_format="microsoft.qio.v2",
        output_data_format="microsoft.qio-results.v2",
        definition="",
        created_at=at,
    )
    if chance.random() < 0.1:
        return job.on(JobEvent.CANCEL, at=at)
    running = job.on(JobEvent.CLAIM, at=at, worker="w", lease_expires_at=at)
    return running.on(JobEvent.SUCCEED, at=at + timedelta(milliseconds=20), output_blob="rawOutputData")

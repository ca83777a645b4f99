"""Storing a job that a client submits.

A client that got no response sends its submission again, perhaps while the first one is still being handled. So the
same submission must always lead to the same job, and a different one under its id must change nothing:

1. A job's ``definition`` is a digest of the command. A stored job of the same id and definition is the answer; one of
   another definition raises JobAlreadyExists.
2. The input is stored before the job's row, so that no row refers to a missing blob, and it never replaces a blob:
   another job may be reading it. A submission that fails after that leaves a blob without a job, which retention
   removes.
3. The store decides which of two simultaneous submissions adds the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import final

from qiosk.contract.jobs import ExtendJob, SubmitJob
from qiosk.errors import BlobAlreadyExists, JobAlreadyExists, JobNotFound, QuotaExceeded
from qiosk.service.accounts.quotas import QuotaGate
from qiosk.service.blobs.store import BlobStore, counted_bytes
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.extension import check_extensible, copy_checkpoint, extended_job
from qiosk.service.jobs.job import Job
from qiosk.service.ports import Clock, JobStore, TargetCatalogue
from qiosk.service.sessions.session import SessionKey, SessionStore, admit_job


@final
class Submissions:
    """Stores the jobs that clients of one workspace submit."""

    def __init__(
        self,
        *,
        workspace: str,
        jobs: JobStore,
        sessions: SessionStore,
        blobs: BlobStore,
        targets: TargetCatalogue,
        clock: Clock,
        new_id: Callable[[], str],
        quotas: QuotaGate,
    ) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._sessions = sessions
        self._blobs = blobs
        self._targets = targets
        self._clock = clock
        self._new_id = new_id
        self._quotas = quotas

    def store(self, command: SubmitJob, submitter: str | None) -> Job:
        """The stored job of a command, and of its ``submitter`` if it is new. Raises what ``JobsApi.submit`` raises."""
        self._targets.check(command.provider_id, command.target)
        job_id = self._new_id() if command.id is None else command.id
        job = define_job(job_id, command, workspace=self._workspace, blobs=self._blobs, at=self._clock.now())
        job = replace(job, submitter=submitter, run_limit=self._quotas.run_limit())
        # A repeated submission must neither store its input nor join its session twice. For jobs with neither it is
        # enough that the store refuses to add a second row: most jobs are new, and need not be looked up first.
        is_looked_up = command.input_data is not None or job.session_id is not None
        stored = self._existing(job) if is_looked_up else None
        return stored or self._add(job, command.input_data)

    def extend(self, parent: Job, command: ExtendJob, submitter: str | None) -> Job:
        """The stored job that goes on where ``parent`` has ended. Raises what ``JobsApi.extend`` raises."""
        self._targets.check(parent.provider_id, parent.target)
        job_id = self._new_id() if command.id is None else command.id
        job = extended_job(parent, job_id, command, self._targets, self._clock.now())
        job = replace(job, submitter=submitter, run_limit=self._quotas.run_limit())
        if (stored := self._existing(job)) is not None:
            return stored
        check_extensible(parent)
        self._quotas.check_submit(self._workspace)
        copy_checkpoint(parent, job, self._blobs, partial(self._quotas.check_bytes, self._workspace))
        try:
            self._jobs.add(job)
        except JobAlreadyExists:
            return self._existing(job) or job
        return job

    def _existing(self, job: Job) -> Job | None:
        """The stored job of this key; None if there is none. Raises JobAlreadyExists if it is another job."""
        try:
            stored = self._jobs.get(job.key)
        except JobNotFound:
            return None
        if stored.definition != job.definition:
            raise JobAlreadyExists(f"job {job.id}: the id belongs to another job", job_id=job.id)
        return stored

    def _add(self, job: Job, data: bytes | None) -> Job:
        try:
            self._quotas.check_submit(self._workspace)
        except QuotaExceeded:
            stored = self._existing(job)  # a job that was accepted is not refused when it is sent again
            if stored is None:
                raise
            return stored
        if job.session_id is not None:
            admit_job(self._sessions, self._jobs, SessionKey(self._workspace, job.session_id), job.created_at)
        if data is not None:
            self._store_input(job, data)
        try:
            self._jobs.add(job)
        except JobAlreadyExists:
            return self._existing(job) or job  # the same submission, at the same time
        return job

    def _store_input(self, job: Job, data: bytes) -> None:
        self._quotas.check_bytes(self._workspace, counted_bytes(len(data)))
        try:
            self._blobs.put(job.input, data, overwrite=False)
        except BlobAlreadyExists as error:
            if self._blobs.get(job.input) != data:
                uri = self._blobs.uri(*job.input)
                raise JobAlreadyExists(f"job {job.id}: {uri} already holds other data", job_id=job.id) from error

"""Retention: removing old jobs and sessions, and data without a job.

Four things are removed: jobs that ended long ago, with their data; sessions that ended long ago and have no jobs; data
of jobs that do not exist, because their submission failed or a process died; and blobs that were never finished. Data
that users uploaded under their own names is removed only if the caller asks for it, and no stored job refers to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from qiosk.contract.jobs import INPUT_BLOB, JobQuery
from qiosk.errors import BlobNotFound, JobNotFound
from qiosk.service.blobs.store import BlobProperties, BlobStore, Storage
from qiosk.service.jobs.job import BlobRef, Job, JobKey
from qiosk.service.jobs.removal import blobs_of, has_own_container, is_leftover, own_blobs, remove_job
from qiosk.service.names import RUN_BLOBS, job_of_container
from qiosk.service.paging import Cursor, cursor_of
from qiosk.service.ports import JobStore
from qiosk.service.sessions.session import SessionStore

ORPHAN_AGE = timedelta(days=1)
"""Least age of data without a job to be removed: its job may be about to be submitted."""
_BATCH = 500
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)

# In shared containers only names with ids that programs make are those of jobs: "inputData.json" is a user's blob.
_SHARED = re.compile(
    rf"(?:{'|'.join((INPUT_BLOB, *RUN_BLOBS, 'member'))})\.([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})"
    r"(?:\.[0-9]+(?:-[A-Za-z0-9_-]+)?)?"
)


@dataclass(slots=True)
class Pruned:
    """How much was removed, or would be removed. ``size_bytes`` is the size of all the blobs.

    ``has_no_jobs``: no job is stored at all, so no data without a job was removed.
    """

    jobs: int = 0
    sessions: int = 0
    blobs: int = 0
    unfinished: int = 0
    size_bytes: int = 0
    has_no_jobs: bool = False

    def count(self, blobs: Sequence[BlobProperties]) -> None:
        """Count blobs that are removed."""
        self.blobs += len(blobs)
        self.size_bytes += sum(blob.size_bytes for blob in blobs)


def prune(
    older_than: timedelta,
    *,
    now: datetime,
    jobs: JobStore,
    sessions: SessionStore,
    storage: Storage,
    is_dry_run: bool = False,
    has_uploads: bool = False,
) -> Pruned:
    """Remove jobs and sessions that ended ``older_than`` ago, and data without a job of that age or ``ORPHAN_AGE``.

    With ``has_uploads`` also blobs of that age that users uploaded and no stored job refers to. A dry run only counts,
    and does not count sessions and unfinished blobs. It may run while jobs run, and in several processes.

    If no job is stored at all, data without a job is kept: perhaps its jobs are in another database.
    """
    pruned = Pruned(has_no_jobs=not (jobs.waiting(1) or jobs.running() or jobs.ended_before(_NEVER, 1)))
    before, orphaned_before = now - older_than, now - min(older_than, ORPHAN_AGE)
    for job in _ended(jobs, before):
        _remove_old(job, jobs, storage.blobs(job.workspace), pruned, is_dry_run=is_dry_run)
    for workspace in storage.workspaces():
        sweep = _Sweep(
            workspace=workspace,
            jobs=jobs,
            blobs=storage.blobs(workspace),
            orphaned_before=orphaned_before,
            uploaded_before=before if has_uploads else None,
            is_dry_run=is_dry_run,
            pruned=pruned,
        )
        if not pruned.has_no_jobs:
            sweep.orphans()
        if not is_dry_run:
            pruned.unfinished += storage.blobs(workspace).discard_unfinished(orphaned_before)
    if not is_dry_run:
        pruned.sessions = sessions.delete_ended(before)
    return pruned


def _ended(jobs: JobStore, before: datetime) -> Iterator[Job]:
    last: Job | None = None
    while batch := jobs.ended_before(before, _BATCH, after=last):
        yield from batch
        last = batch[-1]


def _remove_old(job: Job, jobs: JobStore, blobs: BlobStore, pruned: Pruned, *, is_dry_run: bool) -> None:
    if has_own_container(jobs, job):
        doomed = list(blobs_of(blobs, job.container))
    else:
        doomed = list(_stored(blobs, own_blobs(jobs, blobs, job)))
    if not is_dry_run:
        try:
            remove_job(jobs, blobs, job)
        except JobNotFound:  # deleted by its user meanwhile
            return
    pruned.jobs += 1
    pruned.count(doomed)


def _stored(blobs: BlobStore, refs: Iterable[BlobRef]) -> Iterator[BlobProperties]:
    for ref in refs:
        with suppress(BlobNotFound):
            yield blobs.properties(ref)


@dataclass(slots=True, kw_only=True)
class _Sweep:
    """One pass over the blobs of a workspace."""

    workspace: str
    jobs: JobStore
    blobs: BlobStore
    orphaned_before: datetime
    uploaded_before: datetime | None
    is_dry_run: bool
    pruned: Pruned
    _references: _References | None = None

    def orphans(self) -> None:
        """Remove data that no job needs."""
        for container in self.blobs.containers():
            job_id = job_of_container(container)
            if job_id is None:
                self._shared(container)
            elif (job := self._find(job_id)) is None:
                self._orphaned(container)
            elif job.state.is_final and job.container == container:
                leftovers = (blob for blob in blobs_of(self.blobs, container) if is_leftover(blob.name, job))
                self._discard(container, [b for b in leftovers if not self.jobs.is_needed(job.key, container, b.name)])

    def _orphaned(self, container: str) -> None:
        """Remove the container of a job that does not exist."""
        blobs = list(blobs_of(self.blobs, container))
        times = [blob.modified_at for blob in blobs] or [self.blobs.made_at(container) or _NEVER]
        if max(times) >= self.orphaned_before or container in self._referred().containers:
            return
        self.pruned.count(blobs)
        if not self.is_dry_run:
            self.blobs.delete_container(container)

    def _shared(self, container: str) -> None:
        """Remove useless blobs of a container that several jobs or their users share."""
        for blob in blobs_of(self.blobs, container):
            match = _SHARED.fullmatch(blob.name)
            is_useless = self._is_useless(match[1], blob) if match else self._is_old_upload(container, blob)
            if is_useless and BlobRef(container, blob.name) not in self._referred().inputs:
                self._discard(container, [blob])

    def _is_useless(self, job_id: str, blob: BlobProperties) -> bool:
        """Whether a blob that a job of this id wrote can be removed."""
        job = self._find(job_id)
        if job is None:
            return blob.modified_at < self.orphaned_before
        return job.state.is_final and is_leftover(blob.name, job)

    def _is_old_upload(self, container: str, blob: BlobProperties) -> bool:
        if self.uploaded_before is None or blob.modified_at >= self.uploaded_before:
            return False
        return container not in self._referred().outputs  # in containers of results it may be an attachment

    def _discard(self, container: str, blobs: Sequence[BlobProperties]) -> None:
        self.pruned.count(blobs)
        if not self.is_dry_run:
            for blob in blobs:
                self.blobs.delete(BlobRef(container, blob.name))

    def _find(self, job_id: str) -> Job | None:
        try:
            return self.jobs.get(JobKey(self.workspace, job_id))
        except JobNotFound:
            return None

    def _referred(self) -> _References:
        """Read only before something is removed, because it takes a pass over all jobs."""
        if self._references is None:
            self._references = _references(self.jobs, self.workspace)
        return self._references


class _References(NamedTuple):
    """What the jobs of a workspace refer to."""

    inputs: set[BlobRef]
    outputs: set[str]
    containers: set[str]


def _references(jobs: JobStore, workspace: str) -> _References:
    query = JobQuery()
    found = _References(set(), set(), set())
    after: Cursor | None = None
    while batch := jobs.page(workspace, query, after, _BATCH):
        after = cursor_of(batch[-1], query.order_by)
        found.inputs.update(job.input for job in batch)
        found.outputs.update(job.container for job in batch)
    found.containers.update(found.outputs, (ref.container for ref in found.inputs))
    return found

"""Submitting the jobs of a study, a limited number at a time, until all have ended."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from uuid import uuid4

from qiosk.client.solvers.provider_formats import format_of
from qiosk.client.workspace import Workspace
from qiosk.contract.http.blobs import blob_uri
from qiosk.contract.jobs import JobQuery, JobStatus, JobView, SubmitJob
from qiosk.contract.sessions import JobFailurePolicy, OpenSession, SessionStatus
from qiosk.errors import (
    BlobAlreadyExists,
    Conflict,
    InvalidInput,
    InvalidJobDefinition,
    JobAlreadyExists,
    JobNotFound,
    QuotaExceeded,
    SessionClosed,
    SessionNotFound,
)
from qiosk.studies.instances import Instance
from qiosk.studies.rows import NOT_SUBMITTED, UNREADABLE
from qiosk.studies.settings import StudySettings
from qiosk.studies.trials import Trial

CONTAINER = "qiosk-studies"
"""Container of the instances, whose blobs are named after their content and shared by all jobs."""
POLL_S = 0.5
"""Time between two looks at all jobs that have not ended, at least."""
LOOK_SHARE = 0.1
"""Share of the time that these looks take, at most."""
_ACTIVE = (JobStatus.WAITING, JobStatus.EXECUTING)

Counts = Mapping[tuple[str, str], int]
"""How many trials there are of each solver (first) in each state (second)."""


class StudySession:
    """The session that the jobs of a study join.

    A session that has timed out, because it had no new job for some minutes, is followed by another one. The open one
    of an earlier run is continued.
    """

    def __init__(self, workspace: Workspace, settings: StudySettings) -> None:
        self._workspace = workspace
        self._settings = settings
        self._id: str | None = None

    def id(self) -> str:
        """The id of the open session, which is opened if there is none."""
        if self._id is None:
            opened = self.open_ids()
            self._id = opened[0] if opened else self._open()
        return self._id

    def renew(self) -> None:
        """Replace the session that no longer accepts jobs. Raises Conflict if it was closed: the study was cancelled,
        or another process has finished it.
        """
        assert self._id is not None
        try:
            status = self._workspace.api.sessions.get(self._id).status
        except SessionNotFound:
            status = SessionStatus.TIMED_OUT
        if status is not SessionStatus.TIMED_OUT:
            raise Conflict(f"study {self._settings.name}: its session {self._id} was closed, so it takes no more jobs")
        self._id = self._open()

    def close(self) -> None:
        """Close all open sessions of the study."""
        for session_id in self.open_ids():
            self._workspace.api.sessions.close(session_id)
        self._id = None

    def open_ids(self) -> list[str]:
        """The ids of the study's open sessions, newest first."""
        sessions = self._workspace.list_sessions(f"^{self._settings.name.replace('.', '[.]')}$")
        return [each.id for each in sessions if self._settings.tag in each.details.tags and not each.details.is_final]

    def _open(self) -> str:
        target = self._settings.configurations[0].target
        command = OpenSession(
            id=str(uuid4()),
            name=self._settings.name,
            provider_id=format_of(target).provider_id,
            target=target,
            job_failure_policy=JobFailurePolicy.CONTINUE,
            tags=(self._settings.tag, *self._settings.tags),
        )
        return self._workspace.api.sessions.open(command).id


class StudyRun:
    """Runs the trials of a study that have no job yet, and waits for all of them.

    ``errors`` are what kept a trial's job from being submitted, by the job's id. ``on_change`` is called with the
    counts of states whenever one may have changed.
    """

    def __init__(
        self,
        workspace: Workspace,
        settings: StudySettings,
        trials: Sequence[Trial],
        on_change: Callable[[Counts], object],
    ) -> None:
        self._api = workspace.api
        self._settings = settings
        self._session = StudySession(workspace, settings)
        self._trials = {trial.job_id: trial for trial in trials if trial.job_id is not None}
        self._unreadable = Counter(trial.configuration.label for trial in trials if trial.job_id is None)
        self._on_change = on_change
        self._inputs: dict[str, tuple[str, str]] = {}  # URI and format by the name of the instance
        self._status: dict[str, JobStatus] = {}
        self._told_at = -POLL_S
        self._look_at = monotonic()
        self.errors: dict[str, str] = {}

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Submit and wait, until all jobs have ended or ``should_stop``.

        Raises Conflict if the study is cancelled meanwhile, and what requests raise.
        """
        query = JobQuery(tags=(self._settings.tag,))
        active: dict[str, datetime] = {}
        for view in self._api.list(query):
            if view.id in self._trials:
                self._note(view, active)
        waiting = deque(job_id for job_id in self._trials if job_id not in self._status)
        while waiting or active:
            if should_stop():
                return
            self._fill(waiting, active)
            self._tell()
            self._wait(active)
        self._session.close()
        self._tell(is_last=True)

    def _fill(self, waiting: deque[str], active: dict[str, datetime]) -> None:
        """Submit jobs while fewer than the limit have not ended."""
        while waiting and len(active) < self._settings.jobs_in_flight:
            job_id = waiting[0]
            try:
                view = self._submit(self._trials[job_id])
            except QuotaExceeded:
                if active:
                    return  # there is room when one of them has ended
                raise
            except (InvalidInput, InvalidJobDefinition, OSError) as error:
                self.errors[job_id] = str(error)
            else:
                self._note(view, active)
            waiting.popleft()

    def _submit(self, trial: Trial) -> JobView:
        uri, input_format = self._input(trial.instance)
        target = trial.configuration.target
        form = format_of(target)
        command = SubmitJob(
            id=trial.job_id,
            name=f"{trial.instance.name} {trial.configuration.label} {trial.seed}"[:1024],
            provider_id=form.provider_id,
            target=target,
            input_data_uri=uri,
            input_data_format=input_format,
            output_data_format=form.output_data_format,
            input_params=trial.input_params,
            metadata={"study": trial.study, "instance": trial.instance.name, "solver": trial.configuration.label},
            tags=(self._settings.tag, *self._settings.tags),
            session_id=self._session.id(),
        )
        try:
            return self._api.submit(command)
        except JobAlreadyExists:  # another process has submitted it, in another session
            assert trial.job_id is not None
            return self._api.get(trial.job_id)
        except (SessionClosed, SessionNotFound):
            self._session.renew()
            return self._submit(trial)

    def _input(self, instance: Instance) -> tuple[str, str]:
        """URI and format of an instance, which is uploaded unless it was before."""
        if instance.name not in self._inputs:
            data, input_format = instance.content()
            name = _blob_name(data)
            container = self._api.container_uri(CONTAINER)
            try:
                uri = self._api.put_blob(CONTAINER, name, data, overwrite=False)
            except BlobAlreadyExists:
                uri = blob_uri(container, name)
            self._inputs[instance.name] = uri, input_format
        return self._inputs[instance.name]

    def _note(self, view: JobView, active: dict[str, datetime]) -> None:
        """Keep the state of a job, and when it was created if it has not ended."""
        self._status[view.id] = view.status
        if not view.status.is_final:
            active[view.id] = view.creation_time

    def _wait(self, active: dict[str, datetime]) -> None:
        """Return when some of the active jobs have ended, which are removed, or after a short time."""
        if not active:
            return
        self._pause(min(active, key=active.__getitem__))
        if (began := monotonic()) < self._look_at:
            self._look_at_oldest(active)
        else:
            self._look_at_all(active)
            self._look_at = monotonic() + max(POLL_S, (monotonic() - began) / LOOK_SHARE)

    def _look_at_oldest(self, active: dict[str, datetime]) -> None:
        """Remove the oldest jobs that have ended, up to the first one that has not: most jobs end in this order."""
        for job_id in sorted(active, key=active.__getitem__):
            if not self._update(job_id, self._status_of(job_id), active):
                return

    def _look_at_all(self, active: dict[str, datetime]) -> None:
        """Remove the jobs that have ended."""
        # from the oldest one on, so that a long list of jobs that have ended is not read
        query = JobQuery(tags=(self._settings.tag,), statuses=_ACTIVE, created_after=min(active.values()))
        left = {view.id: view.status for view in self._api.list(query)}
        for job_id in list(active):
            self._update(job_id, left.get(job_id) or self._status_of(job_id), active)

    def _update(self, job_id: str, status: JobStatus | None, active: dict[str, datetime]) -> bool:
        """Keep the state of an active job, which is removed if it has ended or was deleted (None); whether it was."""
        if status is None:
            self._status.pop(job_id, None)
        else:
            self._status[job_id] = status
        if is_over := status is None or status.is_final:
            del active[job_id]
        return is_over

    def _pause(self, job_id: str) -> None:
        """Return when a job has ended, after ``POLL_S`` at the latest."""
        deadline = monotonic() + POLL_S
        while (left := deadline - monotonic()) > 0:
            try:
                if self._api.wait(job_id, left).status.is_final:
                    return
            except JobNotFound:
                return

    def _status_of(self, job_id: str) -> JobStatus | None:
        """The state of a job; None if it was deleted."""
        try:
            return self._api.get(job_id).status
        except JobNotFound:
            return None

    def _tell(self, *, is_last: bool = False) -> None:
        """Call ``on_change``, but not too often: counting takes time if there are many jobs."""
        if is_last or monotonic() - self._told_at >= POLL_S:
            self._on_change(self.counts())
            self._told_at = monotonic()

    def counts(self) -> Counts:
        """How many trials there are of each solver in each state."""
        found: Counter[tuple[str, str]] = Counter()
        for label, number in self._unreadable.items():
            found[label, UNREADABLE] += number
        for job_id, trial in self._trials.items():
            found[trial.configuration.label, str(self._status.get(job_id, NOT_SUBMITTED))] += 1
        return found


def _blob_name(data: bytes) -> str:
    return f"problem-{hashlib.sha256(data).hexdigest()}"

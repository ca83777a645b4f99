"""A job of a workspace: its state, its progress, its results."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec import structs

from qiosk.client.details import JobDetails, html_table
from qiosk.client.filters import job_status, moment, name_pattern
from qiosk.client.reruns import changes_to_repeat
from qiosk.client.results import Results, read_results
from qiosk.console.progress_bar import ProgressBar
from qiosk.contract.codec import encode
from qiosk.contract.http.blobs import uri_segments
from qiosk.contract.jobs import (
    INPUT_BLOB,
    QIO_INPUT_FORMAT,
    QIO_OUTPUT_FORMAT,
    ExtendJob,
    JobProgress,
    JobStatus,
    PatchJob,
    TracePoint,
    own_container,
)
from qiosk.contract.logs import LogLine
from qiosk.contract.provenance import Provenance
from qiosk.contract.workspaces import DEFAULT_KEY
from qiosk.errors import BlobNotFound, InvalidValue, JobFailed
from qiosk.formats.compression import decompressed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qiosk.client.workspace import Workspace
    from qiosk.formats.comparison import Comparison
    from qiosk.model.cost_function import CostFunction
    from qiosk.modeling import Solution

DEFAULT_TIMEOUT_S = 300.0
"""How long ``get_results`` waits for a job to end by default."""


class Job:
    """A job of a workspace, as it was when its details were last read.

    ``details`` changes only when :meth:`refresh` or a method that waits for the job or changes it is called.
    ``progress``, ``trace`` and :meth:`best` always ask the workspace.

    >>> from qiosk import Problem, Workspace
    >>> from qiosk.optimization import Tabu, Term
    >>> problem = Problem("pair", terms=[Term(c=2.0, indices=[0, 1])])
    >>> with Workspace() as workspace:
    ...     job = Tabu(workspace, sweeps=10, seed=1).submit(problem)
    ...     results = job.get_results()
    >>> str(job.status), results.cost, job.details.name
    ('Succeeded', -2.0, 'pair')
    """

    def __init__(self, workspace: Workspace, job_details: JobDetails) -> None:
        self.workspace = workspace
        self.details = job_details
        self.results: Results | None = None
        if job_details.id is None:
            job_details.id = self.create_job_id()

    def __getstate__(self) -> dict[str, Any]:
        """The members, without the signatures of the links to blobs."""
        uris = ("container_uri", "input_data_uri", "output_data_uri")
        plain = {name: uri.partition("?")[0] for name in uris if (uri := getattr(self.details, name))}
        return {**self.__dict__, "details": structs.replace(self.details, **plain)}

    @staticmethod
    def create_job_id() -> str:
        """A new, unique job id."""
        return str(uuid4())

    @classmethod
    def from_input_data(
        cls,
        workspace: Workspace,
        name: str,
        target: str,
        input_data: bytes,
        *,
        blob_name: str = INPUT_BLOB,
        job_id: str | None = None,
        container_name: str | None = None,
        **job_properties: Any,
    ) -> Job:
        """Store a problem's bytes (raw, gzip, zstd or xz), then submit a job that reads them.

        ``job_properties`` are those of :meth:`from_storage_uri`. By default the container is the job's own.
        """
        job_id = job_id or cls.create_job_id()
        container = container_name or own_container(job_id)
        container_uri = workspace.get_container_uri(container_name=container)
        uri = workspace.api.put_blob(container, blob_name, input_data)
        job_properties |= {"job_id": job_id, "container_uri": container_uri}
        return cls.from_storage_uri(workspace, name, target, uri, **job_properties)

    @classmethod
    def from_storage_uri(
        cls,
        workspace: Workspace,
        name: str,
        target: str,
        input_data_uri: str,
        provider_id: str = "Microsoft",
        input_data_format: str = QIO_INPUT_FORMAT,
        output_data_format: str = QIO_OUTPUT_FORMAT,
        *,
        container_uri: str | None = None,
        job_id: str | None = None,
        input_params: Any = None,
        submit_job: bool = True,
        **details: Any,
    ) -> Job:
        """A job that reads an uploaded problem. It is submitted at once, unless ``submit_job`` is False.

        ``details``: further members of :class:`JobDetails` (``metadata``, ``tags``, ``priority``, ``session_id``).
        """
        job = cls(
            workspace,
            JobDetails(
                id=job_id,
                name=name,
                container_uri=container_uri,
                input_data_uri=input_data_uri,
                input_data_format=input_data_format,
                input_params={} if input_params is None else input_params,
                provider_id=provider_id,
                target=target,
                output_data_format=output_data_format,
                **details,
            ),
        )
        if submit_job:
            job.submit()
        return job

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self.details.id)

    @property
    def status(self) -> JobStatus | None:
        """State of the job when its details were last read; None before it was submitted."""
        return self.details.status

    @property
    def container_name(self) -> str:
        """Container of the job's data."""
        uri = self.details.container_uri
        return own_container(self.id) if uri is None else uri_segments(uri)[-1]

    def submit(self) -> None:
        """Queue the job. Raises InvalidJobDefinition, JobAlreadyExists."""
        self.details = self.workspace.submit_job(self).details

    def resubmit(self, **changes: Any) -> Job:
        """Submit a new job that reads the same input, and return it.

        ``changes`` are members of :class:`qiosk.contract.jobs.SubmitJob`, such as ``target``, ``input_params`` and
        ``tags``; all others are those of this job. The new job belongs to no session unless ``session_id`` is given.
        Raises TypeError for an unknown member, InvalidJobDefinition.
        """
        own: dict[str, Any] = {"id": self.create_job_id(), "container_uri": None, "session_id": None}
        return self.workspace.submit(structs.replace(self.details.command(), **{**own, **changes}))

    def update(
        self, *, name: str | None = None, tags: Sequence[str] | None = None, priority: str | None = None
    ) -> None:
        """Change the job's name, tags or priority; None does not change a member. Raises InvalidJobDefinition."""
        patch = PatchJob(name=name, tags=tags, priority=priority)  # type: ignore[arg-type]  # made a tuple when it is sent
        self.details = JobDetails.from_view(self.workspace.api.update(self.id, patch))

    def refresh(self) -> None:
        """Read the details again. Raises JobNotFound."""
        self.details = JobDetails.from_view(self.workspace.api.get(self.id))

    def has_completed(self) -> bool:
        """Whether the job has succeeded, failed or been cancelled."""
        return self.details.is_final

    def wait_until_completed(
        self,
        max_poll_wait_secs: float | None = None,
        timeout_secs: float | None = None,
        print_progress: bool = True,
    ) -> None:
        """Return when the job has ended, with new details.

        Shows a progress bar on standard error if that is a terminal and ``print_progress`` is True.
        ``max_poll_wait_secs`` is not used: the end is noticed at once. Raises TimeoutError after ``timeout_secs`` [s];
        the job continues to run. So it does after Ctrl-C, and a line on standard error says how to find it.
        """
        with told_if_interrupted(self.workspace, self), ProgressBar(enabled=print_progress) as bar:
            for update in self.workspace.api.updates(self.id, timeout_s=timeout_secs):
                self.details = JobDetails.from_view(update.view)
                bar.update(update.status, update.progress)

    def get_results(self, timeout_secs: float | None = DEFAULT_TIMEOUT_S) -> Results:
        """The results, as soon as the job has ended. Waits as :meth:`wait_until_completed`.

        Those of a cancelled job are its best solution so far. Raises TimeoutError after ``timeout_secs`` [s] (None: no
        limit), JobFailed if the job failed, or was cancelled before it found a solution.
        """
        if self.results is not None:
            return self.results
        if not self.has_completed():
            self.wait_until_completed(timeout_secs=timeout_secs)
        if self.details.status == JobStatus.FAILED:
            raise self._failed()
        try:
            data = self.workspace.api.results(self.id)
        except BlobNotFound as error:
            raise self._failed() from error
        self.results = read_results(data)
        return self.results

    def _failed(self) -> JobFailed:
        error = self.details.error_data
        reason = f"{error.code}: {error.message}" if error else "no solution was found before it ended"
        return JobFailed(f"job {self.id} ({self.details.name}) has no results, its status is {self.status}: {reason}")

    @property
    def provenance(self) -> Provenance | None:
        """Where the results come from, as far as it was known when the details were last read: see
        :class:`qiosk.contract.provenance.Provenance`. None before the run has reported for the first time.
        """
        return self.details.provenance

    @property
    def stop_reason(self) -> str | None:
        """Why the run ended: finished, converged, target, timeout, run_limit or cancelled; None if it has no end yet,
        or failed.
        """
        return None if self.details.provenance is None else self.details.provenance.stop_reason

    @property
    def progress(self) -> JobProgress:
        """Progress of the job, now."""
        if not self.has_completed():
            self.refresh()
        return self.details.progress

    @property
    def trace(self) -> list[TracePoint]:
        """Every improvement so far, in order: seconds since the start of the solver, sweeps, cost."""
        return list(self.workspace.api.trace(self.id))

    def best(self) -> Results | None:
        """The best solution so far, also of a running job; None if there is none yet."""
        data = self.workspace.api.best(self.id)
        return None if data is None else read_results(data)

    def get_receipt(self, timeout_secs: float | None = DEFAULT_TIMEOUT_S) -> bytes | None:
        """What proves the lower bound in the results, as an npz file that ``qiosk verify`` checks; None if the bound
        has none. Waits and raises as :meth:`get_results`.

        >>> from qiosk import Problem, Workspace
        >>> from qiosk.optimization import Tabu, Term
        >>> with Workspace() as workspace:
        ...     job = Tabu(workspace, sweeps=10, seed=1).submit(Problem("pair", terms=[Term(c=2.0, indices=[0, 1])]))
        ...     receipt = job.get_receipt()
        >>> receipt[:2]
        b'PK'
        """
        self.get_results(timeout_secs)
        return self.workspace.api.receipt(self.id)

    def plot(self, **options: Any) -> Axes:
        """Plot the best cost against time, also of a running job; see :func:`qiosk.plots.search`. Needs matplotlib."""
        from qiosk.plots import search

        return search(self, **options)

    def decode(self) -> Solution:
        """The results in terms of the :class:`qiosk.modeling.Model` that made the job's problem: an
        :class:`qiosk.modeling.JobAnswer` with its status and rounds, unless the problem was changed after that.

        Waits and raises as :meth:`get_results`; raises InvalidValue if no model made the problem.
        """
        from qiosk.modeling import Model
        from qiosk.modeling.answer import read_answer

        problem = self.cost_function()
        if "model" not in problem.metadata:
            raise InvalidValue(f"job {self.id}: its problem was not made by a Model")
        results = self.get_results()
        solution = Model.from_document(problem.metadata["model"]).decode(results)
        return read_answer(solution, results["model"]) if "model" in results else solution

    def cost_function(self) -> CostFunction:
        """The problem that the job reads. Raises BlobNotFound; InvalidInput if it is none."""
        from qiosk.formats.registry import read

        if self.details.input_data_uri is None:
            self.refresh()
        return read(self.download_data(str(self.details.input_data_uri)), self.details.input_data_format)

    def extend(self, timeout: float) -> Job:
        """Submit a new job that goes on where this one has ended, for ``timeout`` seconds more, and return it.

        It continues from the last checkpoint of this job, which must have been ended by a time limit or a cancellation;
        ``details.can_extend`` tells whether there is one. Trace, best solution and seed are those of this job at first;
        ``details.parent_id`` is its id. Raises InvalidValue, Conflict, QuotaExceeded.
        """
        view = self.workspace.api.extend(self.id, ExtendJob(timeout=timeout, id=self.create_job_id()))
        return type(self)(self.workspace, JobDetails.from_view(view))

    def rerun(self) -> Job:
        """Submit a new job that does the same again, and return it; :meth:`compare` compares their results.

        It has the same target and input, and the parameters and the seed that the provenance of this job has ``given``;
        its metadata has the id of this job as ``rerunOf``. Raises Conflict if this job has not ended, or has no
        results; InvalidValue if its input is another problem by now.
        """
        if not self.has_completed():
            self.refresh()
        return self.resubmit(**changes_to_repeat(self.details, self.cost_function))

    def compare(self, again: Job) -> Comparison:
        """Whether the results of another job, such as that of :meth:`rerun`, are the same as this one's.

        Waits and raises as :meth:`get_results`; raises MissingSection for results without provenance.
        """
        from qiosk.formats.comparison import compare

        return compare(*(encode(job.get_results()) for job in (self, again)))

    def logs(self, after: int = 0) -> Sequence[LogLine]:
        """What was logged about the job: its attempts, what its process logged and warned of, why it ended.

        Kept are the last 64 KiB; if lines were dropped, the first one tells that. ``after`` leaves out the lines up to
        that ``position``, of which ``logs()[-1].position`` is the last. Raises JobNotFound.

        >>> from qiosk import Problem, Workspace
        >>> from qiosk.optimization import Tabu, Term
        >>> with Workspace() as workspace:
        ...     job = Tabu(workspace, sweeps=10, seed=1).submit(Problem("pair", terms=[Term(c=2.0, indices=[0, 1])]))
        ...     results = job.get_results()
        ...     lines = job.logs()
        >>> lines[-1].level, lines[-1].text
        ('INFO', 'attempt 1 ended: Succeeded')
        """
        return self.workspace.api.log(self.id, after)

    def cancel(self) -> None:
        """Stop the job; its best solution so far becomes its result."""
        self.workspace.cancel_job(self)

    def delete(self) -> None:
        """Remove the job and its data; a running job is cancelled first."""
        self.workspace.delete_job(self)

    def matches_filter(
        self,
        name_match: str | None = None,
        status: JobStatus | str | None = None,
        created_after: datetime | date | str | None = None,
    ) -> bool:
        """Whether ``name_match`` is found in the job's name, it has this status, and was created then or later.

        ``name_match`` is a regular expression. A date means its first moment, and times without a zone are local.
        Conditions that are None are not checked. Raises InvalidFilter.
        """
        if name_match is not None and not name_pattern(name_match).search(self.details.name or ""):
            return False
        if status is not None and self.details.status != job_status(status):
            return False
        if created_after is None:
            return True
        created = self.details.creation_time
        return created is not None and created >= moment(created_after)

    def upload_attachment(self, name: str, data: bytes, container_uri: str | None = None) -> str:
        """Store bytes with the job under ``name``, replacing earlier ones; returns their URI."""
        return self.workspace.api.put_blob(self._container(container_uri), name, data)

    def download_attachment(self, name: str, container_uri: str | None = None) -> bytes:
        """The bytes stored under ``name``, as they were uploaded. Raises BlobNotFound."""
        return self.workspace.api.get_blob(self._container(container_uri), name)

    def download_data(self, blob_uri: str) -> bytes:
        """Content of a blob of the workspace, decompressed if it is compressed. Raises BlobNotFound, InvalidValue.

        ``job.download_data(job.details.input_data_uri)`` is the problem as it was submitted.
        """
        api = self.workspace.api
        return decompressed(api.get_blob(*api.locate(blob_uri)))

    def _container(self, uri: str | None) -> str:
        return self.container_name if uri is None else uri_segments(uri)[-1]

    def __repr__(self) -> str:
        return f"<Job id={self.id!r} name={self.details.name!r} status={str(self.status)!r}>"

    def _repr_html_(self) -> str:
        best = self.details.progress.best_cost
        rows = [
            ("job", self.id),
            ("name", str(self.details.name)),
            ("target", self.details.target),
            ("status", str(self.status)),
            ("progress", f"{self.details.progress.fraction:.0%}"),
            ("best cost", "-" if best is None else f"{best:g}"),
        ]
        if self.details.error_data is not None:
            rows.append(("error", f"{self.details.error_data.code}: {self.details.error_data.message}"))
        return html_table(rows)


@contextmanager
def told_if_interrupted(workspace: Workspace, job: Job | str) -> Iterator[None]:
    """On Ctrl-C, ``tell_that_it_continues``."""
    try:
        yield
    except KeyboardInterrupt:
        tell_that_it_continues(workspace, job)
        raise


def tell_that_it_continues(workspace: Workspace, job: Job | str) -> None:
    """Print that a job continues, and how to find it; unless it is being cancelled or has ended."""
    if isinstance(job, Job) and (job.details.is_cancelling or job.has_completed()):
        return
    with suppress(AttributeError, OSError, ValueError):  # a program may have no standard error
        sys.stderr.write(_how_to_find(workspace, job if isinstance(job, str) else job.id) + "\n")


def _how_to_find(workspace: Workspace, job_id: str) -> str:
    options = "" if workspace.url is None else f" --url {workspace.url}"
    options += "" if workspace.key == DEFAULT_KEY else f" --workspace {workspace.key}"
    return (
        f"job {job_id} continues to run: workspace.get_job({job_id!r}) or 'qiosk jobs results {job_id}{options}'"
        f" finds it, 'qiosk jobs cancel {job_id}{options}' stops it"
    )

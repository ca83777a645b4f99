"""The jobs interface in memory, for tests of its users: nothing happens until a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from msgspec.structs import replace

from qiosk.contract.jobs import (
    JobQuery,
    JobStatus,
    JobUpdate,
    JobView,
    PatchJob,
    SubmitJob,
    TargetView,
    TracePoint,
)
from qiosk.contract.logs import LogLine
from qiosk.contract.paging import DEFAULT_PAGE, Page
from qiosk.contract.quotas import QuotaView
from qiosk.errors import BlobAlreadyExists, BlobNotFound, InvalidTarget, InvalidValue, JobNotFound
from qiosk.service.jobs.watching import follow

TARGETS = (
    TargetView(id="microsoft.simulatedannealing.cpu", provider_id="Microsoft"),
    TargetView(id="microsoft.simulatedannealing-parameterfree.cpu", provider_id="Microsoft"),
    TargetView(id="microsoft.paralleltempering.cpu", provider_id="Microsoft"),
    TargetView(id="microsoft.paralleltempering-parameterfree.cpu", provider_id="Microsoft"),
    TargetView(id="qiosk.auto", provider_id="qiosk"),
    TargetView(id="other.newsolver", provider_id="other", average_queue_time=7),
)
QUOTAS = (
    QuotaView(
        dimension="combined_job_hours",
        scope="Workspace",
        provider_id="Microsoft",
        utilization=0.5,
        holds=0.25,
        limit=20.0,
        period="Monthly",
    ),
)
START = datetime(2024, 5, 1, 12, tzinfo=UTC)


class FakeUpload:
    """Keeps what is written until it is committed; ``fails`` is raised by the next write."""

    fails: Exception | None = None

    def __init__(self, jobs: FakeJobs, container: str, name: str) -> None:
        self.place = jobs, container, name
        self.parts: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        if FakeUpload.fails is not None:
            raise FakeUpload.fails
        self.parts.append(data)

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        jobs, container, name = self.place
        jobs.metadata[container, name] = dict(metadata or {})
        return jobs.put_blob(container, name, b"".join(self.parts))

    def abort(self) -> None:
        self.aborted = True


class FakeJobs:
    """Jobs that move only when a test calls :meth:`change`, or by the steps it has queued in ``steps``.

    Every ``wait`` takes one step; without steps it returns at once, as if the time had passed.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, JobView] = {}
        self.commands: list[SubmitJob] = []
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.metadata: dict[tuple[str, str], dict[str, str]] = {}
        self.traces: dict[str, list[TracePoint]] = {}
        self.logs: list[LogLine] = []
        self.bests: dict[str, bytes] = {}
        self.steps: list[Callable[[str], object]] = []
        self.waits: list[float] = []
        self.closed = False

    def change(self, job_id: str, **members: object) -> None:
        self.jobs[job_id] = replace(self.get(job_id), **members)

    def finish(self, job_id: str, status: JobStatus, results: bytes | None = None, **members: object) -> None:
        ended = {"begin_execution_time": START, "end_execution_time": START + timedelta(seconds=2)}
        if results is not None:
            self.blobs[f"job-{job_id}", "rawOutputData"] = results
            ended["output_data_uri"] = f"file:///home/blobs/job-{job_id}/rawOutputData"
        self.change(job_id, status=status, has_results=results is not None, **{**ended, **members})

    def submit(self, command: SubmitJob) -> JobView:
        if command.target.lower() not in [target.id for target in TARGETS]:
            raise InvalidTarget(f"target {command.target!r} is not offered")
        job_id = command.id or str(uuid4())
        self.commands.append(command)
        container = f"job-{job_id}"
        uri = command.input_data_uri
        if command.input_data is not None:
            uri = self.put_blob(container, "inputData", command.input_data)
        self.jobs[job_id] = JobView(
            id=job_id,
            name=command.name,
            container_uri=command.container_uri or self.container_uri(container),
            input_data_uri=uri or "",
            input_data_format=command.input_data_format,
            input_params=command.input_params,
            provider_id=command.provider_id,
            target=command.target,
            metadata=command.metadata,
            output_data_uri=None,
            output_data_format=command.output_data_format,
            status=JobStatus.WAITING,
            creation_time=START + timedelta(minutes=len(self.jobs)),
            tags=command.tags,
            priority=command.priority,
            session_id=command.session_id,
        )
        return self.jobs[job_id]

    def get(self, job_id: str) -> JobView:
        if job_id not in self.jobs:
            raise JobNotFound(f"job {job_id!r} does not exist")
        return self.jobs[job_id]

    def list(self, query: JobQuery) -> Iterator[JobView]:
        for view in sorted(self.jobs.values(), key=lambda job: job.creation_time, reverse=True):
            if (
                view.id.startswith(query.id_prefix or "")
                and view.name.startswith(query.name_prefix or "")
                and set(query.tags).issubset(view.tags)
                and (query.statuses is None or view.status in query.statuses)
                and (query.provider_ids is None or view.provider_id in query.provider_ids)
                and (query.targets is None or view.target in query.targets)
                and (query.session_id is None or view.session_id == query.session_id)
                and (query.created_after is None or view.creation_time >= query.created_after)
                and (query.created_before is None or view.creation_time <= query.created_before)
            ):
                yield view

    def page(
        self, query: JobQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView]:
        first = skip + int(token or 0)
        views = list(self.list(query))
        following = str(first + top) if first + top < len(views) else None
        return Page(views[first : first + top], following)

    def cancel(self, job_id: str) -> JobView:
        if not self.get(job_id).status.is_final:
            self.finish(job_id, JobStatus.CANCELLED, self.bests.get(job_id), cancellation_time=START)
        return self.get(job_id)

    def delete(self, job_id: str) -> None:
        del self.jobs[self.get(job_id).id]

    def update(self, job_id: str, patch: PatchJob) -> JobView:
        members = {"name": patch.name, "tags": patch.tags, "priority": patch.priority}
        self.change(job_id, **{name: value for name, value in members.items() if value is not None})
        return self.get(job_id)

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        self.waits.append(timeout_s)
        if self.steps:
            self.steps.pop(0)(job_id)
        return self.get(job_id)

    def updates(self, job_id: str, after: int = 0, timeout_s: float | None = None) -> Iterator[JobUpdate]:
        return follow(self, job_id, after=after, timeout_s=timeout_s, monotonic=monotonic)

    def results(self, job_id: str) -> bytes:
        self.get(job_id)
        return self.get_blob(f"job-{job_id}", "rawOutputData")

    def best(self, job_id: str) -> bytes | None:
        self.get(job_id)
        return self.bests.get(job_id)

    def receipt(self, job_id: str) -> bytes | None:
        self.get(job_id)
        return self.blobs.get((f"job-{job_id}", "receipt"))

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        self.get(job_id)
        return self.traces.get(job_id, [])[after:]

    def log(self, job_id: str, after: int = 0) -> Sequence[LogLine]:
        self.get(job_id)
        return [line for line in self.logs if line.position > after]

    def targets(self) -> Sequence[TargetView]:
        return TARGETS

    def quotas(self) -> Sequence[QuotaView]:
        return QUOTAS

    def container_uri(self, container: str) -> str:
        return f"file:///home/blobs/{container}"

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        if not overwrite and (container, name) in self.blobs:
            raise BlobAlreadyExists(f"blob {name!r} of {container!r} exists")
        self.blobs[container, name] = data
        return f"{self.container_uri(container)}/{name}"

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> FakeUpload:
        return FakeUpload(self, container, name)

    def get_blob(self, container: str, name: str) -> bytes:
        if (container, name) not in self.blobs:
            raise BlobNotFound(f"blob {name!r} of {container!r} does not exist")
        return self.blobs[container, name]

    def list_blobs(self, container: str) -> Sequence[str]:
        return sorted(name for owner, name in self.blobs if owner == container)

    def locate(self, blob_uri: str) -> tuple[str, str]:
        container, _, name = unquote(urlsplit(blob_uri).path).removeprefix("/home/blobs").lstrip("/").partition("/")
        if not name:
            raise InvalidValue(f"blob uri: must name a container and a blob, found {blob_uri!r}")
        return container, name

    def close(self) -> None:
        self.closed = True

"""Lists of jobs as tables of pandas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from qiosk.client.details import JobDetails
from qiosk.errors import extra

if TYPE_CHECKING:
    import pandas

_LEFT_OUT = ("container_uri", "input_data_uri", "output_data_uri", "progress", "error_data")
_TIMES = ("creation_time", "begin_execution_time", "end_execution_time", "cancellation_time")
_PROGRESS = ("fraction", "sweeps", "best_cost", "seconds")
_ERROR = ("code", "message")


def job_frame(jobs: Iterable[JobDetails]) -> pandas.DataFrame:
    """A row for each job, in order; the columns are the properties of details, without URIs, which may be secret.

    Of the progress there are ``progress_fraction``, ``progress_sweeps``, ``progress_best_cost`` and
    ``progress_seconds``, of the error ``error_code`` and ``error_message``. Times are in UTC. Raises MissingExtra
    without pandas.
    """
    with extra("pandas", "list_jobs(as_frame=True)"):
        import pandas
    kept = [name for name in JobDetails.__struct_fields__ if name not in _LEFT_OUT]
    columns = [*kept, *(f"progress_{name}" for name in _PROGRESS), *(f"error_{name}" for name in _ERROR)]
    frame = pandas.DataFrame([_row(job) for job in jobs], columns=columns)
    times = {name: pandas.to_datetime(frame[name], utc=True) for name in _TIMES}
    return frame.assign(**times).astype(dict.fromkeys(_TIMES, "datetime64[us, UTC]"))


def _row(job: JobDetails) -> dict[str, object]:
    progress, error = asdict(job.progress), {} if job.error_data is None else asdict(job.error_data)
    members = asdict(job)
    return {
        **{name: value for name, value in members.items() if name not in _LEFT_OUT},
        "status": None if job.status is None else str(job.status),
        **{f"progress_{name}": progress[name] for name in _PROGRESS},
        **{f"error_{name}": error.get(name) for name in _ERROR},
    }

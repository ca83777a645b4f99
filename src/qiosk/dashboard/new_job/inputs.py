"""Inputs of jobs: what is uploaded is stored before there is a job, in the container that its job will have.

The name of the container is made of the id of a job. If that job is submitted, the input is its own; if it never is,
the input is data of a job that does not exist, which retention removes when it is a day old.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final
from urllib.parse import quote, unquote
from uuid import UUID, uuid4

from qiosk.contract.jobs import INPUT_BLOB, QIO_INPUT_FORMAT, own_container
from qiosk.errors import BlobNotFound, InvalidValue
from qiosk.formats import columns, registry
from qiosk.formats.compression import decompressed
from qiosk.formats.files import FileFormat, JobInput, format_of, job_input
from qiosk.formats.text import orlib
from qiosk.formats.text.lines import to_number
from qiosk.model.cost_function import CostFunction
from qiosk.service.blobs.store import BlobStore
from qiosk.service.jobs.job import BlobRef, Job
from qiosk.service.jobs.job_service import JobService

MAX_UPLOAD_BYTES: Final = 32_000_000
"""Largest file that the form takes, which takes some 10 s and 1 GB to read; ``qiosk submit`` takes larger ones."""
MAX_CONTENT_BYTES: Final = 128_000_000
"""Largest content of it when it is decompressed."""
MAX_MODEL_BYTES: Final = 4_000_000
"""Largest content whose constraints become penalties, which takes some 20 s."""
AUTO: Final = "auto"
_FORMAT, _NAME = "format", "file"
_MAX_NAME: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A stored input. ``name`` is that of its problem; ``file_format`` is the format that it was read from.

    ``draft`` is the id that a job with this input can have; None for the input of another job.
    """

    ref: BlobRef
    input_format: str
    file_format: str
    name: str
    size_bytes: int
    draft: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is read, as entered in a form; empty texts change nothing.

    ``form`` is the name of its format, ``penalty`` what the least violation of a constraint costs, or ``auto``;
    ``grid`` the step of continuous variables; ``instance`` the number of a problem in a file of the OR-Library.
    """

    form: str = ""
    penalty: str = ""
    grid: str = ""
    instance: str = ""

    def convert(self, file: str, data: bytes, max_size: int = MAX_CONTENT_BYTES) -> JobInput:
        """The content of a file as the input of a job. Raises InvalidInput, MissingExtra."""
        form = self.form or None
        if self.instance:
            content = decompressed(data, max_size)
            if (chosen := format_of(file, content, form)).name != "orlib":
                raise InvalidValue(f"instance: files of format {chosen.name} have one problem each")
            if not self.instance.isdecimal() or len(self.instance) > 9:
                raise InvalidValue(f"instance: must be a whole number, found {self.instance[:100]!r}")
            return _columns(orlib.read(content, instance=int(self.instance)), chosen)
        if not self.penalty and not self.grid:
            return job_input(file, data, form, max_size=max_size)
        from qiosk.modeling import Model  # here: the server needs it for nothing else

        penalty = None if self.penalty in ("", AUTO) else _number("penalty", self.penalty)
        grid = _number("grid", self.grid) if self.grid else None
        content = decompressed(data, max_size)
        if len(content) > MAX_MODEL_BYTES:
            raise InvalidValue(
                f"penalty: constraints of files of at most {MAX_MODEL_BYTES} bytes become penalties here, found "
                f"{len(content)}; `qiosk submit --penalty` takes larger ones"
            )
        chosen = format_of(file, content, form)
        model = Model.from_file(file, content, format=chosen.name, penalty=penalty, grid=grid)
        return _columns(model.problem().cost_function(), chosen)


def _columns(problem: CostFunction, form: FileFormat) -> JobInput:
    return JobInput(columns.write(problem), columns.NAME, form.name, problem.name)


def _number(name: str, text: str) -> float:
    value = to_number(text)
    if value is None:
        raise InvalidValue(f"{name}: must be a number, found {text[:100]!r}")
    return value


def store(jobs: JobService, file: str, data: bytes, reading: Reading) -> str:
    """Store the content of a file as the input of a job; returns the job's id. Raises InvalidInput, QuotaExceeded."""
    found = reading.convert(file, data)
    name = problem_name(file) or found.name or "problem"
    draft = str(uuid4())
    upload = jobs.upload_blob(own_container(draft), INPUT_BLOB, overwrite=False)
    try:
        upload.write(found.data)
        upload.commit({_FORMAT: found.file_format, _NAME: quote(name[:_MAX_NAME])})
    finally:
        upload.abort()
    return draft


def problem_name(file: str) -> str:
    """The name of a file without its folder and what follows the first dot.

    >>> problem_name("graphs/G43.json.gz"), problem_name("")
    ('G43', '')
    """
    return PurePath(file.replace("\\", "/")).name.split(".")[0]


def stored_input(blobs: BlobStore, draft: str) -> Input:
    """What ``store`` has stored under an id. Raises BlobNotFound."""
    ref = BlobRef(own_container(_uuid(draft)), INPUT_BLOB)
    with suppress(BlobNotFound):
        found = blobs.properties(ref)
        notes = found.headers.metadata if found.headers else {}
        file_format = notes.get(_FORMAT, "qio")
        return Input(
            ref=ref,
            input_format=QIO_INPUT_FORMAT if file_format == "qio" else columns.NAME,
            file_format=file_format,
            name=unquote(notes.get(_NAME, "")) or "problem",
            size_bytes=found.size_bytes,
            draft=draft,
        )
    raise BlobNotFound("this input is no longer stored: give the problem again")


def input_of(blobs: BlobStore, job: Job) -> Input:
    """The input of a job. Raises BlobNotFound."""
    found = blobs.properties(job.input)
    is_columns = job.input_data_format.lower() == columns.NAME
    return Input(
        ref=job.input,
        input_format=job.input_data_format,
        file_format="columns" if is_columns else "qio",
        name=job.name,
        size_bytes=found.size_bytes,
    )


def read(blobs: BlobStore, stored: Input) -> CostFunction | None:
    """The problem of an input; None if it is too large for a page. Raises InvalidInput, BlobNotFound."""
    if stored.size_bytes > MAX_UPLOAD_BYTES:
        return None
    return registry.read(blobs.get(stored.ref), stored.input_format, max_size=MAX_CONTENT_BYTES)


def _uuid(draft: str) -> str:
    try:
        return str(UUID(draft))
    except ValueError:
        raise BlobNotFound(f"input: must be the id of an upload, found {draft[:100]!r}") from None

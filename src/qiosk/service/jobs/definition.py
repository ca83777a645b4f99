"""From a command to a job: checks everything that can be wrong before anything is stored."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from msgspec import structs

from qiosk.contract.jobs import INPUT_BLOB, SubmitJob, own_container
from qiosk.contract.plain import plain_job
from qiosk.errors import InvalidJobDefinition, InvalidValue
from qiosk.service.blobs.store import BlobStore
from qiosk.service.jobs.job import BlobRef, Job
from qiosk.service.names import blob_name, check_job_id

PRIORITIES = ("Standard", "High")
MAX_WORD = 100
"""Most characters of a job type, by which lists can be sorted, and of a format's name."""
MAX_NAME = 1024
"""Most characters of a name."""
MAX_PARAMS_BYTES = 256 << 10
"""Most bytes of solver parameters as JSON. Every view of a job contains them: put large data in the problem."""
MAX_METADATA_BYTES = 64 << 10
"""Most bytes of a job's metadata as JSON."""
MAX_TAGS_BYTES = 8 << 10
"""Most bytes of tags as JSON."""


def define_job(job_id: str, command: SubmitJob, *, workspace: str, blobs: BlobStore, at: datetime) -> Job:
    """The waiting job that ``command`` describes.

    Equal commands with the same id make jobs of equal ``definition``. Raises InvalidJobDefinition, which names the
    member.
    """
    check_job_id(job_id)
    command = plain_job(command)
    _check_lengths(command)
    _check_size("input_params", command.input_params, MAX_PARAMS_BYTES)
    _check_size("metadata", command.metadata, MAX_METADATA_BYTES)
    container = _container(job_id, command, blobs)
    input_blob = _input(job_id, command, container, blobs)
    return Job(
        workspace=workspace,
        id=job_id,
        name=command.name,
        provider_id=command.provider_id,
        target=command.target,
        job_type=command.job_type,
        input_params=command.input_params,
        metadata=command.metadata,
        tags=check_tags(command.tags),
        priority=check_priority(command.priority),
        session_id=command.session_id,
        container=container,
        input=input_blob,
        input_data_format=command.input_data_format,
        output_data_format=command.output_data_format,
        definition=_digest(command, container, input_blob),
        created_at=at,
    )


def check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The same tags. Raises InvalidJobDefinition if they are too long."""
    _check_size("tags", tags, MAX_TAGS_BYTES)
    return tags


def check_priority(priority: str | None) -> str | None:
    """The same priority. Raises InvalidJobDefinition unless it is None or one of ``PRIORITIES``."""
    if priority is not None and priority not in PRIORITIES:
        raise InvalidJobDefinition(f"priority: must be one of {', '.join(PRIORITIES)}, found {priority!r}")
    return priority


def check_name(name: str) -> str:
    """The same name. Raises InvalidJobDefinition if it is too long."""
    _check_length("name", name, MAX_NAME)
    return name


def _check_lengths(command: SubmitJob) -> None:
    check_name(command.name)
    for member in ("provider_id", "target", "job_type", "input_data_format", "output_data_format"):
        _check_length(member, getattr(command, member), MAX_WORD)
    if command.session_id is not None:
        _check_length("session_id", command.session_id, MAX_WORD)


def _check_length(member: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise InvalidJobDefinition(f"{member}: must have at most {longest} characters, found {len(text)}")


def _check_size(member: str, value: object, most: int) -> None:
    size = len(_as_json(value))
    if size > most:
        raise InvalidJobDefinition(f"{member}: must have at most {most} bytes as JSON, found {size}")


def _container(job_id: str, command: SubmitJob, blobs: BlobStore) -> str:
    if command.container_uri is None:
        return own_container(job_id)
    container, name = _resolve("container_uri", command.container_uri, blobs)
    if name is not None:
        raise InvalidJobDefinition(f"container_uri: must name a container, found {command.container_uri!r}")
    return container


def _input(job_id: str, command: SubmitJob, container: str, blobs: BlobStore) -> BlobRef:
    if (command.input_data is None) == (command.input_data_uri is None):
        found = "neither" if command.input_data is None else "both"
        raise InvalidJobDefinition(f"exactly one of input_data and input_data_uri must be given, found {found}")
    if command.input_data_uri is None:
        return BlobRef(container, blob_name(INPUT_BLOB, job_id, container))
    input_container, name = _resolve("input_data_uri", command.input_data_uri, blobs)
    if name is None:
        raise InvalidJobDefinition(f"input_data_uri: must name a blob, found {command.input_data_uri!r}")
    return BlobRef(input_container, name)


def _resolve(member: str, uri: str, blobs: BlobStore) -> tuple[str, str | None]:
    try:
        return blobs.resolve(uri)
    except InvalidValue as error:
        raise InvalidJobDefinition(f"{member}: {error.message}") from error


def _digest(command: SubmitJob, container: str, input_blob: BlobRef) -> str:
    """Digest of all members except the id: of input data the content, of URIs the container and blob."""
    members = structs.asdict(command)
    members.update(container_uri=container, input_data_uri=input_blob)
    del members["id"]
    if command.input_data is not None:
        members["input_data"] = hashlib.sha256(command.input_data).hexdigest()
    return hashlib.sha256(_as_json(members).encode()).hexdigest()


def _as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)

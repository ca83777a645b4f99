"""From a command to a job: checks everything that can be wrong before anything is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import structs

from qiosk.contract.jobs import INPUT_BLOB, SubmitJob, own_container
from qiosk.errors import InvalidJobDefinition, InvalidValue
from qiosk.service.blobs import BlobStore
from qiosk.service.jobs import BlobRef, Job
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
    _check_types(command)
    _check_size("input_params", command.input_params, MAX_PARAMS_BYTES)
    _check_metadata(command.metadata)
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
        metadata=None if command.metadata is None else dict(command.metadata),
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


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags as a tuple. Raises InvalidJobDefinition if one is not a string, or they are too long."""
    if isinstance(tags, str):
        raise InvalidJobDefinition(f"tags: must be a list of strings, found {tags[:100]!r}")
    for tag in tags:
        if not isinstance(tag, str):
            raise InvalidJobDefinition(f"tags: must be strings, found {tag!r}")
    _check_size("tags", tuple(tags), MAX_TAGS_BYTES)
    return tuple(tags)


def check_priority(priority: str | None) -> str | None:
    """The same priority. Raises InvalidJobDefinition unless it is None or one of ``PRIORITIES``."""
    if priority is not None and priority not in PRIORITIES:
        raise InvalidJobDefinition(f"priority: must be one of {', '.join(PRIORITIES)}, found {priority!r}")
    return priority


def check_name(name: str) -> str:
    """The same name. Raises InvalidJobDefinition if it is too long or cannot be stored."""
    _check_text("name", name, MAX_NAME)
    return name


def _check_types(command: SubmitJob) -> None:
    check_name(command.name)
    for member in ("provider_id", "target", "job_type", "input_data_format", "output_data_format"):
        _check_text(member, getattr(command, member), MAX_WORD)
    if command.session_id is not None:
        _check_text("session_id", command.session_id, MAX_WORD)
    if not isinstance(command.input_data, bytes | None):
        raise InvalidJobDefinition(f"input_data: must be bytes, found {type(command.input_data).__name__}")


def _check_text(member: str, text: object, longest: int) -> None:
    if not isinstance(text, str):
        raise InvalidJobDefinition(f"{member}: must be a string, found {text!r}")
    if len(text) > longest:
        raise InvalidJobDefinition(f"{member}: must have at most {longest} characters, found {len(text)}")
    if not is_storable(text):
        raise InvalidJobDefinition(f"{member}: must be valid Unicode without NUL, found {text!r}")


def _check_size(member: str, value: object, most: int) -> None:
    size = len(_as_json(value))
    if size > most:
        raise InvalidJobDefinition(f"{member}: must have at most {most} bytes as JSON, found {size}")


def is_storable(text: str) -> bool:
    """Whether every database can store the text: it contains no NUL and no unpaired surrogate."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return "\x00" not in text


def _check_metadata(metadata: Mapping[str, str] | None) -> None:
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidJobDefinition(f"metadata: keys and values must be strings, found {key!r}: {value!r}")
    _check_size("metadata", dict(metadata or {}), MAX_METADATA_BYTES)


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
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJobDefinition(f"input_params: must be JSON: {error}") from error

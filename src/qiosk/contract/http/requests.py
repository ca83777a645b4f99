"""Bodies of requests: from bytes to commands on the server, and back on the client.

Bodies are read strictly: a wrong type is an error that names the member. Members that are unknown here are ignored.
Optional ones may be null, unlike those of commands, and take the command's defaults then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from qiosk.contract.http.blobs import blob_uri
from qiosk.contract.jobs import INPUT_BLOB, PatchJob, SubmitJob
from qiosk.contract.plain import MAX_DEPTH
from qiosk.contract.sessions import JobFailurePolicy, OpenSession
from qiosk.errors import InvalidJobDefinition

T = TypeVar("T")

_EMPTY_IS_MISSING = {"input_data_uri", "output_data_format", "job_type", "session_id"}


class PutJob(Struct, rename="camel", kw_only=True):
    """Body of ``PUT jobs/{id}``: the members of a job that clients set. Others are ignored."""

    container_uri: str
    input_data_format: str
    provider_id: str
    target: str
    id: str | None = None
    name: str | None = None
    input_data_uri: str | None = None
    input_params: Any = None
    metadata: dict[str, str] | None = None
    output_data_format: str | None = None
    job_type: str | None = None
    session_id: str | None = None
    tags: tuple[str, ...] | None = None
    priority: str | None = None


class PatchOperation(Struct, kw_only=True):
    """One operation of an RFC 6902 patch."""

    op: str
    path: str
    value: Any = None


class PutSession(Struct, rename="camel", kw_only=True):
    """Body of ``PUT sessions/{id}``: the members of a session that clients set."""

    provider_id: str
    target: str
    id: str | None = None
    name: str | None = None
    job_failure_policy: JobFailurePolicy | None = None
    tags: tuple[str, ...] | None = None
    priority: str | None = None


class StorageRequest(Struct, rename="camel", kw_only=True):
    """Body of ``POST storage/sasUri``."""

    container_name: str
    blob_name: str | None = None


def decode_request(cls: type[T], body: bytes) -> T:
    """A request's body as the given struct type. Raises InvalidJobDefinition, which names the member and the rule."""
    try:
        value = msgspec.json.decode(body, type=cls)
    except msgspec.ValidationError as error:
        raise InvalidJobDefinition(f"request body: {_plain(str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidJobDefinition(f"request body: must be JSON: {error}") from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(value)
    return value


def decode_submission(body: bytes, job_id: str) -> SubmitJob:
    """The command in the body of ``PUT jobs/{job_id}``. Raises InvalidJobDefinition."""
    put = decode_request(PutJob, body)
    _check_id(put.id, job_id)
    defaults = {"name": "", "input_data_uri": blob_uri(put.container_uri, INPUT_BLOB)}
    return SubmitJob(**{**defaults, **_given(put), "id": job_id})


def decode_session(body: bytes, session_id: str) -> OpenSession:
    """The command in the body of ``PUT sessions/{session_id}``. Raises InvalidJobDefinition."""
    put = decode_request(PutSession, body)
    _check_id(put.id, session_id)
    return OpenSession(**{"name": "", **_given(put), "id": session_id})


def submission(command: SubmitJob) -> dict[str, Any]:
    """The body of the ``PUT`` that submits this job, whose input is stored already."""
    members: dict[str, Any] = msgspec.to_builtins(command)
    del members["inputData"]
    return {"itemType": "Job", **members}


def session_request(command: OpenSession) -> dict[str, Any]:
    """The body of the ``PUT`` that opens this session."""
    return {"itemType": "Session", **msgspec.to_builtins(command)}


def decode_patch(body: bytes) -> PatchJob:
    """The changes in the body of ``PATCH``: a merge patch, or a list of RFC 6902 operations.

    Raises InvalidJobDefinition.
    """
    patch: PatchJob | list[PatchOperation] = decode_request(PatchJob | list[PatchOperation], body)  # type: ignore[arg-type]
    return _merged(patch) if isinstance(patch, list) else patch


def _given(request: Struct) -> dict[str, Any]:
    """The members of a request that are not missing."""
    members = msgspec.structs.asdict(request)
    return {
        name: value
        for name, value in members.items()
        if value is not None and not (value == "" and name in _EMPTY_IS_MISSING)
    }


def _check_id(given: str | None, in_url: str) -> None:
    if given is not None and given.lower() != in_url.lower():
        raise InvalidJobDefinition(f"request body: id must be the one in the URL, {in_url!r}, found {given!r}")


def _merged(operations: Sequence[PatchOperation]) -> PatchJob:
    """The merge patch that has the same effect as these operations."""
    members: dict[str, Any] = {}
    removed = {"tags": [], "priority": "Standard"}
    for operation in operations:
        name = operation.path.removeprefix("/")
        if name not in PatchJob.__struct_fields__ or not operation.path.startswith("/"):
            raise InvalidJobDefinition(
                f"patch: path must be one of /name, /tags and /priority, found {operation.path!r}"
            )
        if operation.op in ("add", "replace"):
            members[name] = operation.value
        elif operation.op == "remove" and name in removed:
            members[name] = removed[name]
        else:
            raise InvalidJobDefinition(
                f"patch: op must be 'add' or 'replace', or 'remove' for tags and priority, found {operation.op!r}"
            )
    try:
        return msgspec.convert(members, type=PatchJob)
    except msgspec.ValidationError as error:
        raise InvalidJobDefinition(f"patch: {_plain(str(error))}") from error


def _plain(message: str) -> str:
    """A validation message in our style: the place, then the rule."""
    match = re.fullmatch(r"(.*?)(?: - at `(.*)`)?", message, re.DOTALL)
    text, place = match.groups() if match else (message, None)
    text = text[:1].lower() + text[1:]
    return text if not place or place == "$" else f"{place.removeprefix('$.')}: {text}"


def _check_depth(value: Any) -> None:
    """Raise InvalidJobDefinition if the request has more levels than ``MAX_DEPTH``."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise _too_deep()


def _inside(value: Any) -> list[Any]:
    members: Sequence[Any] = ()
    if isinstance(value, Struct):
        members = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, Mapping):
        members = list(value.values())
    elif isinstance(value, list | tuple):
        members = value
    return [member for member in members if isinstance(member, dict | list | tuple | Struct)]


def _too_deep() -> InvalidJobDefinition:
    return InvalidJobDefinition(f"request body: nesting must be at most {MAX_DEPTH} deep")

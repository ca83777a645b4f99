"""Contract values to JSON and back, in the words of the wire: camelCase members, times in UTC, enums by value.

Every dataclass of the contract has a *wire twin*, a struct made from its fields, which msgspec encodes, decodes and
describes as a JSON schema. Requests are read strictly: a wrong type is an error that names the member. Replies are read
tolerantly: members that are unknown here are passed over, missing ones take their defaults.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from qiosk import errors
from qiosk.contract.jobs import (
    INPUT_BLOB,
    QIO_INPUT_FORMAT,
    QIO_OUTPUT_FORMAT,
    JobPatch,
    JobView,
    SubmitJob,
    TracePoint,
)
from qiosk.contract.sessions import JobFailurePolicy, OpenSession
from qiosk.errors import InvalidJobDefinition, QioskError

MAX_DEPTH = 100
"""Objects and lists inside each other in one request."""

_CLASS = "class"  # the detail that names an error's class

T = TypeVar("T")


class PutJob(msgspec.Struct, rename="camel", kw_only=True):
    """Body of ``PUT jobs/{id}``: what a client says about a job. Members that only the server sets are ignored."""

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
    tags: list[str] | None = None
    priority: str | None = None


class PatchJob(msgspec.Struct, rename="camel", kw_only=True):
    """Body of ``PATCH jobs/{id}`` as a merge patch. Members that are null or missing stay as they are."""

    name: str | None = None
    tags: list[str] | None = None
    priority: str | None = None


class PatchOperation(msgspec.Struct, kw_only=True):
    """One step of an RFC 6902 patch."""

    op: str
    path: str
    value: Any = None


class PutSession(msgspec.Struct, rename="camel", kw_only=True):
    """Body of ``PUT sessions/{id}``: what a client says about a session."""

    provider_id: str
    target: str
    id: str | None = None
    name: str | None = None
    job_failure_policy: JobFailurePolicy | None = None
    tags: list[str] | None = None
    priority: str | None = None


class StorageRequest(msgspec.Struct, rename="camel", kw_only=True):
    """Body of ``POST storage/sasUri``."""

    container_name: str
    blob_name: str | None = None


class ErrorMembers(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong: a stable code and a message."""

    code: str
    message: str
    details: dict[str, Any] = {}


class ErrorBody(msgspec.Struct, kw_only=True):
    """Body of every answer that is no success."""

    error: ErrorMembers


def encode(value: Any) -> bytes:
    """JSON of a contract value, of a struct, or of lists and dictionaries of them."""
    return msgspec.json.encode(to_wire(value))


def to_wire(value: Any) -> Any:
    """The value with every contract dataclass in it replaced by its wire twin; trace points become rows."""
    if isinstance(value, TracePoint):
        return (value.seconds, value.sweep, value.cost)
    if is_dataclass(value) and not isinstance(value, type):
        kind: Any = type(value)
        twin, read, nested = _twin(kind)
        members = dict(zip(twin.__struct_fields__, read(value), strict=True))
        for name in nested:
            members[name] = to_wire(members[name])
        return twin(**members)
    if isinstance(value, list | tuple):
        return [to_wire(member) for member in value]
    if isinstance(value, dict):
        return {key: to_wire(member) for key, member in value.items()}
    return value


def wire_type(cls: Any) -> Any:
    """The wire twin of a contract dataclass: a struct type."""
    return _twin(cls)[0]


def decode(cls: type[T], data: bytes | str) -> T:
    """A contract value from a reply. Raises UnreadableInput if it is none."""
    return _read_reply(cls, lambda twin: msgspec.json.decode(data, type=twin))


def from_wire(cls: type[T], members: Any) -> T:
    """A contract value from the decoded JSON of a reply. Raises UnreadableInput if it is none."""
    return _read_reply(cls, lambda twin: msgspec.convert(members, type=twin))


def decode_trace(rows: Sequence[Sequence[float]]) -> list[TracePoint]:
    """Trace points from rows of seconds, sweep and cost."""
    return [TracePoint(float(seconds), int(sweep), float(cost)) for seconds, sweep, cost in rows]


def decode_request(cls: type[T], body: bytes) -> T:
    """A request's body as the given struct type. Raises InvalidJobDefinition, saying where and what."""
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
    return SubmitJob(
        id=job_id,
        name=put.name or "",
        provider_id=put.provider_id,
        target=put.target,
        input_data_uri=put.input_data_uri or blob_uri(put.container_uri, INPUT_BLOB),
        input_data_format=put.input_data_format,
        output_data_format=put.output_data_format or QIO_OUTPUT_FORMAT,
        input_params=put.input_params,
        container_uri=put.container_uri,
        metadata=put.metadata,
        job_type=put.job_type or "Optimization",
        tags=tuple(put.tags or ()),
        priority=put.priority,
        session_id=put.session_id or None,
    )


def decode_session(body: bytes, session_id: str) -> OpenSession:
    """The command in the body of ``PUT sessions/{session_id}``. Raises InvalidJobDefinition."""
    put = decode_request(PutSession, body)
    _check_id(put.id, session_id)
    return OpenSession(
        id=session_id,
        name=put.name or "",
        provider_id=put.provider_id,
        target=put.target,
        job_failure_policy=put.job_failure_policy or JobFailurePolicy.ABORT,
        tags=tuple(put.tags or ()),
        priority=put.priority,
    )


def submission(command: SubmitJob) -> dict[str, Any]:
    """The body of a ``PUT`` that asks for this job; its input has to be stored already."""
    put = PutJob(
        container_uri=command.container_uri or "",
        input_data_uri=command.input_data_uri,
        input_data_format=command.input_data_format or QIO_INPUT_FORMAT,
        provider_id=command.provider_id,
        target=command.target,
        id=command.id,
        name=command.name,
        input_params=command.input_params,
        metadata=None if command.metadata is None else dict(command.metadata),
        output_data_format=command.output_data_format,
        job_type=command.job_type,
        session_id=command.session_id,
        tags=list(command.tags),
        priority=command.priority,
    )
    return {"itemType": "Job", **typing.cast("dict[str, Any]", msgspec.to_builtins(put))}


def session_request(command: OpenSession) -> dict[str, Any]:
    """The body of a ``PUT`` that opens this session."""
    put = PutSession(
        provider_id=command.provider_id,
        target=command.target,
        id=command.id,
        name=command.name,
        job_failure_policy=command.job_failure_policy,
        tags=list(command.tags),
        priority=command.priority,
    )
    return {"itemType": "Session", **typing.cast("dict[str, Any]", msgspec.to_builtins(put))}


def decode_patch(body: bytes) -> JobPatch:
    """The changes in the body of ``PATCH``: a merge patch, or a list of RFC 6902 operations.

    Raises InvalidJobDefinition.
    """
    patch = decode_request(PatchJob | list[PatchOperation], body)  # type: ignore[arg-type]
    if isinstance(patch, list):
        patch = _merged(patch)
    tags = None if patch.tags is None else tuple(patch.tags)
    return JobPatch(name=patch.name, tags=tags, priority=patch.priority)


def error_body(error: QioskError) -> ErrorBody:
    """What a server says about an error; those ``details`` that cannot be written as JSON are left out.

    Where the code does not tell the class, a detail does.
    """
    details = {name: value for name, value in error.details.items() if _is_json({name: value})}
    if _classes_by_code().get(error.code) is not type(error):
        details[_CLASS] = type(error).__name__
    return ErrorBody(error=ErrorMembers(code=error.code, message=error.message or error.code, details=details))


def decode_error(body: bytes, *, default: type[QioskError] = QioskError) -> QioskError:
    """The error that a server's answer speaks of, of the class it was raised as there.

    ``default`` is used if the code is unknown here, and for bodies that are not ours.
    """
    try:
        members = msgspec.json.decode(body, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return default(body[:200].decode(errors="replace") or "the answer is empty")
    named = getattr(errors, str(members.details.pop(_CLASS, "")), None)
    if not _is_error(named) or named.code != members.code:
        named = _classes_by_code().get(members.code, default)
    return named(members.message, **members.details)


def blob_uri(container_uri: str, name: str) -> str:
    """URI of a blob in the container that ``container_uri`` names; a query is kept."""
    base, mark, query = container_uri.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def uri_segments(uri: str) -> tuple[str, ...]:
    """Segments of a URI's path, decoded."""
    return tuple(unquote(part) for part in urlsplit(uri).path.split("/") if part)


def job_view(members: Any) -> JobView:
    """A job from the decoded JSON of a reply."""
    return from_wire(JobView, members)


def _is_json(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except (TypeError, UnicodeEncodeError, RecursionError):
        return False
    return True


@cache
def _classes_by_code() -> dict[str, type[QioskError]]:
    """The most general class of each code."""
    found: dict[str, type[QioskError]] = {}
    for value in vars(errors).values():
        if _is_error(value):
            found.setdefault(value.code, value)
    return found


def _is_error(value: object) -> typing.TypeGuard[type[QioskError]]:
    return isinstance(value, type) and issubclass(value, QioskError)


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    """The types of a dataclass's members; working them out takes longer than reading a job."""
    return typing.get_type_hints(cls)


@cache
def _twin(cls: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]], Sequence[str]]:
    """A dataclass's struct type, what reads an instance's members in its order, and which of them hold dataclasses."""
    hints = _hints(cls)
    members = [_twin_member(field, _twin_hint(hints[field.name])) for field in fields(cls)]
    nested = [name for name in hints if _holds_dataclass(hints[name])]
    twin = msgspec.defstruct(cls.__name__, members, rename="camel", kw_only=True, module=cls.__module__)
    twin.__doc__ = cls.__doc__
    read = attrgetter(*twin.__struct_fields__)
    return twin, read if len(members) > 1 else lambda value: (read(value),), nested


def _twin_member(field: Field[Any], hint: Any) -> tuple[str, Any, Any]:
    if field.default is not MISSING:
        return field.name, hint, field.default
    if field.default_factory is MISSING:
        return field.name, hint, msgspec.NODEFAULT
    factory = field.default_factory
    return field.name, hint, msgspec.field(default_factory=lambda: to_wire(factory()))


def _holds_dataclass(hint: Any) -> bool:
    return is_dataclass(hint) or any(map(_holds_dataclass, typing.get_args(hint)))


def _twin_hint(hint: Any) -> Any:
    """The hint, with the wire twins of dataclasses in their places, and times that have a zone."""
    if hint is datetime:
        return typing.Annotated[datetime, msgspec.Meta(tz=True)]
    if is_dataclass(hint):
        return tuple[float, int, float] if hint is TracePoint else _twin(typing.cast("Any", hint))[0]
    arguments = tuple(map(_twin_hint, typing.get_args(hint)))
    if not arguments:
        return hint
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return typing.Union[arguments]  # noqa: UP007 - made of values
    return origin[arguments] if origin is not None else hint


def _read_reply(cls: type[T], read: Callable[[Any], Any]) -> T:
    kind: Any = cls  # mypy does not see that classes can be hashed
    try:
        return typing.cast("T", _from_twin(kind, read(_twin(kind)[0])))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise errors.UnreadableInput(f"reply: is no {cls.__name__}: {error}") from error


def _from_twin(hint: Any, value: Any) -> Any:
    if is_dataclass(hint) and isinstance(value, msgspec.Struct):
        kind: Any = hint  # mypy does not see that classes can be hashed
        hints = _hints(kind)
        members = {name: _from_twin(hints[name], getattr(value, name)) for name in value.__struct_fields__}
        return typing.cast("Any", hint)(**members)
    if hint is TracePoint:
        return TracePoint(*value)
    arguments = typing.get_args(hint)
    if isinstance(value, msgspec.Struct):
        return _from_twin(next(argument for argument in arguments if is_dataclass(argument)), value)
    if isinstance(value, list) and arguments:
        return tuple(_from_twin(arguments[0], member) for member in value)
    return value


def _check_id(given: str | None, in_url: str) -> None:
    if given is not None and given.lower() != in_url.lower():
        raise InvalidJobDefinition(f"request body: id must be the one in the URL, {in_url!r}, found {given!r}")


def _merged(operations: Sequence[PatchOperation]) -> PatchJob:
    """The merge patch that does the same as these operations."""
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
    """A validation message in the style of ours: where, then what."""
    match = re.fullmatch(r"(.*?)(?: - at `(.*)`)?", message, re.DOTALL)
    text, place = match.groups() if match else (message, None)
    text = text[:1].lower() + text[1:]
    return text if not place or place == "$" else f"{place.removeprefix('$.')}: {text}"


def _check_depth(value: Any) -> None:
    """Raise InvalidJobDefinition if objects and lists are nested deeper than ``MAX_DEPTH``."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise _too_deep()


def _inside(value: Any) -> list[Any]:
    members: Sequence[Any] = ()
    if isinstance(value, msgspec.Struct):
        members = [getattr(value, name) for name in value.__struct_fields__]
    elif isinstance(value, Mapping):
        members = list(value.values())
    elif isinstance(value, list):
        members = value
    return [member for member in members if isinstance(member, dict | list | msgspec.Struct)]


def _too_deep() -> InvalidJobDefinition:
    return InvalidJobDefinition(f"request body: nesting must be at most {MAX_DEPTH} deep")

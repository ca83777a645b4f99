"""Commands of clients as plain values, made and checked before a service in this process or a server gets them.

Programs pass NumPy scalars, enums and other subclasses of ``str``, ``int`` and ``float``, of which JSON encoders accept
different ones. Here all of them become the value that they stand for, and what JSON or a database cannot contain is
refused, so that an embedded workspace and one on a server accept the same.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs

from qiosk.contract.jobs import PatchJob, SubmitJob
from qiosk.contract.sessions import OpenSession
from qiosk.errors import InvalidJobDefinition, InvalidValue, WrongType

MAX_DEPTH = 100
"""Most levels of objects and lists in a request."""

_TEXTS = ("name", "provider_id", "target", "input_data_format", "output_data_format", "job_type")
_OPTIONAL_TEXTS = ("id", "input_data_uri", "container_uri", "priority", "session_id")


def plain_job(command: SubmitJob) -> SubmitJob:
    """The same job of plain values. Raises InvalidJobDefinition, which names the member."""
    try:
        params = plain_value("input_params", command.input_params)
    except (WrongType, InvalidValue) as error:
        raise InvalidJobDefinition(error.message) from error
    if not isinstance(command.input_data, bytes | None):
        raise InvalidJobDefinition(f"input_data: must be bytes, found {type(command.input_data).__name__}")
    return structs.replace(
        command, **_texts(command), input_params=params, metadata=_metadata(command.metadata), tags=_tags(command.tags)
    )


def plain_session(command: OpenSession) -> OpenSession:
    """The same session of plain values. Raises InvalidJobDefinition, which names the member."""
    return structs.replace(command, **_texts(command), tags=_tags(command.tags))


def plain_patch(patch: PatchJob) -> PatchJob:
    """The same changes as plain values. Raises InvalidJobDefinition, which names the member."""
    return PatchJob(
        name=None if patch.name is None else plain_text("name", patch.name),
        tags=None if patch.tags is None else _tags(patch.tags),
        priority=None if patch.priority is None else plain_text("priority", patch.priority),
    )


def plain_text(member: str, text: object) -> str:
    """A text as a ``str`` itself. Raises InvalidJobDefinition if it is no text, or none that can be stored."""
    if not isinstance(text, str):
        raise InvalidJobDefinition(f"{member}: must be a string, found {text!r}")
    if not is_storable(text):
        raise InvalidJobDefinition(f"{member}: must be valid Unicode without NUL, found {text!r}")
    return str.__str__(text)


def plain_value(name: str, value: Any, depth: int = 0) -> Any:
    """A JSON value as plain Python values: NumPy numbers and arrays become numbers and lists.

    Raises WrongType for what JSON has no value for; InvalidValue for a number that is not finite, a text that cannot
    be stored, and more than ``MAX_DEPTH`` levels.
    """
    if depth > MAX_DEPTH:
        raise InvalidValue(f"parameter `{name[:40]}…`: nesting must be at most {MAX_DEPTH} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not is_storable(value):
            raise InvalidValue(f"parameter `{name}`: must be valid Unicode without NUL, found {value!r}")
        return str.__str__(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise InvalidValue(f"parameter `{name}`: must be finite, found {float(value)}")
        return float(value)
    if isinstance(value, Mapping):
        return {_key(name, key): plain_value(f"{name}.{key}", member, depth + 1) for key, member in value.items()}
    if hasattr(value, "tolist") and not isinstance(value, numbers.Number):  # arrays, and NumPy's truth values
        return plain_value(name, value.tolist(), depth)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain_value(f"{name}[{i}]", member, depth + 1) for i, member in enumerate(value)]
    raise WrongType(f"parameter `{name}`: must be a JSON value, found {type(value).__name__}")


def is_storable(text: str) -> bool:
    """Whether every database can store the text: it contains no NUL and no unpaired surrogate."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return "\x00" not in text


def _key(name: str, key: object) -> str:
    plain = plain_value(f"{name}: key", key)
    return plain if isinstance(plain, str) else str(plain)


def _texts(command: SubmitJob | OpenSession) -> dict[str, str]:
    """The members that are texts. Those that may be missing are left out if they are."""
    given = {name: getattr(command, name) for name in command.__struct_fields__}
    return {
        name: plain_text(name, value)
        for name, value in given.items()
        if name in _TEXTS or (name in _OPTIONAL_TEXTS and value is not None)
    }


def _metadata(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise InvalidJobDefinition(f"metadata: must be a mapping of strings, found {type(metadata).__name__}")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidJobDefinition(f"metadata: keys and values must be strings, found {key!r}: {value!r}")
    return {plain_text("metadata", key): plain_text("metadata", value) for key, value in metadata.items()}


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str | bytes) or not isinstance(tags, Iterable):
        raise InvalidJobDefinition(f"tags: must be a list of strings, found {str(tags)[:100]!r}")
    found = tuple(tags)
    for tag in found:
        if not isinstance(tag, str):
            raise InvalidJobDefinition(f"tags: must be strings, found {tag!r}")
    return tuple(plain_text("tags", tag) for tag in found)

"""Records to JSON and back: members in camelCase, times in UTC, enums by their values.

Replies may come from a newer or older server: members that are unknown here are ignored, and missing ones take their
defaults. Requests are read strictly, by :mod:`qiosk.contract.http.requests`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from qiosk.errors import UnreadableInput

T = TypeVar("T")

encode = msgspec.json.Encoder().encode
"""JSON of a record, or of lists and dictionaries of them."""


def decode(cls: type[T], data: bytes | str) -> T:
    """A record from a reply. Raises UnreadableInput if it is none."""
    try:
        return msgspec.json.decode(data, type=cls)
    except msgspec.ValidationError as error:
        raise _unreadable(cls, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableInput(f"reply: is no JSON: {error}") from error


def convert(cls: type[T], members: Any) -> T:
    """A record from the decoded JSON of a reply. Raises UnreadableInput if it is none."""
    try:
        return msgspec.convert(members, type=cls)
    except msgspec.ValidationError as error:
        raise _unreadable(cls, error) from error


def _unreadable(cls: type, error: msgspec.ValidationError) -> UnreadableInput:
    return UnreadableInput(f"reply: is no {cls.__name__ if isinstance(cls, type) else cls}: {error}")

"""Errors in answers: what a server sends about an error, and the error that a client makes of it."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeGuard

import msgspec

from qiosk import errors
from qiosk.errors import QioskError

_CLASS = "class"  # the detail that names an error's class


class ErrorMembers(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong: a stable code and a message."""

    code: str
    message: str
    details: dict[str, Any] = {}


class ErrorBody(msgspec.Struct, kw_only=True):
    """Body of every answer that is no success."""

    error: ErrorMembers


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


def _is_error(value: object) -> TypeGuard[type[QioskError]]:
    return isinstance(value, type) and issubclass(value, QioskError)

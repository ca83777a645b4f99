"""Errors in replies: from an exception to JSON on the server, and back on the client."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeGuard

import msgspec

from qiosk import errors
from qiosk.errors import QioskError

_CLASS = "class"  # the detail that names an error's class


class ErrorMembers(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An error: a stable code and a message."""

    code: str
    message: str
    details: dict[str, Any] = {}


class ErrorBody(msgspec.Struct, kw_only=True):
    """Body of every reply that reports an error."""

    error: ErrorMembers


def error_body(error: QioskError) -> ErrorBody:
    """The body of the reply about an error, without those ``details`` that cannot be JSON.

    If several classes have the error's code, a detail named ``class`` names its own.
    """
    details = {name: value for name, value in error.details.items() if _is_json({name: value})}
    if _classes_by_code().get(error.code) is not type(error):
        details[_CLASS] = type(error).__name__
    return ErrorBody(error=ErrorMembers(code=error.code, message=error.message or error.code, details=details))


def decode_error(body: bytes, *, default: type[QioskError] = QioskError) -> QioskError:
    """The error in a reply's body, of the class that the server raised.

    Of the class ``default`` if the code is unknown here, or the body is not an ``ErrorBody``.
    """
    try:
        members = msgspec.json.decode(body, type=ErrorBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return default(body[:200].decode(errors="replace") or "the reply is empty")
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

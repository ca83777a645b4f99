"""Reads what pages send: forms, with limits on their size and on the time that they take to arrive, and choices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final, TypeVar

from starlette.datastructures import FormData, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from qiosk.errors import InvalidFilter, InvalidJobDefinition, RequestTimeout
from qiosk.server.settings import ServerSettings
from qiosk.server.web.bodies import check_length, too_large

MAX_FORM_BYTES: Final = 1 << 20
"""Largest form without files."""
BYTES_PER_S: Final = 1 << 19
"""Rate at which a large form must arrive at least."""
_MAX_FIELDS: Final = 2000

Status = TypeVar("Status", bound=StrEnum)


@asynccontextmanager
async def read_form(request: Request, *, max_bytes: int = MAX_FORM_BYTES) -> AsyncIterator[FormData]:
    """The form in a request; its files are closed afterwards.

    Raises RequestTooLarge as soon as it is too long, RequestTimeout if it does not arrive in time, InvalidJobDefinition
    if the connection ends before.
    """
    settings: ServerSettings = request.app.state.settings
    check_length(request, max_bytes)
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > max_bytes:
            raise too_large(max_bytes)
        return message

    limited = Request(request.scope, receive)
    seconds = max(settings.body_seconds, max_bytes / BYTES_PER_S)
    try:
        async with asyncio.timeout(seconds):
            form = await limited.form(max_fields=_MAX_FIELDS, max_files=1, max_part_size=max_bytes)
    except TimeoutError:
        raise RequestTimeout(f"request body: must arrive within {seconds:g} s") from None
    except ClientDisconnect as error:
        raise InvalidJobDefinition("request body: the connection ended before it was complete") from error
    try:
        yield form
    finally:
        await form.close()


def statuses_in(given: QueryParams, known: type[Status]) -> tuple[Status, ...]:
    """The different states in a URL, in whatever letter case. Raises InvalidFilter."""
    by_name = {status.lower(): status for status in known}
    texts = [text for text in given.getlist("status") if text]
    for text in texts:
        if text.lower() not in by_name:
            raise InvalidFilter(f"status: must be one of {', '.join(known)}, found {text[:100]!r}")
    return tuple(dict.fromkeys(by_name[text.lower()] for text in texts))


def text_of(form: FormData, name: str) -> str:
    """A field's text without blanks around it; empty if it is missing or a file."""
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""

"""Reads the body of a request, with limits on its size and time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from qiosk.errors import InvalidJobDefinition, RequestTimeout, RequestTooLarge
from qiosk.server.settings import ServerSettings


async def request_body(request: Request, settings: ServerSettings) -> bytes:
    """The body of a request about jobs, within the settings' limits. Raises RequestTooLarge, RequestTimeout."""
    return await read_body(request, max_bytes=settings.max_body_bytes, timeout_s=settings.body_seconds)


async def read_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body. Raises RequestTooLarge as soon as it is too long, RequestTimeout if it arrives too slowly."""
    check_length(request, max_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(request, max_bytes)
    except TimeoutError:
        raise RequestTimeout(f"request body: must arrive within {timeout_s:g} s") from None
    except ClientDisconnect as error:
        raise InvalidJobDefinition("request body: the connection ended before it was complete") from error


def check_length(request: Request, max_bytes: int) -> None:
    """Raise RequestTooLarge if a request says that its body is longer."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > max_bytes):
        raise too_large(max_bytes)


async def _read(request: Request, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            raise too_large(max_bytes)
        pieces.append(piece)
    return b"".join(pieces)


def too_large(max_bytes: int) -> RequestTooLarge:
    """The error for a body that is larger than allowed."""
    return RequestTooLarge(f"request body: must have at most {max_bytes} bytes", max_bytes=max_bytes)

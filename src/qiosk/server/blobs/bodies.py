"""From a request's body to a store, piece by piece: what a blob takes of memory does not depend on its size."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from qiosk.errors import RequestTimeout, RequestTooLarge
from qiosk.server.blobs.errors import BlobRefusal
from qiosk.service.blobs import BlobProperties, BlobWriter

SMALL = 1 << 20
"""Bodies up to this size are handed over as a whole, in one step."""
_GATHER = 1 << 20  # bytes written at a time: one visit to a thread each
_MAX_LENGTH_DIGITS = 18


@final
class Body:
    """The body of a request that writes a blob or a block.

    ``max_bytes`` is the largest one that is taken, ``idle_s`` the longest pause, ``check_bytes`` is asked before
    bytes are stored whether they may be, and raises QuotaExceeded.
    """

    def __init__(self, request: Request, *, max_bytes: int, idle_s: float, check_bytes: Callable[[int], None]) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._idle_s = idle_s
        self._check_bytes = check_bytes
        self._md5 = hashlib.md5(usedforsecurity=False) if "content-md5" in request.headers else None
        self.length = _content_length(request)
        if self.length is not None and self.length > max_bytes:
            raise self._too_large()

    async def read(self) -> bytes:
        """All of it, for documents."""
        return b"".join([piece async for piece in self._pieces()])

    async def store(self, open_writer: Callable[[], BlobWriter]) -> BlobProperties:
        """Write it, and commit; nothing stays if it does not arrive whole."""
        if self.length is not None and self.length <= SMALL:
            data = await self.read()
            return await run_in_threadpool(self._store_small, open_writer, data)
        writer = await run_in_threadpool(self._open, open_writer)
        try:
            async for piece in self._gathered():
                await run_in_threadpool(self._write, writer, piece)
            return await run_in_threadpool(self._commit, writer)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(writer.abort)

    def _store_small(self, open_writer: Callable[[], BlobWriter], data: bytes) -> BlobProperties:
        writer = self._open(open_writer)
        try:
            self._write(writer, data)
            return self._commit(writer)
        finally:
            writer.abort()

    def _open(self, open_writer: Callable[[], BlobWriter]) -> BlobWriter:
        if self.length is not None:
            self._check_bytes(self.length)
        return open_writer()

    def _write(self, writer: BlobWriter, data: bytes) -> None:
        if self.length is None:
            self._check_bytes(len(data))
        if self._md5 is not None:
            self._md5.update(data)
        writer.write(data)

    def _commit(self, writer: BlobWriter) -> BlobProperties:
        if self._md5 is not None:
            found = base64.b64encode(self._md5.digest()).decode()
            if found != self._request.headers["content-md5"].strip():
                raise BlobRefusal(400, "Md5Mismatch", "the body's MD5 is not the one in Content-MD5")
        return writer.commit()

    async def _gathered(self) -> AsyncIterator[bytes]:
        pieces: list[bytes] = []
        size = 0
        async for piece in self._pieces():
            pieces.append(piece)
            size += len(piece)
            if size >= _GATHER:
                gathered = b"".join(pieces)
                pieces.clear()  # before they are written: what waits is held once
                size = 0
                yield gathered
        if pieces:
            yield b"".join(pieces)

    async def _pieces(self) -> AsyncIterator[bytes]:
        size = 0
        stream = self._request.stream()
        while True:
            try:
                async with asyncio.timeout(self._idle_s):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise RequestTimeout(f"request body: pauses for more than {self._idle_s:g} s") from None
            except ClientDisconnect as error:
                raise BlobRefusal(400, "IncompleteBody", "the connection ended before the body did") from error
            size += len(piece)
            if size > self._max_bytes:
                raise self._too_large()
            if piece:
                yield piece

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"request body: must have at most {self._max_bytes} bytes", max_bytes=self._max_bytes)


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_LENGTH_DIGITS):
        raise BlobRefusal(400, "InvalidHeaderValue", f"Content-Length: must be a number of bytes, found {text[:40]!r}")
    return int(text)

"""Streams the body of a request into a blob store.

How it works. A body is read from the socket in the event loop, and written to the store in threads, since stores wait
for disks or networks. Small bodies are read as a whole and stored in one visit to a thread. Larger ones are gathered
into pieces of ``_GATHER_BYTES``; each is written before the next is read, so memory does not depend on the size of a
blob, and a slow store slows the client down. A blob becomes visible only when it is committed: if the client
disconnects, sends too much or pauses too long, the writer is aborted, also while the request is being cancelled.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from qiosk.errors import RequestTimeout
from qiosk.server.blobs.errors import BlobRefusal
from qiosk.server.web.bodies import too_large
from qiosk.service.blobs.store import BlobProperties, BlobWriter, counted_bytes

SMALL = 1 << 20
"""Bodies up to this many bytes are read and stored as a whole."""
_GATHER_BYTES = 1 << 20  # least size of a piece that is written to the store
_MAX_LENGTH_DIGITS = 18


@final
class Body:
    """The body of a request that writes a blob or a block.

    ``max_bytes`` is its largest size, ``idle_s`` the longest pause between two pieces. ``check_bytes`` is called with
    the number of bytes before they are stored; it raises QuotaExceeded if the quota does not allow them.
    """

    def __init__(self, request: Request, *, max_bytes: int, idle_s: float, check_bytes: Callable[[int], None]) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._idle_s = idle_s
        self._check_bytes = check_bytes
        self._md5 = hashlib.md5(usedforsecurity=False) if "content-md5" in request.headers else None
        self.length = _content_length(request)
        if self.length is not None and self.length > max_bytes:
            raise too_large(max_bytes)

    async def read(self) -> bytes:
        """The whole body; for small documents."""
        return b"".join([piece async for piece in self._pieces()])

    async def store(self, open_writer: Callable[[], BlobWriter]) -> BlobProperties:
        """Write the body and commit it. Nothing is stored unless it arrives as a whole."""
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
        self._check_bytes(counted_bytes(self.length or 0))
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
            if size >= _GATHER_BYTES:
                gathered = b"".join(pieces)
                pieces.clear()  # free them while the gathered piece is written
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
                raise RequestTimeout(f"request body: paused for more than {self._idle_s:g} s") from None
            except ClientDisconnect as error:
                raise BlobRefusal(400, "IncompleteBody", "the connection ended before the body did") from error
            size += len(piece)
            if size > self._max_bytes:
                raise too_large(self._max_bytes)
            if piece:
                yield piece


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_LENGTH_DIGITS):
        raise BlobRefusal(400, "InvalidHeaderValue", f"Content-Length: must be a number of bytes, found {text[:40]!r}")
    return int(text)

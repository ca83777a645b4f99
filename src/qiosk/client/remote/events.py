"""Follows a job through server-sent events, also across broken connections and restarts of the server.

How it works. The server keeps one response open and writes an event for every change of the job: the job itself, and
the points that are new in its trace. The id of an event counts the points sent so far and contains a checksum of the
last one. When a connection ends before the job does, the client opens a new one with ``Last-Event-ID`` set to the last
id, and the server continues after that point. If the trace has been rewritten since (a job that was resumed from an
older checkpoint), the checksum differs, and the server sends the trace from its beginning. A forked child that goes on
with a stream opens a new connection in the same way.

There are three time limits. A connection without a byte for ``SILENCE_S`` is closed and opened again. If there is no
event for ``OUTAGE_S``, over any number of connections, the client gives up. The caller's time-out ends everything, but
leaves at least ``FIRST_UPDATE_S`` for the first update.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from qiosk.client.remote.errors import error_of
from qiosk.client.remote.transport import Request, Transport
from qiosk.contract import codec
from qiosk.contract.http import error_codec
from qiosk.contract.jobs import JobUpdate, JobView, not_completed
from qiosk.errors import ServiceUnavailable, UnreadableInput

SILENCE_S = 45.0
"""Longest time without a byte on a connection; servers send a comment every 15 s."""
OUTAGE_S = 120.0
"""Longest time without an event while connections fail."""
FIRST_UPDATE_S = 10.0
"""Time for the first update, even if the caller's time-out is shorter."""
_MAX_LINE_BYTES = 64 << 20
_ID = re.compile(r"[0-9]+(\.[0-9a-f]+)?")
_RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event. ``id`` is None if no event has had one yet."""

    kind: str
    id: str | None
    data: str


class EventParser:
    """Parses a stream of bytes that arrives in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece. Raises UnreadableInput for a line that is too long."""
        lines = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MAX_LINE_BYTES:
            raise UnreadableInput(f"events: a line is longer than {_MAX_LINE_BYTES} bytes")
        for line in lines:
            if line:
                self._field(line.decode(errors="replace"))
            else:
                if self._data:
                    yield Event(self._kind or "message", self._id, "\n".join(self._data))
                self._kind, self._data = "", []

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self._id = value


def updates(transport: Transport, url: str, job_id: str, *, after: int, timeout_s: float | None) -> Iterator[JobUpdate]:
    """Implements ``JobsApi.updates`` with the events at ``url``.

    Raises the errors that the server sends; ServiceUnavailable if it cannot be reached for ``OUTAGE_S``; TimeoutError.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    last: JobView | None = None
    last_id = str(after)
    failures, last_event_at = 0, time.monotonic()
    while True:
        try:
            for event_id, update in _stream(transport, url, last_id, deadline, is_first=last is None):
                failures, last_event_at = 0, time.monotonic()
                last_id = event_id or str(update.trace_start + len(update.new_trace))
                if last is None or update.new_trace or not _is_same(update.view, last):
                    yield update
                last = update.view
                if last.status.is_final:
                    return
                if deadline is not None and time.monotonic() >= deadline:
                    break
            failure: Exception = ServiceUnavailable("the stream ended before the job did")
        except (HTTPError, ServiceUnavailable) as error:
            failure = error
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise not_completed(job_id, timeout_s, None if last is None else last.status)
        if now - last_event_at >= OUTAGE_S:
            raise transport.unreachable(url, failure) from failure
        failures += 1
        pause_s = transport.retry_policy.pause_s(failures)
        time.sleep(pause_s if deadline is None else min(pause_s, max(0.0, deadline - now)))


def _stream(
    transport: Transport, url: str, last_id: str, deadline: float | None, *, is_first: bool
) -> Iterator[tuple[str | None, JobUpdate]]:
    """The updates of one connection with their ids, until it ends or the deadline passes."""
    until = deadline
    if deadline is not None and is_first:
        until = max(deadline, time.monotonic() + FIRST_UPDATE_S)

    def timeout_s() -> float:
        return SILENCE_S if until is None else max(0.001, min(SILENCE_S, until - time.monotonic()))

    process = os.getpid()
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last_id, "Cache-Control": "no-cache"}
    response = transport.open(Request(method="GET", url=url, headers=headers), read_timeout_s=timeout_s())
    try:
        if response.status != 200:
            error = error_of(response)
            raise ServiceUnavailable(str(error)) if response.status in _RETRIED_STATUSES else error
        parser = EventParser()
        for piece in response.stream(1 << 16, decode_content=True):
            for event in parser.feed(piece):
                yield event.id if event.id and _ID.fullmatch(event.id) else None, _update(event)
                if os.getpid() != process:  # the connection is the parent's
                    return
                until = deadline
            _set_timeout(response, timeout_s())
    finally:
        response.close()  # the server notices that, and stops sending


def _set_timeout(response: BaseHTTPResponse, seconds: float) -> None:
    """Limit the next read: the deadline approaches while events arrive."""
    socket = getattr(response.connection, "sock", None)
    if socket is not None:
        socket.settimeout(seconds)


def _update(event: Event) -> JobUpdate:
    """The update in an event. Raises the error that an error event contains, UnreadableInput."""
    if event.kind == "error":
        raise error_codec.decode_error(event.data.encode())
    try:
        return codec.decode(JobUpdate, event.data)
    except UnreadableInput as error:
        raise UnreadableInput(f"events: is no update of a job: {error.message}") from error


def _is_same(view: JobView, other: JobView) -> bool:
    """Whether nothing differs except signatures of links."""
    return _without_links(view) == _without_links(other)


def _without_links(view: JobView) -> JobView:
    return replace(view, container_uri="", input_data_uri="", output_data_uri=None)

"""Server-sent events: a job's changes as they happen, also across broken connections and restarts of the server.

Every event has an id that says which trace points were sent so far; a new connection names it and goes on from there.
The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from qiosk.client.remote.transport import Request, Transport, error_of
from qiosk.contract import codec
from qiosk.contract.jobs import JobUpdate, JobView, not_completed
from qiosk.errors import QioskError, ServiceUnavailable, UnreadableInput

SILENCE_S = 45.0
"""A connection without a sign of life for so long is given up; servers send one every 15 s."""
OUTAGE_S = 120.0
"""A server that cannot be reached for so long is given up."""
FIRST_S = 10.0
"""How long the first update may take, whatever the time-out."""
_MAX_EVENT = 64 << 20
_ID = re.compile(r"[0-9]+(\.[0-9a-f]+)?")
_PASSING = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind, its id, or None if it has none, and its data."""

    kind: str
    id: str | None
    data: str


class EventParser:
    """Bytes of a stream to events, however the bytes are cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece. Raises UnreadableInput for one that does not end."""
        lines = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MAX_EVENT:
            raise UnreadableInput(f"events: a line is longer than {_MAX_EVENT} bytes")
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


def updates(
    transport: Transport,
    url: str,
    job_id: str,
    *,
    after: int,
    timeout_s: float | None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[JobUpdate]:
    """What ``JobsApi.updates`` promises, from the events at ``url``.

    Raises the errors that the server speaks of; ServiceUnavailable if it cannot be reached for ``OUTAGE_S``;
    TimeoutError.
    """
    deadline = None if timeout_s is None else monotonic() + timeout_s
    last: JobView | None = None
    known = str(after)
    failures, heard_at = 0, monotonic()
    while True:
        try:
            patience_s = FIRST_S if last is None else 0.0
            for event_id, update in _connection(transport, url, known, deadline, patience_s, monotonic):
                failures, heard_at = 0, monotonic()
                known = event_id or str(update.trace_start + len(update.new_trace))
                if last is None or update.new_trace or not _is_same(update.view, last):
                    yield update
                last = update.view
                if last.status.is_final:
                    return
                if deadline is not None and monotonic() >= deadline:
                    break
            failure: Exception = ServiceUnavailable("the stream ended before the job did")
        except (HTTPError, ServiceUnavailable) as error:
            failure = error
        now = monotonic()
        if deadline is not None and now >= deadline:
            raise not_completed(job_id, timeout_s, None if last is None else last.status)
        if now - heard_at >= OUTAGE_S:
            raise transport.unreachable(url, failure) from failure
        failures += 1
        pause = transport.patience.pause(failures)
        sleep(pause if deadline is None else min(pause, max(0.0, deadline - now)))


def _connection(
    transport: Transport,
    url: str,
    known: str,
    deadline: float | None,
    patience_s: float,
    monotonic: Callable[[], float],
) -> Iterator[tuple[str | None, JobUpdate]]:
    """The updates of one connection with their ids, until it ends or time is up; the first one may take
    ``patience_s`` in any case.
    """
    until = None if deadline is None else max(deadline, monotonic() + patience_s)

    def left() -> float:
        return SILENCE_S if until is None else max(0.001, min(SILENCE_S, until - monotonic()))

    headers = {"Accept": "text/event-stream", "Last-Event-ID": known, "Cache-Control": "no-cache"}
    response = transport.open(Request(method="GET", url=url, headers=headers), read_timeout_s=left())
    try:
        if response.status != 200:
            error = error_of(response)
            raise ServiceUnavailable(str(error)) if response.status in _PASSING else error
        parser = EventParser()
        for piece in response.stream(1 << 16, decode_content=True):
            for event in parser.feed(piece):
                yield event.id if event.id and _ID.fullmatch(event.id) else None, _update(event)
                until = deadline
            _set_timeout(response, left())
    finally:
        response.close()  # the server hears it, and stops sending


def _set_timeout(response: BaseHTTPResponse, seconds: float) -> None:
    """How long the next read may be silent: a deadline comes nearer while events keep coming."""
    socket = getattr(response.connection, "sock", None)
    if socket is not None:
        socket.settimeout(seconds)


def _update(event: Event) -> JobUpdate:
    """The update in an event. Raises the error that an event speaks of, UnreadableInput."""
    if event.kind == "error":
        raise codec.decode_error(event.data.encode())
    try:
        members: dict[str, Any] = msgspec.json.decode(event.data, type=dict[str, Any])
        trace = codec.decode_trace(members.get("trace") or ())
        start = int(members.get("traceStart") or 0)
        return JobUpdate(view=codec.job_view(members["job"]), trace_start=start, new_trace=trace)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, QioskError):
            raise
        raise UnreadableInput(f"events: is no update of a job: {error}") from error


def _is_same(view: JobView, other: JobView) -> bool:
    """Whether nothing changed but the signatures of links."""
    return _without_links(view) == _without_links(other)


def _without_links(view: JobView) -> JobView:
    return replace(view, container_uri="", input_data_uri="", output_data_uri=None)

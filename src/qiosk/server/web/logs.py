"""The server's log: structured lines on standard error, without secrets."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, final

import msgspec
import structlog

from qiosk.console.status_line import is_terminal

_SECRETS = re.compile(
    r"(?P<name>\b(?:sig|access_token|api[-_]?key|password)=)[^&\s'\"]+"  # in URLs and connection strings
    r"|(?P<bearer>\bbearer\s+)\S+"
    r"|(?P<key>\bqk_[A-Za-z0-9]+_)[A-Za-z0-9_-]+"
    r"|(?P<user>://[^\s/:@]+:)[^\s@]+(?=@)",
    re.IGNORECASE,
)
_HIDDEN = "***"


def scrub(text: str) -> str:
    """The text without signatures, tokens, keys and passwords."""
    return _SECRETS.sub(lambda match: next(group for group in match.groups() if group) + _HIDDEN, text)


def configure_logs(log_format: str, *, level: int = logging.INFO) -> None:
    """Write everything that this process logs to standard error, as ``json`` or, for people, as ``console``.

    Without standard error the lines are dropped. The server's own lines do not pass through ``logging``, which is slow:
    there is one for every request.
    """
    out = _standard_error()
    binary = getattr(out, "buffer", None)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    is_json = log_format == "json"
    console = structlog.dev.ConsoleRenderer(colors=is_terminal(out))
    as_text = structlog.processors.JSONRenderer(_to_json_text) if is_json else console
    writes_bytes = is_json and binary is not None
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_to_json) if writes_bytes else as_text],
        logger_factory=structlog.BytesLoggerFactory(binary) if writes_bytes else structlog.PrintLoggerFactory(out),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_text],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


@final
class _Nowhere(io.TextIOBase):
    """A stream that drops what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


def _standard_error() -> Any:
    """Standard error, or what drops all lines if there is none, or it is closed or no stream."""
    stream = sys.stderr
    if hasattr(stream, "write") and hasattr(stream, "flush") and not getattr(stream, "closed", False):
        return stream
    return _Nowhere()


def _to_json_text(event: Any, **_: Any) -> str:
    return _to_json(event).decode()


def _to_json(event: Any, **_: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)


def _scrub_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = scrub(value)
    return event

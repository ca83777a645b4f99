"""The server's log: structured lines on standard error, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

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

    The server's own lines do not pass through ``logging``, which is slow: there is one for every request.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    is_json = log_format == "json"
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_to_json) if is_json else console],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer)
        if is_json
        else structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(lambda event, **_: _to_json(event).decode()) if is_json else console,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _to_json(event: Any, **_: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)


def _scrub_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = scrub(value)
    return event

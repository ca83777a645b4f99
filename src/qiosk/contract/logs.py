"""Lines of a job's log."""

from __future__ import annotations

import logging
import re
from datetime import datetime

from msgspec import Struct

from qiosk.contract.times import AwareTime

MAX_LOG_BYTES = 64 << 10
"""Size of the log that is kept of a job: of its latest lines, and of the one that crosses this limit."""
MAX_LINE_CHARS = 8_000
"""Longest text of a line; of a longer one the beginning is left out."""
_LINE_BYTES = 64  # of a line besides its text: so the number of lines is bounded, too
_SIGNATURE = re.compile(r"(?<=[?&]sig=)[^&\s'\"]+")


class LogLine(Struct, rename="camel", frozen=True, kw_only=True):
    """A line of a job's log; ``text`` may contain line breaks, as tracebacks do.

    ``level`` is a name of the module ``logging``, such as ``WARNING``. ``position`` is the size of the log up to the
    end of this line, also of what is not kept any more: lines after it have larger ones.
    """

    time: AwareTime
    level: str
    text: str
    position: int = 0

    @property
    def size(self) -> int:
        """What the line counts of ``MAX_LOG_BYTES``."""
        return len(self.text.encode()) + _LINE_BYTES


def log_line(time: datetime, level: int, text: str) -> LogLine:
    """A line that can be stored and shown: without signatures of links, and not too long."""
    text = _SIGNATURE.sub("…", text).replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
    if len(text) > MAX_LINE_CHARS:
        text = f"… {text[-MAX_LINE_CHARS:]}"
    return LogLine(time=time, level=logging.getLevelName(level), text=text)

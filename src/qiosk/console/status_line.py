"""One line at the end of a terminal or notebook cell that is written again and again, with other output above it.

On a terminal the line is on standard error. While it is shown, ``sys.stdout`` and ``sys.stderr`` are replaced where
they are terminals: what is printed removes the line first, and the line is written again below. Output that goes to a
file is left alone.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from html import escape
from importlib import import_module
from typing import Any

_CLEAR = "\r\x1b[2K"
REFRESH_S = 0.5
"""The line is written again after this time, because it shows the time that has passed."""

_IN_ASCII = str.maketrans("━─…›↑↓▁▂▃▄▅▆▇█", "#-.>^v_.-=+*%#")

_in_use = threading.Lock()
"""Held while a line is shown: a second one at the same time shows nothing."""


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; one that is missing, closed or of a strange kind is none."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def encodable(text: str, encoding: str) -> str:
    """A text as it is, or in ASCII where the encoding lacks a character of it: bars as ``#`` and ``-``."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_IN_ASCII).encode("ascii", "replace").decode()
    return text


class StatusLine:
    """The text that ``render(width)`` returns, from ``start`` to ``stop``; the last one is kept on the screen.

    A line whose output is neither a terminal nor a notebook does nothing.
    """

    def __init__(self, render: Callable[[int], str]) -> None:
        self._render = render
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._out: Any = None
        self._cell: Any = None
        self._above: dict[str, _Above] = {}
        self._is_drawn = False
        self._has_open_line = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Show the line, unless another one is shown in this process."""
        if not is_terminal(sys.stderr):
            self._cell = _notebook_cell(self._html())
            return
        if not _in_use.acquire(blocking=False):
            return
        self._out = sys.stderr
        for name in ("stdout", "stderr"):
            if is_terminal(stream := getattr(sys, name)):
                self._above[name] = _Above(stream, self)
                setattr(sys, name, self._above[name])
        self.draw()
        threading.Thread(target=self._keep_drawing, name="status line", daemon=True).start()

    def draw(self) -> None:
        """Write the line again; below an unfinished line of other output it waits for the end of that."""
        if self._cell is not None:
            self._cell(self._html())
        with self._lock:
            if self._out is not None and not self._has_open_line:
                self._out.write(
                    _CLEAR + encodable(self._render(self._width()), getattr(self._out, "encoding", None) or "utf-8")
                )
                self._out.flush()
                self._is_drawn = True

    def stop(self) -> None:
        """Write the line for the last time, and put the streams back."""
        if self._cell is not None:
            self.draw()
        if self._out is None or os.getpid() != self._process:
            return
        self._ended.set()
        with self._lock:
            self.draw()
            if self._is_drawn:
                self._out.write("\n")
                self._out.flush()
            self._out = None
        for name, above in self._above.items():
            if getattr(sys, name) is above:
                setattr(sys, name, above.stream)
        _in_use.release()

    def write_above(self, stream: Any, text: str) -> int:
        """Write other output to a stream."""
        if os.getpid() != self._process:  # a forked child has no line, and its lock may never be released
            return int(stream.write(text))
        with self._lock:
            self.clear()
            count = int(stream.write(text))
            stream.flush()
            if text and self._out is not None:
                self._has_open_line = not text.endswith("\n")
                self.draw()
            return count

    def clear(self) -> None:
        """Remove the line from the screen."""
        with self._lock:
            if self._out is not None and self._is_drawn:
                self._out.write(_CLEAR)
                self._out.flush()
                self._is_drawn = False

    def _keep_drawing(self) -> None:
        while not self._ended.wait(REFRESH_S):
            self.draw()

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._out.fileno()).columns - 1
        except (OSError, ValueError):
            return 79

    def _html(self) -> str:
        return f"<pre>{escape(self._render(79))}</pre>"


class _Above:
    """A stream whose text goes above the line."""

    def __init__(self, stream: Any, line: StatusLine) -> None:
        self.stream = stream
        self._line = line

    def write(self, text: str) -> int:
        return self._line.write_above(self.stream, text)

    def writelines(self, lines: Any) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        if name in ("buffer", "fileno", "detach"):  # the caller writes past this object
            self._line.clear()
        return getattr(self.stream, name)


def _notebook_cell(html: str) -> Callable[[str], object] | None:
    """A function that replaces what a notebook's cell shows; None outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    shown: Any = import_module("IPython.display")
    handle = shown.display(shown.HTML(html), display_id=True)
    return None if handle is None else lambda text: handle.update(shown.HTML(text))

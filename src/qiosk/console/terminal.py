"""A terminal that a program has for itself: keys one at a time, its size, and output that may find it closed.

While a :class:`Terminal` is active, the terminal shows nothing of what is typed, and Ctrl-C is a key as others are.
SIGINT, SIGTERM and SIGHUP ask the program to leave and do nothing else. The settings of the terminal and the handlers
of these signals are put back at the end, also after an exception.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sys
import termios
from contextlib import ExitStack, suppress
from types import FrameType, TracebackType
from typing import Any, Final

from qiosk.console.status_line import encodable

ESCAPE_S: Final = 0.05
"""Time in which the rest of a key arrives, which is several characters. An escape that is alone for longer is a key."""
_LEAVE: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WHOLE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])|[^\x1b]|\x1b(?=[^\[O])", re.DOTALL)
_NAMES: Final = {
    "\r": "enter",
    "\n": "enter",
    "\x03": "ctrl-c",
    **{
        f"\x1b{lead}{end}": name
        for lead in "[O"
        for end, name in zip("ABHF", ("up", "down", "home", "end"), strict=True)
    },
    **{f"\x1b[{number}~": name for number, name in ((1, "home"), (4, "end"), (5, "page up"), (6, "page down"))},
    "\x1b": "escape",
}


def split_keys(text: str) -> tuple[list[str], str]:
    """The keys in what a terminal sent, and the rest: the beginning of a further one.

    Keys are characters, or names such as ``up``, ``enter``, ``escape`` and ``ctrl-c``. Those without a name that are
    several characters are left out.

    >>> split_keys("q\\x1b[A\\x1b[15~\\x1b[")
    (['q', 'up'], '\\x1b[')
    """
    keys, at = [], 0
    while match := _WHOLE.match(text, at):
        keys.append(_NAMES.get(match[0], match[0]))
        at = match.end()
    return [key for key in keys if not key.startswith("\x1b")], text[at:]


class Terminal:
    """Keys and output of a terminal; a context manager for the main thread.

    ``keys`` and ``screen`` are the file descriptors of the terminal. Raises termios.error if ``keys`` is none.
    """

    def __init__(self, keys: int, screen: int) -> None:
        self._keys, self._screen = keys, screen
        self._undo = ExitStack()
        self.output = Output(screen)
        self.is_leaving = False
        """Whether a signal asked the program to leave, or the terminal is closed."""

    def __enter__(self) -> Terminal:
        with ExitStack() as undo:
            self._woken, self._waking = (undo.enter_context(end) for end in socket.socketpair())
            self._waking.setblocking(False)
            for number in _LEAVE:
                undo.callback(signal.signal, number, signal.signal(number, self._leave))
            undo.callback(signal.signal, signal.SIGWINCH, signal.signal(signal.SIGWINCH, lambda *_: self.wake()))
            undo.callback(self._set, termios.tcgetattr(self._keys))
            self._set(_without_echo(termios.tcgetattr(self._keys)))
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; 80 and 24 if the terminal does not know."""
        with suppress(OSError):
            columns, lines = os.get_terminal_size(self._screen)
            if columns and lines:
                return columns, lines
        return 80, 24

    def wake(self) -> None:
        """Let :meth:`read` return. May be called by any thread, and by handlers of signals."""
        with suppress(OSError):  # full: it wakes already. Closed: nothing waits
            self._waking.send(b"\0")

    def read(self, timeout_s: float) -> list[str]:
        """The keys that were pressed, by their names (:func:`split_keys`), as soon as there are any.

        Empty after ``timeout_s`` [s], after :meth:`wake`, a signal, or a change of the size.
        """
        if not self._is_ready(timeout_s):
            return []
        keys, rest = split_keys(self._received())
        while rest and not self.is_leaving and self._is_ready(ESCAPE_S, wakes=False):
            more, rest = split_keys(rest + self._received())
            keys += more
        return [*keys, "escape"] if rest == "\x1b" else keys

    def _is_ready(self, timeout_s: float, *, wakes: bool = True) -> bool:
        woken = self._woken.fileno()
        ready, _, _ = select.select([self._keys, woken] if wakes else [self._keys], [], [], max(0.0, timeout_s))
        if woken in ready:
            self._woken.recv(4096)
        return self._keys in ready

    def _received(self) -> str:
        try:
            data = os.read(self._keys, 4096)
        except OSError:
            data = b""
        self.is_leaving = self.is_leaving or not data
        return data.decode("utf-8", "replace")

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self.is_leaving = True
        self.wake()

    def _set(self, settings: list[Any]) -> None:
        with suppress(termios.error):  # the terminal is closed
            termios.tcsetattr(self._keys, termios.TCSANOW, settings)


def _without_echo(settings: list[Any]) -> list[Any]:
    """Settings by which keys arrive at once, none of them sends a signal or stops the output, and none is shown."""
    settings[0] &= ~termios.IXON
    settings[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
    return settings


class Output:
    """A text stream to a terminal. Nothing happens to what is written after the terminal was closed."""

    def __init__(self, screen: int) -> None:
        self._screen = screen
        self.encoding = getattr(sys.stdout, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write all of the text; characters that the terminal cannot show become ``?`` or similar ones."""
        data = memoryview(encodable(text, self.encoding).encode(self.encoding, "replace"))
        with suppress(OSError):
            while data:
                data = data[self._written(data) :]
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def isatty(self) -> bool:
        """Whether it is a terminal, which it is."""
        return True

    def fileno(self) -> int:
        """The file descriptor."""
        return self._screen

    def _written(self, data: memoryview) -> int:
        try:
            return os.write(self._screen, data)
        except BlockingIOError:  # another program that uses the terminal wants it so
            select.select([], [self._screen], [])
            return 0

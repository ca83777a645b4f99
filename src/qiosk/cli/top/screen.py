"""What is selected in the live table, and what keys do."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from qiosk.cli.top.rows import Order, Row

_STEPS = {"up": -1, "k": -1, "down": 1, "j": 1}
_PAGES = {"page up": -1, "page down": 1}
_ENDS = {"home": 0, "g": 0, "end": -1, "G": -1}


class Mode(StrEnum):
    """What the screen shows."""

    TABLE = "table"
    DETAILS = "details"


class Screen:
    """The state of the screen: the selected row, the first visible one, the order, and a question in the footer."""

    def __init__(self) -> None:
        self.rows: Sequence[Row] = ()
        self.mode = Mode.TABLE
        self.order = Order.STATE
        self.first = 0
        self.is_done = False
        self.note = ""
        """A message of one line, until the next key."""
        self.asked: Row | None = None
        """The job whose cancellation the footer asks about."""
        self._at = 0
        self._height = 1

    @property
    def selected(self) -> Row | None:
        """The selected row; None if there are no rows."""
        return self.rows[self._at] if self.rows else None

    @property
    def opened(self) -> str | None:
        """Id of the job whose details are shown."""
        return self.selected.view.id if self.mode is Mode.DETAILS and self.selected is not None else None

    @property
    def visible(self) -> Sequence[Row]:
        """The rows that fit the screen."""
        return self.rows[self.first : self.first + self._height]

    def show(self, rows: Sequence[Row], height: int) -> None:
        """Take the rows that there are now, of which ``height`` fit. The same job stays selected, if it is there."""
        before = None if self.selected is None else self.selected.view.id
        places = {row.view.id: k for k, row in enumerate(rows)}
        self.rows, self._height = rows, max(1, height)
        self._select(places.get(before or "", self._at))
        if not rows:
            self.mode = Mode.TABLE

    def press(self, key: str) -> str | None:
        """Do what a key means; returns the id of a job to cancel, if that is what it was."""
        self.note = ""
        if key in ("q", "Q", "ctrl-c"):
            self.is_done = True
        elif self.asked is not None:
            asked, self.asked = self.asked, None
            return asked.view.id if key in ("y", "Y") else None
        elif key == "c":
            self._ask()
        elif key == "s" and self.mode is Mode.TABLE:
            self.order = self.order.following
        elif key in ("enter", "o"):
            self.mode = Mode.DETAILS if self.rows else Mode.TABLE
        elif key == "escape":
            self.mode = Mode.TABLE
        else:
            self._move(key)
        return None

    def _ask(self) -> None:
        selected = self.selected
        if selected is not None and selected.view.status.is_final:
            self.note = "this job has ended"
        elif selected is not None:
            self.asked = selected

    def _move(self, key: str) -> None:
        if key in _STEPS:
            self._select(self._at + _STEPS[key])
        elif key in _PAGES:
            self._select(self._at + _PAGES[key] * self._height)
        elif key in _ENDS:
            self._select(_ENDS[key] % max(1, len(self.rows)))

    def _select(self, at: int) -> None:
        self._at = max(0, min(at, len(self.rows) - 1))
        least = max(self._at - self._height + 1, 0)
        most = max(0, min(self._at, len(self.rows) - self._height))
        self.first = max(least, min(self.first, most))

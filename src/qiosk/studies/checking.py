"""Values of settings, checked one by one; errors name the place, the rule and the value."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from qiosk.errors import InvalidValue, WrongType

_SHOWN = 60


def shown(value: Any) -> str:
    """A value as errors show it: the beginning of a long one."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Table:
    """A table of settings, whose keys are read one by one. ``where`` is its place, as errors name it.

    Raises WrongType if it is no table, InvalidValue for a key that is not in ``known``.
    """

    def __init__(self, where: str, given: Any, known: Collection[str]) -> None:
        if not isinstance(given, Mapping):
            raise WrongType(f"{where}: must be a table, found {shown(given)}")
        for key in given:
            if key not in known:
                close = get_close_matches(str(key)[:_SHOWN], known, 1, cutoff=0.7)
                hint = f", did you mean {close[0]}?" if close else f"; keys are {', '.join(known)}"
                raise InvalidValue(f"{where}: the key {shown(key)} is unknown{hint}")
        self._where = where
        self._given = given

    def place(self, key: str) -> str:
        """The place of a key's value."""
        return f"{self._where}: {key}"

    def given(self, key: str) -> Any:
        """The value of a key; None if there is none."""
        return self._given.get(key)

    def required(self, key: str) -> Any:
        """The value of a key. Raises InvalidValue if there is none."""
        if (value := self.given(key)) is None:
            raise InvalidValue(f"{self.place(key)} is missing")
        return value

    def text(self, key: str) -> str | None:
        """A text that is not empty, or None. Raises WrongType, InvalidValue."""
        value = self.given(key)
        return None if value is None else text(self.place(key), value)

    def number(self, key: str, *, least: float = -math.inf, exclusive: bool = False) -> float | None:
        """A finite number, or None. Raises WrongType, InvalidValue."""
        value = self.given(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WrongType(f"{self.place(key)}: must be a number, found {shown(value)}")
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found) or found < least or (exclusive and found == least):
            bound = f" {'above' if exclusive else 'of at least'} {least:g}" if least > -math.inf else ""
            raise InvalidValue(f"{self.place(key)}: must be a finite number{bound}, found {shown(value)}")
        return found

    def integer(self, key: str, *, least: int, most: int) -> int | None:
        """An integer in a range, or None. Raises WrongType, InvalidValue."""
        value = self.given(key)
        return None if value is None else integer(self.place(key), value, least=least, most=most)

    def flag(self, key: str) -> bool:
        """True or False, which is the default. Raises WrongType."""
        value = self.given(key)
        if value is not None and not isinstance(value, bool):
            raise WrongType(f"{self.place(key)}: must be true or false, found {shown(value)}")
        return bool(value)


def text(place: str, value: Any) -> str:
    """A text that is not empty. Raises WrongType, InvalidValue."""
    if not isinstance(value, str):
        raise WrongType(f"{place}: must be a text, found {shown(value)}")
    if not value.strip() or not value.isprintable():
        raise InvalidValue(f"{place}: must be printable and not empty, found {shown(value)}")
    return value


def integer(place: str, value: Any, *, least: int, most: int) -> int:
    """An integer in a range. Raises WrongType, InvalidValue."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongType(f"{place}: must be an integer, found {shown(value)}")
    if not least <= value <= most:
        raise InvalidValue(f"{place}: must be from {least} to {most}, found {shown(value)}")
    return value


def items(place: str, value: Any) -> Sequence[Any]:
    """A list. Raises WrongType."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise WrongType(f"{place}: must be a list, found {shown(value)}")
    return value

"""Numbers and times as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

_TIMES: Final = ((1e-3, 1e-6, "µs"), (1.0, 1e-3, "ms"), (60.0, 1.0, "s"))
_AGES: Final = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (86400 * 60, 86400, "days"))
_PREFIXES: Final = ("", "k", "M", "G", "T", "P")
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def seconds(span: float | None) -> str:
    """A time such as ``1.2 s``, ``350 ms``, ``4 min 10 s``; a dash if there is none.

    >>> seconds(0.0), seconds(0.0031), seconds(61.4), seconds(7260)
    ('0 s', '3.1 ms', '1 min 1 s', '2 h 1 min')
    """
    if span is None or not math.isfinite(span):
        return "–"
    if span <= 0:
        return "0 s"
    for below, unit, name in _TIMES:
        if span < below:
            return f"{span / unit:.3g} {name}" if span / unit < 999.5 else f"1 {_next(name)}"
    whole = round(span)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days {whole % 86400 // 3600} h"


def _next(name: str) -> str:
    return {"µs": "ms", "ms": "s", "s": "min"}[name]


def age(moment: datetime, now: datetime) -> str:
    """How long ago a time was: ``just now``, ``3 min ago``, ``in 2 h``; a date if it is far away.

    >>> from datetime import UTC
    >>> age(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 3, 5, tzinfo=UTC))
    '3 min ago'
    """
    span = (now - moment).total_seconds()
    if abs(span) < 1.5:
        return "just now"
    for below, unit, name in _AGES:
        if abs(span) < below:
            count = int(abs(span) // unit)
            unit_name = "day" if (name, count) == ("days", 1) else name
            return f"{count} {unit_name} ago" if span > 0 else f"in {count} {unit_name}"
    return moment.date().isoformat()


def exact(moment: datetime) -> str:
    """A time in full, in UTC.

    >>> from datetime import UTC
    >>> exact(datetime(2026, 1, 1, 12, 30, 5, tzinfo=UTC))
    '2026-01-01 12:30:05 UTC'
    """
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def number(value: float | None) -> str:
    """A cost or another number with at most ten digits; a dash if there is none.

    >>> number(-1234567.0), number(0.1 + 0.2), number(None), number(1e300)
    ('−1\u202f234\u202f567', '0.3', '–', '1e+300')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        text = f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    else:
        text = f"{value:.10g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def amount(count: float | None) -> str:
    """A large number to three digits, such as ``754 M``; a dash if there is none.

    >>> amount(12), amount(754_321_000), amount(10.5e9), amount(None)
    ('12', '754 M', '10.5 G', '–')
    """
    return "–" if count is None else _prefixed(count, _PREFIXES).rstrip()


def size(count: float | None) -> str:
    """Bytes, such as ``1.5 MB``; a dash if there is none.

    >>> size(0), size(1536), size(2_000_000)
    ('0 B', '1.54 kB', '2 MB')
    """
    return "–" if count is None else _prefixed(count, _SIZES)


def _prefixed(count: float, names: Sequence[str]) -> str:
    left = float(count)
    for name in names:
        if abs(left) < 999.5 or name == names[-1]:
            return f"{left:.3g} {name}"
        left /= 1000
    raise AssertionError


def percent(part: float | None) -> str:
    """A share such as ``12 %`` or ``0.013 %``; a dash if there is none.

    >>> percent(0.5), percent(0.000131), percent(0.0), percent(57363.9)
    ('50 %', '0.0131 %', '0 %', '5\u202f740\u202f000 %')
    """
    if part is None or not math.isfinite(part):
        return "–"
    return f"{number(float(f'{100 * part:.3g}'))} %"

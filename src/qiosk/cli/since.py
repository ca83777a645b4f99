"""Times on the command line."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

import typer

from qiosk.settings import parse_duration


def parse_since(text: str | datetime) -> datetime:
    """The moment of ``1h`` (ago), ``today``, ``yesterday``, a date, or a time, local unless it has a zone.

    Days are their first moment. Raises BadParameter.
    """
    return _parsed(text, time.min)


def parse_until(text: str | datetime) -> datetime:
    """As ``parse_since``, but days are their last moment."""
    return _parsed(text, time.max)


def _parsed(text: str | datetime, of_day: time) -> datetime:
    if isinstance(text, datetime):
        return text
    now = datetime.now().astimezone()
    word = text.strip().lower()
    try:
        if re.fullmatch(r"\d+\s*[a-z]", word):
            return now - parse_duration("length of time", word)
        if word in ("today", "yesterday"):
            day = now.date() - timedelta(days=word == "yesterday")
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", word):
            day = date.fromisoformat(word)
        else:
            return datetime.fromisoformat(text.strip()).astimezone()
        return datetime.combine(day, of_day).astimezone()
    except (ValueError, OverflowError) as error:
        rule = "must be 90s, 1h, 2d, today, yesterday, a date such as 2026-11-01, or 2026-11-01T12:00"
        raise typer.BadParameter(f"{rule}, found {text!r}") from error

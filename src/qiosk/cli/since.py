"""Times on the command line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import typer

from qiosk.settings import parse_duration


def parse_since(text: str | datetime) -> datetime:
    """The moment of ``1h`` (ago), ``today``, ``yesterday``, a date, or a time, local unless it has a zone.

    Raises BadParameter.
    """
    if isinstance(text, datetime):
        return text
    now = datetime.now().astimezone()
    word = text.strip().lower()
    try:
        if word in ("today", "yesterday"):
            day = now.date() - timedelta(days=word == "yesterday")
            return datetime(day.year, day.month, day.day).astimezone()
        if re.fullmatch(r"\d+\s*[a-z]", word):
            return now - parse_duration("--since", word)
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        rule = "must be 90s, 1h, 2d, today, yesterday, a date such as 2026-11-01, or 2026-11-01T12:00"
        raise typer.BadParameter(f"{rule}, found {text!r}") from error

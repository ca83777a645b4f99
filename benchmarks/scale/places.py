"""Homes and settings of the measurements."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.service.__main__ import stop_supervisor
from benchmarks.service.store import a_schema
from qiosk.settings import Settings, read_settings

LOCAL = "local"
SQLITE = ""
"""The database of a home of its own."""
ROOT = Path(__file__).parents[2]


def kind_of(database: str) -> str:
    """What tables call a database."""
    return "PostgreSQL" if database else "SQLite"


def settings_of(home: Path, database: str, *, executor: str = LOCAL, **members: Any) -> Settings:
    """Settings of a home, all others from the environment.

    Jobs have one thread, so that their number does not depend on the machine.
    """
    common = {"executor": executor, "threads": 1, "idle_seconds": 600, "stop_seconds": 2}
    given = {"database": database or None, **common, **members}
    return read_settings(os.environ, home=home, **given)


@contextmanager
def a_home(database: str = SQLITE) -> Iterator[tuple[Path, str]]:
    """A folder for homes, and the URL of an empty database, both gone afterwards; supervisors are stopped first.

    Supervisors find the runners of this package.
    """
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before]))
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qiosk-scale-")))
            url = ""
            if database:
                url = stack.enter_context(a_schema(database)).render_as_string(hide_password=False)
            try:
                yield folder, url
            finally:
                for lock in folder.glob("*/supervisor.lock"):
                    stop_supervisor(lock.parent)
    finally:
        os.environ["PYTHONPATH"] = before

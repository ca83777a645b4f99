"""What holds for every test: no deadline on a busy machine, and no test touches the user's own home."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True, scope="session")
def _own_home():
    """Programs that name no home get one that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="qiosk-home-", ignore_cleanup_errors=True) as home:
        before = os.environ.get("QIOSK_HOME")
        os.environ["QIOSK_HOME"] = str(Path(home) / "home")
        os.environ.setdefault("QIOSK_IDLE_SECONDS", "2")
        yield
        if before is None:
            del os.environ["QIOSK_HOME"]
        else:
            os.environ["QIOSK_HOME"] = before

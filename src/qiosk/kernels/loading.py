"""Loads the compiler, and counts the time that this takes. This module itself imports none."""

from __future__ import annotations

import sys
import time

from qiosk.kernels import announcements


def load_compiler() -> None:
    """Import the compiler of kernels, where that was not done before; the time counts among ``setup_seconds``."""
    if "qiosk.kernels.compiler" not in sys.modules:
        began = time.monotonic()
        import qiosk.kernels.compiler  # noqa: F401

        announcements.record_loading(time.monotonic() - began)

"""Libraries that the benchmarks compare Qiosk with, for tests of the benchmarks."""

from __future__ import annotations

import os

import pytest

from benchmarks.contenders import PEERS, versions

WITH_EXTRA = ("dwave-samplers", "OpenJij")  # those that the extra ``bench`` installs


def need(library: str) -> None:
    """Skips the test if the library is not installed; fails it if ``QIOSK_TEST_PEERS`` is ``require``."""
    _, distributions = PEERS[library]
    if versions(distributions) is None:
        if library in WITH_EXTRA and os.environ.get("QIOSK_TEST_PEERS") == "require":
            pytest.fail(f"{library} is required and not installed: make peers")
        pytest.skip(f"{library} is not installed")

"""For suites that run in the environment of one of Microsoft's clients, against a server that is already there."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest

from qiosk.azure_bootstrap import open_workspace

URL = os.environ.get("QIOSK_CONFORMANCE_URL", "")
KEY = os.environ.get("QIOSK_CONFORMANCE_KEY", "")


@pytest.fixture(scope="session")
def server() -> tuple[str, str]:
    return URL, KEY


@pytest.fixture(scope="session")
def workspace():
    """A workspace that nothing else uses."""
    return open_workspace(URL, KEY, resource_group="conformance", name=f"w-{uuid4()}")


@pytest.fixture
def fresh():
    """Another one for a single test."""
    return open_workspace(URL, KEY, resource_group="conformance", name=f"w-{uuid4()}")

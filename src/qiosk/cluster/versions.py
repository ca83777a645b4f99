"""The versions of a node. Ray carries this module's code to nodes, so it imports nothing of Qiosk."""

from __future__ import annotations

import contextlib
import importlib
import platform
import socket
from typing import Any, NamedTuple


class Versions(NamedTuple):
    """The versions of Qiosk (None: it is not installed) and of Python."""

    qiosk: str | None
    python: str

    def __str__(self) -> str:
        return f"{'no Qiosk' if self.qiosk is None else f'Qiosk {self.qiosk}'} and Python {self.python}"


def own_versions() -> Versions:
    """The versions of this process. Only the first two numbers of Python's matter."""
    qiosk: str | None = None
    with contextlib.suppress(ImportError):
        from qiosk.version import __version__ as qiosk
    return Versions(qiosk, ".".join(platform.python_version_tuple()[:2]))


def call_if_same(ours: Versions, name: str, *arguments: Any) -> tuple[str, Any]:
    """Call the function ``name``, as ``module:function``, where the versions are ``ours``.

    Returns an empty sentence and what it returns, or else a sentence about what this node has, and None.
    """
    found = own_versions()
    if found != ours:
        return f"node {socket.gethostname()} has {found}", None
    module, _, function = name.partition(":")
    return "", getattr(importlib.import_module(module), function)(*arguments)

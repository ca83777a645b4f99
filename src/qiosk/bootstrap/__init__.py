"""The only place that puts adapters together: services for clients, a server, administrators and the supervisor.

Names are loaded when they are first used: a job's process needs its storage, and starts without a database library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiosk.bootstrap.administration import Administration, Schema, open_administration, open_schema
    from qiosk.bootstrap.services import STOP_MARGIN_S, ServerParts, open_embedded, open_server

__all__ = [
    "STOP_MARGIN_S",
    "Administration",
    "Schema",
    "ServerParts",
    "open_administration",
    "open_embedded",
    "open_schema",
    "open_server",
]

_HOME = {
    "STOP_MARGIN_S": "services",
    "Administration": "administration",
    "Schema": "administration",
    "ServerParts": "services",
    "open_administration": "administration",
    "open_embedded": "services",
    "open_schema": "administration",
    "open_server": "services",
}


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'qiosk.bootstrap' has no attribute {name!r}")
    return getattr(import_module(f"qiosk.bootstrap.{module}"), name)

"""The only place that puts adapters together: services for clients, a server, administrators and the supervisor.

Names are loaded when they are first used: a job's process needs its storage, and starts without a database library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiosk.bootstrap.administration import Administration, Schema, open_administration, open_schema
    from qiosk.bootstrap.backups import check_backup, restore_backup, write_backup
    from qiosk.bootstrap.services import STOP_MARGIN_S, ServerParts, open_embedded, open_server

__all__ = [
    "STOP_MARGIN_S",
    "Administration",
    "Schema",
    "ServerParts",
    "check_backup",
    "open_administration",
    "open_embedded",
    "open_schema",
    "open_server",
    "restore_backup",
    "write_backup",
]

_BACKUPS = ("check_backup", "restore_backup", "write_backup")
_ADMINISTRATION = ("Administration", "Schema", "open_administration", "open_schema")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'qiosk.bootstrap' has no attribute {name!r}")
    module = "administration" if name in _ADMINISTRATION else "backups" if name in _BACKUPS else "services"
    return getattr(import_module(f"qiosk.bootstrap.{module}"), name)

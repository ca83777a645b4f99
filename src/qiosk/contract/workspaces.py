"""Names of workspaces."""

from __future__ import annotations

from qiosk.errors import InvalidValue

DEFAULT_KEY = "default"
"""Key of the default workspace, for programs that name none."""
NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
"""Stands for ``DEFAULT_KEY`` where a client requires a GUID."""
MAX_KEY_BYTES = 1000
"""Most bytes of a workspace's key in UTF-8: indexes and signatures contain it, and limit its length."""


def workspace_key(subscription_id: str | None, resource_group: str | None, name: str | None) -> str:
    """The key of the workspace that these three names identify; ``DEFAULT_KEY`` if none of them is given.

    Letter case is ignored. In URLs the default workspace has three names as well: ``default``, or ``NO_SUBSCRIPTION``
    for the first, and ``default`` for the others. Raises ValueError if only some names are given, InvalidValue for
    names that no workspace can have.
    """
    parts = {"subscription_id": subscription_id, "resource_group": resource_group, "name": name}
    missing = [part for part, value in parts.items() if not value]
    if len(missing) == len(parts):
        return DEFAULT_KEY
    if missing:
        raise ValueError(
            "a workspace is named by subscription_id, resource_group and name together, "
            f"or by none of them: {', '.join(missing)} missing"
        )
    names = [str(value).lower() for value in parts.values()]
    is_default = names[0] in (DEFAULT_KEY, NO_SUBSCRIPTION) and names[1:] == [DEFAULT_KEY, DEFAULT_KEY]
    return DEFAULT_KEY if is_default else checked_key("/".join(names))


def checked_key(key: str) -> str:
    """The same key. Raises InvalidValue if no workspace can have it."""
    if not key or not key.isprintable():
        raise InvalidValue(f"workspace: must be printable characters, found {key[:100]!r}")
    if (size := len(key.encode())) > MAX_KEY_BYTES:
        raise InvalidValue(f"workspace: must have at most {MAX_KEY_BYTES} bytes, found {size}")
    return key


def parse_workspace(text: str) -> str:
    """The key of the workspace ``SUBSCRIPTION/GROUP/NAME``; ``default`` or an empty text is the default workspace.

    Raises InvalidValue.
    """
    if text.lower() in ("", DEFAULT_KEY):
        return DEFAULT_KEY
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise InvalidValue(f"workspace: must be SUBSCRIPTION/GROUP/NAME or {DEFAULT_KEY}, found {text!r}")
    return workspace_key(*parts)

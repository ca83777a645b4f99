"""Makes the paths that clients send canonical, so that routes need only one spelling.

Clients differ in letter case, send some paths below ``/v1.0`` and some not, and append a path that begins with ``/`` to
a base URL that ends in one. Paths of blobs do not change: there every character counts.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

WORKSPACE: Final = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Quantum/workspaces/{workspace}"
)
"""Route prefix of everything that belongs to a workspace."""

_WORKSPACE = re.compile(
    r"/+(?:v1\.0/+)?subscriptions/+([^/]+)/+resourcegroups/+([^/]+)"
    r"/+providers/+microsoft\.quantum/+workspaces/+([^/]+)((?:/.*)?)",
    re.IGNORECASE | re.DOTALL,
)
_LITERALS = {
    word.lower(): word
    for word in (
        *("jobs", "sessions", "storage", "sasUri", "providerStatus", "quotas", "topLevelItems"),
        *("results", "best", "trace", "events"),
    )
}
_NAMED = ("jobs", "sessions")
"""Path segments that are followed by an id."""


class CanonicalPaths:
    """Middleware that makes paths canonical; ``sent_path`` in the scope is the path as it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            scope["sent_path"] = scope["path"]
            scope["path"] = canonical_path(scope["path"])
        await self._app(scope, receive, send)


def canonical_path(path: str) -> str:
    """The path as routes spell it. Names of workspaces, jobs and sessions do not change."""
    match = _WORKSPACE.fullmatch(path)
    if match is None:
        return path
    subscription, group, workspace, rest = match.groups()
    prefix = WORKSPACE.format(subscription=subscription, group=group, workspace=workspace)
    return "/".join((prefix, *_canonical_words([word for word in rest.split("/") if word])))


def _canonical_words(words: list[str]) -> list[str]:
    found: list[str] = []
    for position, word in enumerate(words):
        if position == 1 and found[0] in _NAMED:
            name, colon, action = word.rpartition(":")
            found.append(f"{name}:{action.lower()}" if colon else word)
        else:
            found.append(_LITERALS.get(word.lower(), word))
    return found

"""URIs of blobs, and the way back from a URI to a container and a blob."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, final
from urllib.parse import quote, unquote, urlsplit

from qiosk.contract.jobs import ACCOUNT
from qiosk.errors import InvalidValue
from qiosk.service.names import check_blob, check_container

BlobUri = Callable[[str, str | None], str]
"""Makes the URI of a container, or of the blob of a name in it."""

_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")


class BlobLocations(Protocol):
    """Names the blobs of one workspace to its users."""

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob, whether it exists or not. Raises InvalidValue for bad names."""
        ...

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` could have returned; else raises InvalidValue."""
        ...


@final
class PrefixLocations:
    """URIs that begin with a fixed text: ``PREFIX/CONTAINER/BLOB``, percent-encoded. A query is ignored."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def uri(self, container: str, name: str | None = None) -> str:
        """The prefix, container and blob."""
        return self._prefix + join_path(container, name)

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """What follows the prefix."""
        if not uri.startswith(self._prefix):
            raise InvalidValue(f"blob uri: must begin with {self._prefix!r}, found {uri!r}")
        return split_path(uri[len(self._prefix) :].partition("?")[0], uri)


@final
class ServedLocations:
    """Paths below a server: ``/qiosk/CONTAINER/BLOB``. Scheme, host, port and query of a URI are the caller's affair.

    The account segment may be missing; a container that has its name is ``/qiosk/qiosk``. ``base_path`` is what a
    proxy puts before, without a slash at its end.
    """

    def __init__(self, base_path: str = "") -> None:
        self._base_path = base_path

    def uri(self, container: str, name: str | None = None) -> str:
        """The path, without a host."""
        return f"{self._base_path}/{ACCOUNT}/{join_path(container, name)}"

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI's path, whatever server it names: it is never asked."""
        try:
            path = urlsplit(uri).path
        except ValueError as error:
            raise InvalidValue(f"blob uri: {error}, found {uri!r}") from error
        if self._base_path and path.startswith(f"{self._base_path}/"):
            path = path[len(self._base_path) :]
        return split_path(without_account(path), uri)


def without_account(path: str) -> str:
    """A percent-encoded path below a server, without its leading slashes and the account segment."""
    path = path.lstrip("/")
    head, separator, rest = path.partition("/")
    return rest if separator and head == ACCOUNT else path


def join_path(container: str, name: str | None = None) -> str:
    """``CONTAINER`` or ``CONTAINER/BLOB``, percent-encoded but for slashes. Raises InvalidValue for bad names."""
    check_container(container)
    if name is None:
        return container
    check_blob(name)
    return f"{container}/{name if _PLAIN.fullmatch(name) else quote(name, safe='/')}"


def split_path(path: str, uri: str) -> tuple[str, str | None]:
    """The reverse of ``join_path``; ``uri`` is what an error message shows."""
    try:
        container, _, name = unquote(path, errors="strict").partition("/")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"blob uri: must be percent-encoded UTF-8, found {uri!r}") from error
    check_container(container)
    if not name:
        return container, None
    check_blob(name)
    return container, name

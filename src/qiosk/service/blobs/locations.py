"""URIs of blobs: from a container and a blob to a URI, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, final
from urllib.parse import quote, unquote, urlsplit

from qiosk.contract.blob_names import check_blob, check_container
from qiosk.contract.jobs import ACCOUNT
from qiosk.errors import InvalidValue

BlobUri = Callable[[str, str | None], str]
"""Makes the URI of a container, or of the blob of a name in it."""

_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")


class BlobLocations(Protocol):
    """The URIs of the blobs of one workspace."""

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob, even if it does not exist. Raises InvalidValue for names that are not allowed."""
        ...

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` can return. Raises InvalidValue for others."""
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
        """Container and blob in what follows the prefix."""
        if not uri.startswith(self._prefix):
            raise InvalidValue(f"blob uri: must begin with {self._prefix!r}, found {uri!r}")
        return split_path(uri[len(self._prefix) :].partition("?")[0], uri)


@final
class ServedLocations:
    """Paths below a server: ``/qiosk/CONTAINER/BLOB``. Scheme, host, port and query of a URI are ignored.

    The account segment may be missing; a container of the account's name is ``/qiosk/qiosk``. ``base_path`` is what a
    proxy puts before all paths, without a slash at its end.
    """

    def __init__(self, base_path: str = "") -> None:
        self._base_path = base_path

    def uri(self, container: str, name: str | None = None) -> str:
        """The path, without a host."""
        return f"{self._base_path}/{ACCOUNT}/{join_path(container, name)}"

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI's path; the URI may name any server, because it is not sent anywhere."""
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
    """``CONTAINER`` or ``CONTAINER/BLOB``, percent-encoded except slashes. Raises InvalidValue."""
    check_container(container)
    if name is None:
        return container
    check_blob(name)
    return f"{container}/{name if _PLAIN.fullmatch(name) else quote(name, safe='/')}"


def split_path(path: str, uri: str) -> tuple[str, str | None]:
    """The reverse of ``join_path``; error messages contain ``uri``."""
    try:
        container, _, name = unquote(path, errors="strict").partition("/")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"blob uri: must be percent-encoded UTF-8, found {uri!r}") from error
    check_container(container)
    if not name:
        return container, None
    check_blob(name)
    return container, name

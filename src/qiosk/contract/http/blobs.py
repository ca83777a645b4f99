"""Blobs over HTTP, for server and client: the status of each error, metadata, and URIs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from qiosk import errors
from qiosk.errors import InvalidValue, QioskError

BLOB_ANSWERS: Final[Mapping[type[QioskError], tuple[int, str]]] = {  # the first class that matches is used
    errors.AccessDenied: (403, "AuthenticationFailed"),
    errors.BlobNotFound: (404, "BlobNotFound"),
    errors.BlobAlreadyExists: (409, "BlobAlreadyExists"),
    errors.BlobChanged: (412, "ConditionNotMet"),
    errors.Conflict: (409, "Conflict"),
    errors.InvalidBlockList: (400, "InvalidBlockList"),
    errors.InvalidValue: (400, "InvalidInput"),
    errors.QuotaExceeded: (403, "QuotaExceeded"),  # not 429: waiting does not free any bytes
    errors.RequestTooLarge: (413, "RequestBodyTooLarge"),
    errors.RequestTimeout: (408, "OperationTimedOut"),
    errors.StorageFull: (507, "InsufficientStorage"),
}
"""Status and Azure's code of each error of a blob request."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def is_header_value(text: str) -> bool:
    """Whether every store accepts the text as a header of a blob: printable ASCII."""
    return text.isascii() and text.isprintable()


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise InvalidValue unless all of these can be headers and, in listings, XML elements."""
    for name, value in metadata.items():
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                f"metadata: names are ASCII letters, digits, '_', '-' and '.', a letter or '_' first, found {name!r}"
            )
        if not is_header_value(value):
            raise InvalidValue(f"metadata {name}: must be printable ASCII, found {value!r}")


def blob_uri(container_uri: str, name: str) -> str:
    """URI of a blob in the container of ``container_uri``, with the same query."""
    base, mark, query = container_uri.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def uri_segments(uri: str) -> tuple[str, ...]:
    """Segments of a URI's path, decoded."""
    return tuple(unquote(part) for part in urlsplit(uri).path.split("/") if part)

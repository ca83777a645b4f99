"""What servers and clients of blobs both know: how an error is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qiosk import errors
from qiosk.errors import QioskError

BLOB_ANSWERS: Final[Mapping[type[QioskError], tuple[int, str]]] = {  # the first class that fits counts
    errors.AccessDenied: (403, "AuthenticationFailed"),
    errors.BlobNotFound: (404, "BlobNotFound"),
    errors.BlobAlreadyExists: (409, "BlobAlreadyExists"),
    errors.BlobChanged: (412, "ConditionNotMet"),
    errors.Conflict: (409, "Conflict"),
    errors.InvalidBlockList: (400, "InvalidBlockList"),
    errors.InvalidValue: (400, "InvalidInput"),
    errors.QuotaExceeded: (403, "QuotaExceeded"),  # not 429: bytes do not free themselves while a client waits
    errors.RequestTooLarge: (413, "RequestBodyTooLarge"),
    errors.RequestTimeout: (408, "OperationTimedOut"),
    errors.StorageFull: (507, "InsufficientStorage"),
}
"""Status and Azure's code of each error of a blob request."""

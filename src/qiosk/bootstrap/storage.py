"""The place of blobs, by URL.

================================  ==============================================================================
URL                               blobs
================================  ==============================================================================
``file:///PATH``                  files in a folder of this machine, or one that several machines share
``s3://BUCKET[/PREFIX]``          objects in a bucket; credentials, region and endpoint are those of the
                                  variables that AWS's own tools read (``AWS_ACCESS_KEY_ID``, …)
``az://ACCOUNT[?links=account]``  blobs in containers of an Azure storage account; ``AZURE_STORAGE_KEY`` is its
                                  key, ``AZURE_STORAGE_ENDPOINT`` its URL if that is not the usual one
================================  ==============================================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from qiosk.adapters.blobs.local import LocalStorage
from qiosk.adapters.home.home import Home
from qiosk.errors import InvalidValue, extra
from qiosk.service.blobs.locations import BlobLocations
from qiosk.service.blobs.store import Storage
from qiosk.settings import Settings


def storage_url(home: Home, settings: Settings) -> str:
    """The URL of the storage that the settings name, else of the home's folder."""
    return settings.storage or home.blobs.as_uri()


def open_storage(url: str, served: BlobLocations | None = None) -> Storage:
    """The storage that a URL names. With ``served``, URIs of blobs are those of a Qiosk server, unless clients can
    access the store itself.

    Credentials come from the environment, never from the URL. Raises InvalidValue for a URL that names no storage,
    MissingExtra for one whose library is not installed.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "file":
            return _open_folder(parts, served)
        case "s3":
            return _open_bucket(parts, served)
        case "az":
            return _open_account(parts, os.environ)
    raise InvalidValue(f"QIOSK_STORAGE: unknown scheme {parts.scheme!r}; use file, s3 or az")


def _open_folder(parts: SplitResult, served: BlobLocations | None) -> Storage:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidValue(f"QIOSK_STORAGE: a file URL must be file:///PATH, found {parts.geturl()!r}")
    return LocalStorage(Path(unquote(parts.path)), served)


def _open_bucket(parts: SplitResult, served: BlobLocations | None) -> Storage:
    if not parts.netloc or parts.query:
        raise InvalidValue(
            f"QIOSK_STORAGE: an S3 URL must be s3://BUCKET or s3://BUCKET/PREFIX, found {parts.geturl()!r}"
        )
    from qiosk.adapters.blobs.s3 import S3Storage

    return S3Storage(parts.netloc, unquote(parts.path.strip("/")), served)


def _open_account(parts: SplitResult, environ: Mapping[str, str]) -> Storage:
    links = parse_qs(parts.query).get("links", ["container"])[-1]
    if not parts.netloc or parts.path.strip("/") or links not in ("container", "account"):
        raise InvalidValue(
            f"QIOSK_STORAGE: an Azure URL must be az://ACCOUNT or az://ACCOUNT?links=account, found {parts.geturl()!r}"
        )
    key = environ.get("AZURE_STORAGE_KEY")
    if not key:
        raise InvalidValue("AZURE_STORAGE_KEY: must be a key of the storage account, which signs links, found none")
    with extra("azure", "QIOSK_STORAGE: az://"):
        from qiosk.adapters.blobs.azure import AzureStorage
    endpoint = environ.get("AZURE_STORAGE_ENDPOINT") or f"https://{parts.netloc}.blob.core.windows.net"
    return AzureStorage(parts.netloc, endpoint, key, account_links=links == "account")

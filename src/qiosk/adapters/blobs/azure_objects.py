"""Blobs of an Azure storage account, read and written in pieces; see ``azure``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, ContentSettings
from azure.storage.blob import BlobProperties as AzureProperties

from qiosk.adapters.blobs.fetching import FetchedReader
from qiosk.errors import BlobChanged
from qiosk.service.blobs.store import PLAIN, BlobHeaders, BlobProperties, already_exists
from qiosk.service.jobs.job import BlobRef

PART = 8 << 20
"""Size of the blocks of larger contents, of which a blob takes 50 000."""


class Account(Protocol):
    """What writers need of the store of a workspace."""

    def client(self, ref: BlobRef) -> BlobClient:
        """The library's view of a blob."""
        ...

    def create_if_missing(self, ref: BlobRef) -> None:
        """Make a blob's container unless it exists."""
        ...

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content."""
        ...


def reader_of(client: BlobClient, properties: BlobProperties) -> FetchedReader:
    """Reads the version that was opened."""

    def fetch(start: int, stop: int) -> bytes:
        with translating_errors():
            try:
                stream = client.download_blob(
                    start,
                    stop - start,
                    etag=f'"{properties.etag}"',
                    match_condition=MatchConditions.IfNotModified,
                    decompress=False,
                )
                return bytes(stream.readall())
            except (ResourceModifiedError, ResourceNotFoundError):
                raise BlobChanged(f"blob {properties.name}: changed while it was being read") from None

    return FetchedReader(properties, fetch)


@final
class AzureWriter:
    """``BlobWriter`` that stores small contents by one request, and larger ones in blocks."""

    def __init__(self, store: Account, ref: BlobRef, *, overwrite: bool, headers: BlobHeaders) -> None:
        self._store = store
        self._client = store.client(ref)
        self._ref = ref
        self._given = {**conditions(overwrite), **content_settings_of(headers)}
        self._rest = bytearray()
        self._blocks: list[BlobBlock] = []
        self._token = os.urandom(8).hex()

    def write(self, data: bytes) -> None:
        """Append."""
        self._rest += data
        while len(self._rest) >= PART:
            part = bytes(self._rest[:PART])
            del self._rest[:PART]
            self._stage(part)

    def commit(self) -> BlobProperties:
        """Store the blob. Raises BlobAlreadyExists."""
        if not self._blocks:
            self._store.create_if_missing(self._ref)
        try:
            with translating_errors():
                if self._blocks:
                    if self._rest:
                        self._stage(bytes(self._rest))
                    self._client.commit_block_list(self._blocks, **self._given)
                else:
                    overwrite = "match_condition" not in self._given
                    given = {name: value for name, value in self._given.items() if name != "match_condition"}
                    self._client.upload_blob(bytes(self._rest), overwrite=overwrite, **given)
        except ResourceExistsError:
            raise already_exists(self._ref) from None
        finally:
            self.abort()
        return self._store.properties(self._ref)

    def abort(self) -> None:
        """Discard what was written; Azure removes its blocks."""
        self._rest.clear()
        self._blocks = []

    def _stage(self, data: bytes) -> None:
        if not self._blocks:
            self._store.create_if_missing(self._ref)
        name = block_name(f"{self._token}-{len(self._blocks)}")
        with translating_errors():
            self._client.stage_block(name, data)
        self._blocks.append(BlobBlock(name))


@final
class AzureBlockWriter:
    """``BlobWriter`` of one block, which is kept in memory until the commit."""

    def __init__(self, store: Account, ref: BlobRef, name: str) -> None:
        self._store = store
        self._client = store.client(ref)
        self._ref = ref
        self._name = name
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        """Append."""
        self._data += data

    def commit(self) -> BlobProperties:
        """Upload the block."""
        self._store.create_if_missing(self._ref)
        with translating_errors():
            self._client.stage_block(self._name, bytes(self._data))
        now = datetime.now().astimezone()
        size = len(self._data)
        self.abort()
        return BlobProperties(name=self._ref.name, size_bytes=size, etag="block", modified_at=now, created_at=now)

    def abort(self) -> None:
        """Discard what was written."""
        self._data.clear()


@contextmanager
def translating_errors() -> Iterator[None]:
    """Turns errors of the account, and of the network, into OSError, except those that callers handle."""
    try:
        yield
    except (ResourceExistsError, ResourceNotFoundError):
        raise
    except AzureError as error:
        raise OSError(f"Azure storage: {str(error).splitlines()[0]}") from error


def conditions(overwrite: bool) -> dict[str, Any]:
    """Arguments of a request that may or may not overwrite a blob."""
    return {} if overwrite else {"match_condition": MatchConditions.IfMissing}


def content_settings_of(headers: BlobHeaders) -> dict[str, Any]:
    """Arguments of a request that stores a blob with headers."""
    settings = ContentSettings(content_type=headers.content_type, content_encoding=headers.content_encoding)
    return {"content_settings": settings, "metadata": dict(headers.metadata)}


def describe(name: str, found: AzureProperties) -> BlobProperties:
    """Properties of a blob, from the library's."""
    settings = found.content_settings
    headers = BlobHeaders(
        content_type=settings.content_type or PLAIN.content_type,
        content_encoding=settings.content_encoding or None,
        metadata=dict(found.metadata or {}),
    )
    return BlobProperties(
        name=name,
        size_bytes=found.size,
        etag=str(found.etag).strip('"'),
        modified_at=found.last_modified,
        created_at=found.creation_time or found.last_modified,
        headers=headers,
    )


def block_name(text: str) -> str:
    """A block's name in the account, where all block names of a blob must have the same length."""
    return hashlib.sha256(text.encode()).hexdigest()[:40]

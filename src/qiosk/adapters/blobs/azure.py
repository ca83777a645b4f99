"""Blobs in an Azure storage account, through Azure's own library.

Every container of a workspace is a container of the account, named ``qDIGEST-CONTAINER``, where DIGEST is computed from
the workspace's key. A name that Azure does not allow is replaced by its digest; the original is then in the container's
metadata, as is the workspace's key. Clients read and write the account directly, through links signed with the
account's key. Azure's library is used since obstore can neither create containers nor sign links to a whole one.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, final
from urllib.parse import quote

from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    AccountSasPermissions,
    BlobBlock,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    BlockState,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

from qiosk.adapters.blobs.azure_objects import (
    PART,
    AzureBlockWriter,
    AzureWriter,
    block_name,
    conditions,
    content_settings_of,
    describe,
    reader_of,
    translating_errors,
)
from qiosk.adapters.blobs.fetching import FetchedReader
from qiosk.contract.blob_names import check_blob, check_container
from qiosk.errors import BlobChanged, InvalidBlockList, InvalidValue
from qiosk.forks import PerProcess
from qiosk.service.blobs.locations import split_path
from qiosk.service.blobs.store import (
    LEAST_BYTES,
    PLAIN,
    BlobHeaders,
    BlobPage,
    BlobProperties,
    Block,
    BlockSource,
    already_exists,
    counted_bytes,
    not_found,
    write_whole,
)
from qiosk.service.jobs.job import BlobRef
from qiosk.service.names import check_block_id

_OPEN_STORES = 1024
_TRIES = 8
_NAME = re.compile(r"[a-z0-9](-?[a-z0-9])*")
_DIGEST_NAME = re.compile(r"x[0-9a-f]{40}")
_MAX_NAME = 63
_WORDS = {"r": "read", "a": "add", "c": "create", "w": "write", "d": "delete", "l": "list"}
_TRUE_NAME = "qiosk_container"
_WORKSPACE = "qiosk_workspace"
_STATES = {
    BlockSource.COMMITTED: BlockState.COMMITTED,
    BlockSource.UNCOMMITTED: BlockState.UNCOMMITTED,
    BlockSource.LATEST: BlockState.LATEST,
}

logging.getLogger("azure").setLevel(logging.WARNING)  # otherwise every request is logged


@final
class AzureStorage:
    """``Storage`` in an account. ``endpoint`` is the URL of its blob service, ``key`` one of its access keys.

    A link gives access to one container or blob. Azure rejects a container's link when a client checks with it whether
    the container exists, as Microsoft's older clients do; with ``account_links`` links give access to all containers of
    the account instead, those of other workspaces included.
    """

    def __init__(self, account: str, endpoint: str, key: str, *, account_links: bool = False) -> None:
        self._account = account
        self._key = key
        self._account_links = account_links
        self._endpoint = endpoint.rstrip("/")
        credential = {"account_name": account, "account_key": key}
        self._service = PerProcess(lambda: BlobServiceClient(endpoint, credential=credential, max_single_put_size=PART))
        self._blobs = lru_cache(_OPEN_STORES)(
            lambda workspace: AzureBlobStore(self._service, self._endpoint, workspace)
        )

    def blobs(self, workspace: str) -> AzureBlobStore:
        """Blobs of one workspace."""
        return self._blobs(workspace)

    def workspaces(self) -> Sequence[str]:
        """Keys of workspaces that have a container."""
        with translating_errors():
            found = list(self._service.get().list_containers(name_starts_with="q", include_metadata=True))
        keys = {(container.metadata or {}).get(_WORKSPACE) for container in found}
        return sorted(_decode(key) for key in keys if key)

    def signed_uri(
        self, workspace: str, container: str, name: str | None, permissions: str, until: datetime
    ) -> str | None:
        """URI of the account with a signature."""
        store = self._blobs(workspace)
        uri = store.uri(container, name)
        given: dict[str, Any] = {"account_name": self._account, "account_key": self._key, "expiry": until}
        if name is not None:
            query = generate_blob_sas(
                container_name=store.physical(container),
                blob_name=name,
                permission=BlobSasPermissions.from_string(permissions),
                **given,
            )
        elif self._account_links:
            kinds = ResourceTypes(container=True, object=True)
            allowed = AccountSasPermissions(**{_WORDS[letter]: True for letter in permissions})
            query = generate_account_sas(resource_types=kinds, permission=allowed, **given)
        else:
            query = generate_container_sas(
                container_name=store.physical(container),
                permission=ContainerSasPermissions.from_string(permissions),
                **given,
            )
        return f"{uri}?{query}"


@final
class AzureBlobStore:
    """``BlobStore`` of one workspace in an account. Azure removes uncommitted blocks after a week."""

    def __init__(self, service: PerProcess[BlobServiceClient], endpoint: str, workspace: str) -> None:
        self._service = service
        self._endpoint = endpoint
        self._workspace = workspace
        self._prefix = workspace_prefix(workspace)

    def physical(self, container: str) -> str:
        """The name of a container in the account; one that already is such a name is returned as it is."""
        check_container(container)
        if container.startswith(self._prefix) and _NAME.fullmatch(container) and len(container) <= _MAX_NAME:
            return container
        name = self._prefix + container
        if _NAME.fullmatch(name) and len(name) <= _MAX_NAME and not _DIGEST_NAME.fullmatch(container):
            return name
        return f"{self._prefix}x{hashlib.sha256(container.encode()).hexdigest()[:40]}"

    def create(self, container: str) -> bool:
        """Create a container; False if it exists."""
        with translating_errors():
            try:
                metadata = {_TRUE_NAME: container, _WORKSPACE: _encode(self._workspace)}
                self._container(container).create_container(metadata=metadata)
            except ResourceExistsError:
                return False
        return True

    def has_container(self, container: str) -> bool:
        """Whether it was created."""
        with translating_errors():
            return bool(self._container(container).exists())

    def made_at(self, container: str) -> datetime | None:
        """When it was created; Azure does not report the times of uncommitted blocks."""
        with translating_errors(), suppress(ResourceNotFoundError):
            return self._container(container).get_container_properties().last_modified
        return None

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        with translating_errors():
            found = list(self._service.get().list_containers(name_starts_with=self._prefix, include_metadata=True))
        return sorted((c.metadata or {}).get(_TRUE_NAME, c.name[len(self._prefix) :]) for c in found)

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob. Raises BlobAlreadyExists."""
        return write_whole(self.writer(ref, overwrite=overwrite, headers=headers), data)

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound; BlobChanged if it is overwritten during every try."""
        for _ in range(_TRIES - 1):
            with suppress(BlobChanged):
                return b"".join(self.open(ref).pieces())
        return b"".join(self.open(ref).pieces())

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content. Raises BlobNotFound."""
        return self.open(ref).properties

    def open(self, ref: BlobRef) -> FetchedReader:
        """A blob to read in pieces. Raises BlobNotFound."""
        client = self.client(ref)
        with translating_errors():
            try:
                found = client.get_blob_properties()
            except ResourceNotFoundError:
                raise not_found(ref) from None
        return reader_of(client, describe(ref.name, found))

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> AzureWriter:
        """A blob to write in pieces."""
        return AzureWriter(self, ref, overwrite=overwrite, headers=headers)

    def block_writer(self, ref: BlobRef, block_id: str) -> AzureBlockWriter:
        """A block for ``commit_blocks``."""
        check_block_id(block_id)
        return AzureBlockWriter(self, ref, block_name(block_id))

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of blocks. Raises BlobAlreadyExists; InvalidBlockList, also for blocks from several kinds of
        source, which the library would sort by kind.
        """
        if len({block.source for block in blocks}) > 1:
            raise InvalidBlockList(f"blob {ref.container}/{ref.name}: all blocks must come from one kind of source")
        for block in blocks:
            check_block_id(block.id)
        listed = [BlobBlock(block_name(block.id), _STATES[block.source]) for block in blocks]
        self.create_if_missing(ref)
        with translating_errors():
            try:
                self.client(ref).commit_block_list(listed, **conditions(overwrite), **content_settings_of(headers))
            except ResourceExistsError:
                raise already_exists(ref) from None
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "InvalidBlockList":
                    raise
                raise InvalidBlockList(f"blob {ref.container}/{ref.name}: a listed block was never uploaded") from None
        return self.properties(ref)

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata. Raises BlobNotFound."""
        with translating_errors():
            try:
                self.client(ref).set_blob_metadata(dict(metadata))
            except ResourceNotFoundError:
                raise not_found(ref) from None
        return self.properties(ref)

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        with translating_errors(), suppress(ResourceNotFoundError):
            return sorted(self._container(container).list_blob_names())
        return []

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name."""
        blobs = self._container(container).list_blobs(
            name_starts_with=prefix or None, results_per_page=limit, include=["metadata"]
        )
        with translating_errors(), suppress(ResourceNotFoundError):
            pages: Any = blobs.by_page(continuation_token=marker)
            found = [describe(blob.name, blob) for blob in next(pages, ())]
            return BlobPage(found, pages.continuation_token or None)
        return BlobPage([], None)

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        with translating_errors(), suppress(ResourceNotFoundError):
            self.client(ref).delete_blob()

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs. Azure takes up to half a minute before it can be made again."""
        with translating_errors(), suppress(ResourceNotFoundError):
            self._container(container).delete_container()

    def discard_unfinished(self, before: datetime) -> int:
        """Removes nothing: Azure does."""
        return 0

    def usage(self) -> int:
        """Bytes of all blobs and containers, without uncommitted blocks."""
        names = self.containers()
        with translating_errors():
            blobs = (blob for name in names for blob in self._container(name).list_blobs())
            return LEAST_BYTES * len(names) + sum(counted_bytes(blob.size or 0) for blob in blobs)

    def uri(self, container: str, name: str | None = None) -> str:
        """URI in the account."""
        path = self.physical(container)
        if name is None:
            return f"{self._endpoint}/{path}"
        check_blob(name)
        return f"{self._endpoint}/{path}/{quote(name, safe='/')}"

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI in the account and of this workspace."""
        base = f"{self._endpoint}/{self._prefix}"
        if not uri.startswith(base):
            raise InvalidValue(f"blob uri: must begin with {base}, found {uri.partition('?')[0]!r}")
        container, name = split_path(uri[len(base) :].partition("?")[0], uri.partition("?")[0])
        return (self._prefix + container if _DIGEST_NAME.fullmatch(container) else container), name

    def client(self, ref: BlobRef) -> BlobClient:
        """The library's view of a blob."""
        check_blob(ref.name)
        return self._service.get().get_blob_client(self.physical(ref.container), ref.name)

    def create_if_missing(self, ref: BlobRef) -> None:
        """Create a blob's container unless it exists."""
        if not self.has_container(ref.container):
            self.create(ref.container)

    def _container(self, container: str) -> ContainerClient:
        return self._service.get().get_container_client(self.physical(container))


def workspace_prefix(workspace: str) -> str:
    """What the names of all containers of a workspace begin with."""
    return f"q{hashlib.sha256(workspace.encode()).hexdigest()[:16]}-"


def _encode(key: str) -> str:
    """A workspace's key as metadata, which is ASCII."""
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decode(text: str) -> str:
    return base64.urlsafe_b64decode(text).decode()

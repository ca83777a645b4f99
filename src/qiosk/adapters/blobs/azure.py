"""Blobs in an Azure storage account, through Azure's own library.

Every container of a workspace is a container of the account, with a name of its own: ``qDIGEST-CONTAINER``, where
DIGEST is that of the workspace's key. Names that Azure does not allow are digests, too; the true one is then in the
container's metadata, as is the workspace's key. Clients read and write the account directly, through links that the
account's key signs: obstore can neither create containers nor sign links for a whole one.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, final
from urllib.parse import quote

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
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
    ContentSettings,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.blob import BlobProperties as AzureProperties

from qiosk.errors import BlobAlreadyExists, BlobChanged, BlobNotFound, InvalidBlockList, InvalidValue
from qiosk.service.blobs import PIECE, PLAIN, BlobHeaders, BlobPage, BlobProperties, Block, BlockSource
from qiosk.service.jobs import BlobRef
from qiosk.service.locations import split_path
from qiosk.service.names import check_blob, check_block_id, check_container

_FETCH = 4 * PIECE  # bytes read by one request
_PART = 8 << 20  # size of the blocks of larger contents, of which a blob takes 50 000
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

logging.getLogger("azure").setLevel(logging.WARNING)  # it tells of every request otherwise


@final
class AzureStorage:
    """``Storage`` in an account. ``endpoint`` is the URL of its blob service, ``key`` one of its access keys.

    Links open one container or blob. Azure refuses those of a container to clients that ask whether it exists, as the
    older ones do; with ``account_links`` they open all containers of the account instead, also of other workspaces.
    """

    def __init__(self, account: str, endpoint: str, key: str, *, account_links: bool = False) -> None:
        self._account = account
        self._key = key
        self._account_links = account_links
        self._service = BlobServiceClient(
            endpoint, credential={"account_name": account, "account_key": key}, max_single_put_size=_PART
        )
        self._endpoint = endpoint.rstrip("/")
        self._blobs = lru_cache(_OPEN_STORES)(
            lambda workspace: AzureBlobStore(self._service, self._endpoint, workspace)
        )

    def blobs(self, workspace: str) -> AzureBlobStore:
        """Blobs of one workspace."""
        return self._blobs(workspace)

    def workspaces(self) -> Sequence[str]:
        """Keys of workspaces that have a container."""
        with _speaking():
            found = list(self._service.list_containers(name_starts_with="q", include_metadata=True))
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
    """``BlobStore`` of one workspace in an account. Azure forgets blocks that are not committed after a week."""

    def __init__(self, service: BlobServiceClient, endpoint: str, workspace: str) -> None:
        self._service = service
        self._endpoint = endpoint
        self._workspace = workspace
        self._prefix = workspace_prefix(workspace)

    def physical(self, container: str) -> str:
        """The account's name of a container; one that is its own name already stays as it is."""
        check_container(container)
        if container.startswith(self._prefix) and _NAME.fullmatch(container) and len(container) <= _MAX_NAME:
            return container
        name = self._prefix + container
        if _NAME.fullmatch(name) and len(name) <= _MAX_NAME and not _DIGEST_NAME.fullmatch(container):
            return name
        return f"{self._prefix}x{hashlib.sha256(container.encode()).hexdigest()[:40]}"

    def create(self, container: str) -> bool:
        """Make a container; False if it exists."""
        with _speaking():
            try:
                metadata = {_TRUE_NAME: container, _WORKSPACE: _encode(self._workspace)}
                self._container(container).create_container(metadata=metadata)
            except ResourceExistsError:
                return False
        return True

    def has_container(self, container: str) -> bool:
        """Whether it was made."""
        with _speaking():
            return bool(self._container(container).exists())

    def made_at(self, container: str) -> datetime | None:
        """When it was made; Azure does not tell of blocks."""
        with _speaking(), suppress(ResourceNotFoundError):
            return self._container(container).get_container_properties().last_modified
        return None

    def containers(self) -> Sequence[str]:
        """Names of all containers, sorted."""
        with _speaking():
            found = list(self._service.list_containers(name_starts_with=self._prefix, include_metadata=True))
        return sorted((c.metadata or {}).get(_TRUE_NAME, c.name[len(self._prefix) :]) for c in found)

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> BlobProperties:
        """Store a blob. Raises BlobAlreadyExists."""
        writer = self.writer(ref, overwrite=overwrite, headers=headers)
        writer.write(data)
        return writer.commit()

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound; BlobChanged if it is written anew again and again."""
        for _ in range(_TRIES - 1):
            with suppress(BlobChanged):
                return b"".join(self.open(ref).pieces())
        return b"".join(self.open(ref).pieces())

    def properties(self, ref: BlobRef) -> BlobProperties:
        """A blob without its content. Raises BlobNotFound."""
        return self.open(ref).properties

    def open(self, ref: BlobRef) -> AzureReader:
        """A blob to read in pieces. Raises BlobNotFound."""
        client = self.client(ref)
        with _speaking():
            try:
                found = client.get_blob_properties()
            except ResourceNotFoundError:
                raise _not_found(ref) from None
        return AzureReader(client, _describe(ref.name, found))

    def writer(self, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN) -> AzureWriter:
        """A blob to write in pieces."""
        return AzureWriter(self, ref, overwrite=overwrite, headers=headers)

    def block_writer(self, ref: BlobRef, block_id: str) -> AzureBlockWriter:
        """A block for ``commit_blocks``."""
        check_block_id(block_id)
        return AzureBlockWriter(self, ref, _block_name(block_id))

    def commit_blocks(
        self, ref: BlobRef, blocks: Sequence[Block], *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> BlobProperties:
        """Make a blob of blocks. Raises InvalidBlockList, also for sources of several kinds: the library would put
        the blocks in order of kind. Raises BlobAlreadyExists.
        """
        if len({block.source for block in blocks}) > 1:
            raise InvalidBlockList(f"blob {ref.container}/{ref.name}: all blocks must come from one kind of source")
        for block in blocks:
            check_block_id(block.id)
        listed = [BlobBlock(_block_name(block.id), _STATES[block.source]) for block in blocks]
        self.create_if_missing(ref)
        with _speaking():
            try:
                self.client(ref).commit_block_list(listed, **_conditions(overwrite), **_settings(headers))
            except ResourceExistsError:
                raise _exists(ref) from None
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "InvalidBlockList":
                    raise
                raise InvalidBlockList(f"blob {ref.container}/{ref.name}: a listed block was never uploaded") from None
        return self.properties(ref)

    def set_metadata(self, ref: BlobRef, metadata: Mapping[str, str]) -> BlobProperties:
        """Replace a blob's metadata. Raises BlobNotFound."""
        with _speaking():
            try:
                self.client(ref).set_blob_metadata(dict(metadata))
            except ResourceNotFoundError:
                raise _not_found(ref) from None
        return self.properties(ref)

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        with _speaking(), suppress(ResourceNotFoundError):
            return sorted(self._container(container).list_blob_names())
        return []

    def page(self, container: str, *, prefix: str = "", marker: str | None = None, limit: int = 5000) -> BlobPage:
        """Blobs whose names begin with ``prefix``, sorted by name."""
        blobs = self._container(container).list_blobs(
            name_starts_with=prefix or None, results_per_page=limit, include=["metadata"]
        )
        with _speaking(), suppress(ResourceNotFoundError):
            pages: Any = blobs.by_page(continuation_token=marker)
            found = [_describe(blob.name, blob) for blob in next(pages, ())]
            return BlobPage(found, pages.continuation_token or None)
        return BlobPage([], None)

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        with _speaking(), suppress(ResourceNotFoundError):
            self.client(ref).delete_blob()

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs. Azure takes up to half a minute before it can be made again."""
        with _speaking(), suppress(ResourceNotFoundError):
            self._container(container).delete_container()

    def discard_unfinished(self, before: datetime) -> int:
        """Nothing: Azure does it."""
        return 0

    def usage(self) -> int:
        """Bytes of all blobs; Azure does not count blocks that are not committed."""
        with _speaking():
            return sum(
                blob.size for name in self.containers() for blob in self._container(name).list_blobs() if blob.size
            )

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
        return self._service.get_blob_client(self.physical(ref.container), ref.name)

    def create_if_missing(self, ref: BlobRef) -> None:
        """Make a blob's container unless it is there."""
        if not self.has_container(ref.container):
            self.create(ref.container)

    def _container(self, container: str) -> ContainerClient:
        return self._service.get_container_client(self.physical(container))


@final
class AzureReader:
    """``BlobReader`` by requests for parts of the version that was opened."""

    def __init__(self, client: BlobClient, properties: BlobProperties) -> None:
        self._client = client
        self.properties = properties

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop``. Raises BlobChanged."""
        end = self.properties.size_bytes if stop is None else min(stop, self.properties.size_bytes)
        for at in range(start, end, _FETCH):
            data = self._fetch(at, min(at + _FETCH, end) - at)
            for first in range(0, len(data), PIECE):
                yield data[first : first + PIECE]

    def close(self) -> None:
        """Nothing is held."""

    def _fetch(self, offset: int, length: int) -> bytes:
        with _speaking():
            try:
                stream = self._client.download_blob(
                    offset,
                    length,
                    etag=f'"{self.properties.etag}"',
                    match_condition=MatchConditions.IfNotModified,
                    decompress=False,
                )
                return bytes(stream.readall())
            except (ResourceModifiedError, ResourceNotFoundError):
                raise BlobChanged(f"blob {self.properties.name}: changed while it was being read") from None


@final
class AzureWriter:
    """``BlobWriter`` that stores small contents by one request, and larger ones in blocks."""

    def __init__(self, store: AzureBlobStore, ref: BlobRef, *, overwrite: bool, headers: BlobHeaders) -> None:
        self._store = store
        self._client = store.client(ref)
        self._ref = ref
        self._given = {**_conditions(overwrite), **_settings(headers)}
        self._rest = bytearray()
        self._blocks: list[BlobBlock] = []
        self._token = os.urandom(8).hex()

    def write(self, data: bytes) -> None:
        """Append."""
        self._rest += data
        while len(self._rest) >= _PART:
            part = bytes(self._rest[:_PART])
            del self._rest[:_PART]
            self._stage(part)

    def commit(self) -> BlobProperties:
        """Put what was written in its place. Raises BlobAlreadyExists."""
        if not self._blocks:
            self._store.create_if_missing(self._ref)
        try:
            with _speaking():
                if self._blocks:
                    if self._rest:
                        self._stage(bytes(self._rest))
                    self._client.commit_block_list(self._blocks, **self._given)
                else:
                    overwrite = "match_condition" not in self._given
                    given = {name: value for name, value in self._given.items() if name != "match_condition"}
                    self._client.upload_blob(bytes(self._rest), overwrite=overwrite, **given)
        except ResourceExistsError:
            raise _exists(self._ref) from None
        finally:
            self.abort()
        return self._store.properties(self._ref)

    def abort(self) -> None:
        """Forget what was written; Azure removes its blocks."""
        self._rest.clear()
        self._blocks = []

    def _stage(self, data: bytes) -> None:
        if not self._blocks:
            self._store.create_if_missing(self._ref)
        name = _block_name(f"{self._token}-{len(self._blocks)}")
        with _speaking():
            self._client.stage_block(name, data)
        self._blocks.append(BlobBlock(name))


@final
class AzureBlockWriter:
    """``BlobWriter`` of one block, which is in memory until it is complete."""

    def __init__(self, store: AzureBlobStore, ref: BlobRef, name: str) -> None:
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
        with _speaking():
            self._client.stage_block(self._name, bytes(self._data))
        now = datetime.now().astimezone()
        size = len(self._data)
        self.abort()
        return BlobProperties(name=self._ref.name, size_bytes=size, etag="block", modified_at=now, created_at=now)

    def abort(self) -> None:
        """Forget what was written."""
        self._data.clear()


def workspace_prefix(workspace: str) -> str:
    """What the names of all containers of a workspace begin with."""
    return f"q{hashlib.sha256(workspace.encode()).hexdigest()[:16]}-"


@contextmanager
def _speaking() -> Iterator[None]:
    """What the account, or the way to it, does not do is an OSError, unless it means something to the caller."""
    try:
        yield
    except (ResourceExistsError, ResourceNotFoundError):
        raise
    except AzureError as error:
        raise OSError(f"Azure storage: {str(error).splitlines()[0]}") from error


def _conditions(overwrite: bool) -> dict[str, Any]:
    return {} if overwrite else {"match_condition": MatchConditions.IfMissing}


def _settings(headers: BlobHeaders) -> dict[str, Any]:
    settings = ContentSettings(content_type=headers.content_type, content_encoding=headers.content_encoding)
    return {"content_settings": settings, "metadata": dict(headers.metadata)}


def _describe(name: str, found: AzureProperties) -> BlobProperties:
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


def _encode(key: str) -> str:
    """A workspace's key as metadata, which is ASCII."""
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decode(text: str) -> str:
    return base64.urlsafe_b64decode(text).decode()


def _block_name(text: str) -> str:
    """A block's name in the account, where those of one blob must be of one length."""
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _not_found(ref: BlobRef) -> BlobNotFound:
    return BlobNotFound(f"blob {ref.container}/{ref.name} was not found")


def _exists(ref: BlobRef) -> BlobAlreadyExists:
    return BlobAlreadyExists(f"blob {ref.container}/{ref.name} exists")

"""Objects in a bucket, read and written in pieces; see ``s3``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from typing import Any, cast, final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from qiosk.adapters.blobs.fetching import FetchedReader
from qiosk.errors import BlobChanged, Conflict
from qiosk.service.blobs.store import PLAIN, BlobHeaders, BlobProperties, already_exists
from qiosk.service.jobs.job import BlobRef

SMALL = 8 << 20
"""Contents up to this size are stored by one request, which is atomic in the bucket even without overwriting."""
_PART = 16 << 20  # size of the parts of larger contents, of which a bucket takes 10 000
_META = "qiosk-"  # prefix of metadata names, some of which would otherwise be taken for attributes of the object


def reader_of(store: S3Store, path: str, raw_etag: str | None, properties: BlobProperties) -> FetchedReader:
    """Reads the version of an object that was opened."""

    def fetch(start: int, stop: int) -> bytes:
        with translating_errors():
            try:
                options = {"range": (start, stop), "if_match": raw_etag}
                return bytes(obstore.get(store, path, options=cast(Any, options)).bytes())
            except (FileNotFoundError, PreconditionError):
                raise BlobChanged(f"blob {properties.name}: changed while it was being read") from None

    return FetchedReader(properties, fetch)


@final
class ObjectWriter:
    """``BlobWriter`` that stores small contents by one request, and larger ones in parts."""

    def __init__(
        self, store: S3Store, path: str, ref: BlobRef, *, overwrite: bool = True, headers: BlobHeaders = PLAIN
    ) -> None:
        self._store = store
        self._path = path
        self._ref = ref
        self._overwrite = overwrite
        self._headers = headers
        self._small = bytearray()
        self._size = 0
        self._large: Any = None

    def write(self, data: bytes) -> None:
        """Append."""
        self._size += len(data)
        if self._large is None and len(self._small) + len(data) <= SMALL:
            self._small += data
            return
        with translating_errors():
            if self._large is None:
                self._check_absent()
                self._large = obstore.open_writer(
                    self._store, self._path, attributes=self._attributes(), buffer_size=_PART, max_concurrency=2
                )
                self._large.write(bytes(self._small))
                self._small.clear()
            self._large.write(data)

    def commit(self) -> BlobProperties:
        """Store the blob. Above ``SMALL``, two writers that may not overwrite may both succeed, if the second commits
        less than a request's time after the first.
        """
        with translating_errors():
            if self._large is None:
                self._put_small()
            else:
                self._check_absent()
                self._large.close()
                self._large = None
            meta = obstore.head(self._store, self._path)
        return describe(self._ref.name, meta, self._headers)

    def abort(self) -> None:
        """Discard what was written. Parts that are already uploaded are removed by the bucket's lifecycle rules."""
        self._small.clear()
        self._large = None

    def _put_small(self) -> None:
        try:
            obstore.put(
                self._store,
                self._path,
                bytes(self._small),
                attributes=self._attributes(),
                mode="overwrite" if self._overwrite else "create",
                use_multipart=False,
            )
        except AlreadyExistsError:
            raise already_exists(self._ref) from None

    def _check_absent(self) -> None:
        if self._overwrite:
            return
        try:
            obstore.head(self._store, self._path)
        except FileNotFoundError:
            return
        raise already_exists(self._ref)

    def _attributes(self) -> Any:
        attributes = {_META + name: value for name, value in self._headers.metadata.items()}
        attributes["Content-Type"] = self._headers.content_type
        if self._headers.content_encoding is not None:
            attributes["Content-Encoding"] = self._headers.content_encoding
        return attributes


@contextmanager
def translating_errors() -> Iterator[None]:
    """Turns errors of the bucket, and of the network, into OSError."""
    _check_threads()
    try:
        yield
    except BaseError as error:
        raise OSError(f"object storage: {str(error).splitlines()[0]}") from error


def read_attributes(attributes: Mapping[str, str]) -> BlobHeaders:
    """The headers that a blob was stored with."""
    return BlobHeaders(
        content_type=attributes.get("Content-Type", PLAIN.content_type),
        content_encoding=attributes.get("Content-Encoding") or None,
        metadata={name[len(_META) :]: value for name, value in attributes.items() if name.startswith(_META)},
    )


def describe(name: str, meta: Mapping[str, Any], headers: BlobHeaders | None) -> BlobProperties:
    """Properties of a blob, from its object's metadata."""
    modified_at = (
        meta["last_modified"].astimezone(UTC).replace(microsecond=0)
    )  # listings have fractions of seconds, HEAD has none
    return BlobProperties(
        name=name,
        size_bytes=meta["size"],
        etag=f"{(raw_etag(meta) or '').strip(chr(34))}-{int(modified_at.timestamp()):x}",
        modified_at=modified_at,
        created_at=modified_at,
        headers=headers,
    )


def raw_etag(meta: Mapping[str, Any]) -> str | None:
    """The bucket's own ETag, as its conditional requests need it."""
    return cast("str | None", meta["e_tag"])


class _Threads:
    used_by: int | None = None  # the process whose threads obstore has started


def _check_threads() -> None:
    """Raise Conflict in a child of a process that has used obstore: without its threads, calls would hang."""
    process = os.getpid()
    if _Threads.used_by not in (None, process):
        raise Conflict(
            f"s3:// storage: process {_Threads.used_by} used it and then forked process {process}, which has none of"
            " the threads that it needs; start processes by `spawn` or `forkserver`, or use no workspace"
            " before the fork and open it in each child"
        )
    _Threads.used_by = process

"""Objects in a bucket, read and written in pieces; see ``blobs_s3``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from typing import Any, cast, final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from qiosk.errors import BlobAlreadyExists, BlobChanged
from qiosk.service.blobs import PIECE, PLAIN, BlobHeaders, BlobProperties
from qiosk.service.jobs import BlobRef

SMALL = 8 << 20
"""Contents up to this size are stored by one request, which the bucket makes atomic also if nothing may be replaced."""
_FETCH = 4 * PIECE  # bytes read by one request: no connection is held while a slow client takes them
_PART = 16 << 20  # size of the parts of larger contents, of which a bucket takes 10 000
_META = "qiosk-"  # before names of metadata, some of which would else be taken for attributes of the object


@final
class ObjectReader:
    """``BlobReader`` of an object, by requests for parts of the version that was opened."""

    def __init__(self, store: S3Store, path: str, raw_etag: str | None, properties: BlobProperties) -> None:
        self._store = store
        self._path = path
        self._raw_etag = raw_etag
        self.properties = properties

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop``. Raises BlobChanged."""
        end = self.properties.size_bytes if stop is None else min(stop, self.properties.size_bytes)
        for at in range(start, end, _FETCH):
            data = self._fetch(at, min(at + _FETCH, end))
            for first in range(0, len(data), PIECE):
                yield data[first : first + PIECE]

    def close(self) -> None:
        """Nothing is held."""

    def _fetch(self, start: int, stop: int) -> bytes:
        with speaking():
            try:
                options = {"range": (start, stop), "if_match": self._raw_etag}
                return bytes(obstore.get(self._store, self._path, options=cast(Any, options)).bytes())
            except (FileNotFoundError, PreconditionError):
                raise BlobChanged(f"blob {self.properties.name}: changed while it was being read") from None


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
        with speaking():
            if self._large is None:
                self._check_absent()
                self._large = obstore.open_writer(
                    self._store, self._path, attributes=self._attributes(), buffer_size=_PART, max_concurrency=2
                )
                self._large.write(bytes(self._small))
                self._small.clear()
            self._large.write(data)

    def commit(self) -> BlobProperties:
        """Put what was written in its place. Above ``SMALL``, of two that may not overwrite both may succeed, if the
        second ends within a request's time of the first.
        """
        with speaking():
            if self._large is None:
                self._put_small()
            else:
                self._check_absent()
                self._large.close()
                self._large = None
            meta = obstore.head(self._store, self._path)
        return describe(self._ref.name, meta, self._headers)

    def abort(self) -> None:
        """Forget what was written. Parts that were uploaded already are the bucket's to remove."""
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
            raise self._exists() from None

    def _check_absent(self) -> None:
        if self._overwrite:
            return
        try:
            obstore.head(self._store, self._path)
        except FileNotFoundError:
            return
        raise self._exists()

    def _exists(self) -> BlobAlreadyExists:
        return BlobAlreadyExists(f"blob {self._ref.container}/{self._ref.name} exists")

    def _attributes(self) -> Any:
        attributes = {_META + name: value for name, value in self._headers.metadata.items()}
        attributes["Content-Type"] = self._headers.content_type
        if self._headers.content_encoding is not None:
            attributes["Content-Encoding"] = self._headers.content_encoding
        return attributes


@contextmanager
def speaking() -> Iterator[None]:
    """What the bucket, or the way to it, does not do is an OSError."""
    try:
        yield
    except BaseError as error:
        raise OSError(f"object storage: {str(error).splitlines()[0]}") from error


def read_attributes(attributes: Mapping[str, str]) -> BlobHeaders:
    """What was said about a blob when its object was stored."""
    return BlobHeaders(
        content_type=attributes.get("Content-Type", PLAIN.content_type),
        content_encoding=attributes.get("Content-Encoding") or None,
        metadata={name[len(_META) :]: value for name, value in attributes.items() if name.startswith(_META)},
    )


def describe(name: str, meta: Mapping[str, Any], headers: BlobHeaders | None) -> BlobProperties:
    """Properties of a blob, from what the bucket says of its object."""
    modified_at = meta["last_modified"].astimezone(UTC).replace(microsecond=0)  # listings know more than heads
    return BlobProperties(
        name=name,
        size_bytes=meta["size"],
        etag=f"{(raw_etag(meta) or '').strip(chr(34))}-{int(modified_at.timestamp()):x}",
        modified_at=modified_at,
        created_at=modified_at,
        headers=headers,
    )


def raw_etag(meta: Mapping[str, Any]) -> str | None:
    """The bucket's own ETag, as it wants it back."""
    return cast("str | None", meta["e_tag"])

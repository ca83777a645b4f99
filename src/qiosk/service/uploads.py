"""Blobs that a program stores piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from qiosk.contract.blobs import check_metadata
from qiosk.service.blobs import BlobStore
from qiosk.service.jobs import BlobRef


@final
class StoredUpload:
    """Implements ``BlobUpload`` over a blob store. ``check_bytes`` raises QuotaExceeded for a piece too many."""

    def __init__(self, blobs: BlobStore, ref: BlobRef, *, overwrite: bool, check_bytes: Callable[[int], None]) -> None:
        self._blobs = blobs
        self._ref = ref
        self._check_bytes = check_bytes
        self._writer = blobs.writer(ref, overwrite=overwrite)

    def write(self, data: bytes) -> None:
        """Append. Raises QuotaExceeded."""
        self._check_bytes(len(data))
        self._writer.write(data)

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        """Finish the blob, so that others see it; returns its URI. Raises BlobAlreadyExists, InvalidValue."""
        check_metadata(metadata or {})
        self._writer.commit()
        if metadata:
            self._blobs.set_metadata(self._ref, metadata)
        return self._blobs.uri(*self._ref)

    def abort(self) -> None:
        """Discard what was written."""
        self._writer.abort()

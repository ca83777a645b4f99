"""Blobs that a program stores piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import final

from qiosk.contract.http.blobs import check_metadata
from qiosk.forks import check_process
from qiosk.service.blobs.store import LEAST_BYTES, BlobStore
from qiosk.service.jobs.job import BlobRef


@final
class StoredUpload:
    """Implements ``BlobUpload`` over a blob store. ``check_bytes`` raises QuotaExceeded for a piece too many."""

    def __init__(self, blobs: BlobStore, ref: BlobRef, *, overwrite: bool, check_bytes: Callable[[int], None]) -> None:
        self._blobs = blobs
        self._ref = ref
        self._check_bytes = check_bytes
        check_bytes(LEAST_BYTES)
        self._writer = blobs.writer(ref, overwrite=overwrite)
        self._process = os.getpid()

    def write(self, data: bytes) -> None:
        """Append. Raises QuotaExceeded; Conflict in a forked child."""
        check_process(self._process)
        self._check_bytes(len(data))
        self._writer.write(data)

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        """Finish the blob, so that others see it; returns its URI. Raises BlobAlreadyExists, InvalidValue; Conflict in
        a forked child.
        """
        check_process(self._process)
        check_metadata(metadata or {})
        self._writer.commit()
        if metadata:
            self._blobs.set_metadata(self._ref, metadata)
        return self._blobs.uri(*self._ref)

    def abort(self) -> None:
        """Discard what was written; nothing happens in a forked child."""
        if os.getpid() == self._process:
            self._writer.abort()

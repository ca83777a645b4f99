"""Results of jobs as pages show them: read once, and kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import closing
from typing import Final, final

from qiosk.errors import InvalidInput
from qiosk.formats.qio.results import ResultsDocument, decode
from qiosk.service.jobs.job_service import JobService

MAX_READ_BYTES: Final = 64 << 20
"""Largest results that pages show; larger ones can be downloaded."""
KEPT_BYTES: Final = 64 << 20
"""Most bytes of documents whose content is kept."""


@final
class Documents:
    """The results documents that were shown last. Used by several threads at once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], tuple[ResultsDocument, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._decoding = threading.Lock()

    def read(self, workspace: str, jobs: JobService, job_id: str) -> ResultsDocument | None:
        """The results of a job, or its best solution so far; None if there is none.

        Raises JobNotFound; InvalidInput for a document that is too large, or is none.
        """
        reader = jobs.open_best(job_id)
        if reader is None:
            return None
        with closing(reader):
            size = reader.properties.size_bytes
            if size > MAX_READ_BYTES:
                raise InvalidInput(f"results: pages show at most {MAX_READ_BYTES} bytes, found {size}")
            key = (workspace, job_id, reader.properties.etag)
            if (known := self._known(key)) is not None:
                return known
            with self._decoding:  # one at a time: it takes several times the memory of the document
                if (known := self._known(key)) is not None:
                    return known
                document = decode(b"".join(reader.pieces()))
                self._keep(key, document, size)
                return document

    def _known(self, key: tuple[str, str, str]) -> ResultsDocument | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def _keep(self, key: tuple[str, str, str], document: ResultsDocument, size: int) -> None:
        with self._lock:
            self._kept[key] = document, size
            while len(self._kept) > 1 and sum(kept for _, kept in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)

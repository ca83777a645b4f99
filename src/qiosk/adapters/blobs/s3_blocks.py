"""Blocks of blobs in a bucket: uploaded ones, and those that a version of a blob was made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple, final
from urllib.parse import quote, unquote

import obstore
from obstore.store import S3Store

from qiosk.adapters.blobs.fetching import FetchedReader
from qiosk.adapters.blobs.s3_objects import describe, raw_etag, reader_of, translating_errors
from qiosk.service.blobs.store import Block, BlockSource, never_uploaded
from qiosk.service.jobs.job import BlobRef
from qiosk.service.names import check_block_id


class Part(NamedTuple):
    """Where the bytes of a block are."""

    reader: FetchedReader
    start: int
    size: int


@final
class BlockObjects:
    """The blocks of one blob: uploaded ones below ``staged``, and in ``list_path`` which ones it was made of."""

    def __init__(self, store: S3Store, ref: BlobRef, *, staged: str, list_path: str) -> None:
        self._store = store
        self._ref = ref
        self.staged = staged
        self._list_path = list_path

    def path_of(self, block_id: str) -> str:
        """The object of an uploaded block."""
        return f"{self.staged}/{quote(block_id, safe='')}"

    def find(self, blocks: Sequence[Block], blob: FetchedReader | None) -> Sequence[Part]:
        """Where each block is; ``blob`` is the blob as it is. Raises InvalidBlockList."""
        uploaded = self._uploaded()
        committed = {} if blob is None else self._committed(blob)
        sources = {
            BlockSource.COMMITTED: committed,
            BlockSource.UNCOMMITTED: uploaded,
            BlockSource.LATEST: {**committed, **uploaded},
        }
        parts = []
        for block in blocks:
            check_block_id(block.id)
            part = sources[block.source].get(block.id)
            if part is None:
                raise never_uploaded(self._ref, block.id)
            parts.append(part)
        return parts

    def write_list(self, etag: str, made_of: Sequence[tuple[str, int]]) -> None:
        """Note the ids and sizes of the blocks that the version with this etag was made of, if there are any."""
        if made_of:
            with translating_errors():
                obstore.put(self._store, self._list_path, json.dumps({"etag": etag, "blocks": made_of}).encode())

    def read_list(self, etag: str) -> Sequence[tuple[str, int]]:
        """Ids and sizes of the blocks of the version with this etag; none if it was not made of blocks."""
        with translating_errors():
            try:
                document = json.loads(bytes(obstore.get(self._store, self._list_path).bytes()))
            except FileNotFoundError:
                return []
        return [(block_id, size) for block_id, size in document["blocks"]] if document["etag"] == etag else []

    def _uploaded(self) -> dict[str, Part]:
        found = {}
        with translating_errors():
            for batch in obstore.list(self._store, self.staged, chunk_size=1000):
                for meta in batch:
                    block_id = unquote(meta["path"][len(self.staged) + 1 :])
                    properties = describe(block_id, meta, None)
                    reader = reader_of(self._store, meta["path"], raw_etag(meta), properties)
                    found[block_id] = Part(reader, 0, meta["size"])
        return found

    def _committed(self, blob: FetchedReader) -> dict[str, Part]:
        found = {}
        start = 0
        for block_id, size in self.read_list(blob.properties.etag):
            found[block_id] = Part(blob, start, size)
            start += size
        return found

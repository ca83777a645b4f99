"""The readers of input blobs, by the name of their format."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from qiosk.contract.jobs import QIO_INPUT_FORMAT
from qiosk.errors import UnreadableInput
from qiosk.formats import columns
from qiosk.formats.compression import MAX_CONTENT_BYTES, decompressed
from qiosk.formats.qio import json_codec, protobuf_codec, tar
from qiosk.model.cost_function import CostFunction


class Reader(Protocol):
    """Reads decompressed content; ``max_size`` limits what it decompresses itself [bytes]. Raises InvalidInput."""

    def __call__(self, content: bytes, /, *, max_size: int = MAX_CONTENT_BYTES) -> CostFunction:
        """The cost function in ``content``."""
        ...


def read_qio(content: bytes, /, *, max_size: int = MAX_CONTENT_BYTES) -> CostFunction:
    """The cost function in ``microsoft.qio.v2`` content: a tar archive of protobuf messages, or else JSON.

    Columns are read as well, so a client that has the URI of an uploaded problem need not know its format.
    """
    if content[: len(columns.MAGIC)] == columns.MAGIC:
        return columns.read(content, max_size=max_size)
    return protobuf_codec.read(content) if tar.is_tar(content) else json_codec.read(content)


READERS: Mapping[str, Reader] = {QIO_INPUT_FORMAT: read_qio, columns.NAME: columns.read}
"""Readers of decompressed content by the name of their format, in lower case."""


def read_path(path: Path, input_format: str = QIO_INPUT_FORMAT, *, max_size: int = MAX_CONTENT_BYTES) -> CostFunction:
    """As :func:`read`, from a file. It is memory-mapped, so it may be larger than memory. Raises also OSError."""
    with path.open("rb") as file:
        return read_open(file, input_format, max_size=max_size)


def read_open(
    file: BinaryIO, input_format: str = QIO_INPUT_FORMAT, *, max_size: int = MAX_CONTENT_BYTES
) -> CostFunction:
    """As :func:`read_path`, from an open file, which must not change while the cost function is used."""
    if os.fstat(file.fileno()).st_size == 0:
        return read(b"", input_format)
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return read(cast(bytes, content), input_format, max_size=max_size)  # a mapping can do all that readers do to bytes


def read(data: bytes, input_format: str = QIO_INPUT_FORMAT, *, max_size: int = MAX_CONTENT_BYTES) -> CostFunction:
    """The cost function in an input blob, which may be compressed with gzip, Zstandard or xz, once.

    ``input_format`` is a name in upper or lower case; ``max_size`` the largest size of decompressed data in bytes.
    Raises InvalidInput; UnreadableInput also for an unknown format.
    """
    reader = READERS.get(input_format.lower())
    if reader is None:
        raise UnreadableInput(f"input format must be one of {', '.join(READERS)}, found {input_format!r}")
    return reader(decompressed(data, max_size), max_size=max_size)

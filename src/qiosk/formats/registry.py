"""Which reader understands which input format."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from qiosk.contract.jobs import QIO_INPUT_FORMAT
from qiosk.errors import UnreadableInput
from qiosk.formats import columns
from qiosk.formats.compression import MAX_SIZE, decompressed
from qiosk.formats.qio import json_codec as qio_json
from qiosk.formats.qio import protobuf_codec as qio_protobuf
from qiosk.formats.qio import tar
from qiosk.model.cost_function import CostFunction


def _read_qio(content: bytes) -> CostFunction:
    """The format's name says nothing of its form: a tar archive holds protobuf, all else is JSON.

    Columns are read as well, so that whoever has the URI of an uploaded problem need not know how it was written.
    """
    if content[: len(columns.MAGIC)] == columns.MAGIC:
        return columns.read(content)
    return qio_protobuf.read(content) if tar.is_tar(content) else qio_json.read(content)


READERS: Mapping[str, Callable[[bytes], CostFunction]] = {QIO_INPUT_FORMAT: _read_qio, columns.NAME: columns.read}
"""Readers by the name of their format, in lower case."""


def read_path(path: Path, input_format: str = QIO_INPUT_FORMAT, *, max_size: int = MAX_SIZE) -> CostFunction:
    """As :func:`read`, from a file, which is mapped: it need not fit the memory. Raises also OSError."""
    with path.open("rb") as file:
        return read_open(file, input_format, max_size=max_size)


def read_open(file: BinaryIO, input_format: str = QIO_INPUT_FORMAT, *, max_size: int = MAX_SIZE) -> CostFunction:
    """As :func:`read_path`, from a file that is open; it must not change while the cost function is used."""
    if os.fstat(file.fileno()).st_size == 0:
        return read(b"", input_format)
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return read(cast(bytes, content), input_format, max_size=max_size)  # it does all that readers ask of bytes


def read(data: bytes, input_format: str = QIO_INPUT_FORMAT, *, max_size: int = MAX_SIZE) -> CostFunction:
    """The cost function in the content of an input blob, raw, gzipped or as Zstandard.

    ``input_format`` is a name in any case; ``max_size`` the most bytes that compressed data may hold. Raises
    InvalidInput; UnreadableInput also for an unknown format.
    """
    reader = READERS.get(input_format.lower())
    if reader is None:
        raise UnreadableInput(f"input format must be one of {', '.join(READERS)}, found {input_format!r}")
    return reader(decompressed(data, max_size))

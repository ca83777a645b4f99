"""Which reader understands which input format."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qiosk.contract.jobs import QIO_INPUT_FORMAT
from qiosk.errors import UnreadableInput
from qiosk.formats import columns, qio_json, qio_protobuf, tar
from qiosk.formats.compression import MAX_SIZE, decompressed
from qiosk.model.cost_function import CostFunction


def _read_qio(content: bytes) -> CostFunction:
    """The format's name says nothing of its form: a tar archive holds protobuf, all else is JSON."""
    return qio_protobuf.read(content) if tar.is_tar(content) else qio_json.read(content)


READERS: Mapping[str, Callable[[bytes], CostFunction]] = {QIO_INPUT_FORMAT: _read_qio, columns.NAME: columns.read}
"""Readers by the name of their format, in lower case."""


def read(data: bytes, input_format: str = QIO_INPUT_FORMAT, *, max_size: int = MAX_SIZE) -> CostFunction:
    """The cost function in the content of an input blob, raw or gzipped.

    ``input_format`` is a name in any case; ``max_size`` the most bytes that gzip data may hold. Raises
    InvalidInput; UnreadableInput also for an unknown format.
    """
    reader = READERS.get(input_format.lower())
    if reader is None:
        raise UnreadableInput(f"input format must be one of {', '.join(READERS)}, found {input_format!r}")
    return reader(decompressed(data, max_size))

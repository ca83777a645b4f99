"""The problem of a job, in the formats of files."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Final

from qiosk.contract.jobs import JobView
from qiosk.errors import InvalidValue
from qiosk.formats import registry
from qiosk.formats.columns import MAGIC
from qiosk.formats.compression import GZIP_MAGIC, XZ_MAGIC, ZSTD_MAGIC
from qiosk.formats.files import FileFormat
from qiosk.service.blobs.store import BlobReader

MAX_STORED_BYTES: Final = 128 << 20
"""Largest input, as it is stored, that the server converts."""
MAX_CONTENT_BYTES: Final = 512 << 20
"""Largest decompressed content that the server converts."""
_COMPRESSIONS: Final = {GZIP_MAGIC: ".gz", ZSTD_MAGIC: ".zst", XZ_MAGIC: ".xz"}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME: Final = 60


def file_name(view: JobView, kind: str) -> str:
    """A name for a download of a job that every system takes; ``kind`` is its end, such as ``results.json``.

    It begins with the name of the job, of which only ASCII letters, digits, dots, dashes and underscores are kept.
    """
    stem = _UNSAFE.sub("-", view.name).strip("-.")[:_MAX_NAME].rstrip("-.")
    return f"{stem or 'job'}-{view.id[:8]}-{kind}"


def suffix_of(head: bytes) -> str:
    """The suffix of a problem's file by its first bytes."""
    for magic, suffix in _COMPRESSIONS.items():
        if head.startswith(magic):
            return suffix
    if head.startswith(MAGIC):
        return ".npz"
    return ".json" if head.lstrip()[:1] == b"{" else ".bin"


def converted(reader: BlobReader, input_format: str, form: FileFormat) -> bytes:
    """The problem that a job reads, in another format. Closes the reader.

    Raises InvalidInput for a problem that is wrong, too large to be converted here, or not expressible in the format.
    """
    with closing(reader):
        size = reader.properties.size_bytes
        if size > MAX_STORED_BYTES:
            raise InvalidValue(
                f"problem: the server converts at most {MAX_STORED_BYTES} bytes, found {size}; download it as it was"
                " submitted, and use `qiosk convert`"
            )
        data = b"".join(reader.pieces())
    return form.write(registry.read(data, input_format, max_size=MAX_CONTENT_BYTES))

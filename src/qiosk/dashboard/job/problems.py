"""The problem of a job, in the formats of files."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Final

import numpy as np

from qiosk.contract.jobs import JobView
from qiosk.dashboard.new_job.inputs import MAX_CONTENT_BYTES, MAX_UPLOAD_BYTES
from qiosk.errors import InvalidValue
from qiosk.formats import registry
from qiosk.formats.columns import MAGIC
from qiosk.formats.compression import GZIP_MAGIC, XZ_MAGIC, ZSTD_MAGIC
from qiosk.formats.files import FileFormat
from qiosk.model.cost_function import CostFunction
from qiosk.model.transforms.domain import to_bits, to_spins
from qiosk.service.blobs.store import BlobReader

MAX_EXPANDED_IDS: Final = 1 << 24
"""Most ids of terms that a conversion to spins or bits, or of squares to terms, may make: some 1 GB."""
_WITHOUT_EXPANSION: Final = ("qio", "columns")
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
        if size > MAX_UPLOAD_BYTES:
            raise _too_large(f"at most {MAX_UPLOAD_BYTES} bytes, found {size}")
        data = b"".join(reader.pieces())
    problem = registry.read(data, input_format, max_size=MAX_CONTENT_BYTES)
    ids = expanded_ids(problem, form)
    if ids > MAX_EXPANDED_IDS:
        raise _too_large(f"problems whose terms have at most {MAX_EXPANDED_IDS} ids when expanded, found {ids}")
    return form.write(problem)


def expanded_ids(problem: CostFunction, form: FileFormat) -> int:
    """How many ids the terms of a problem have when they are expanded for a format."""
    if form.name in _WITHOUT_EXPANSION:
        return 0
    sizes = np.diff(problem.groups.indptr)
    ids = int((sizes * (sizes + 1)).sum())
    if form.to_domain is (to_bits if problem.problem_type.is_ising else to_spins):
        degrees, counts = np.unique(np.diff(problem.indptr), return_counts=True)
        ids += sum(
            count * degree << max(0, degree - 1)
            for degree, count in zip(degrees.tolist(), counts.tolist(), strict=True)
        )
    return ids


def _too_large(limit: str) -> InvalidValue:
    return InvalidValue(
        f"problem: the server converts {limit}; download it as it was submitted, and use `qiosk convert`"
    )

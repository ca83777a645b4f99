"""Ids of jobs and blocks: which are allowed; and which names the blobs of a job have."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from qiosk.contract.jobs import CONTAINER_PREFIX, OUTPUT_BLOB, own_container
from qiosk.errors import InvalidJobDefinition, InvalidValue

BEST_BLOB = "bestSoFar"
CHECKPOINT_BLOB = "checkpoint"
RECEIPT_BLOB = "receipt"
RUN_BLOBS = (OUTPUT_BLOB, BEST_BLOB, CHECKPOINT_BLOB, RECEIPT_BLOB)
"""Kinds of blobs that a run of a job writes."""

MEMBER_RESULT = "result"
"""Kind of the blob with what a member of a job found; why it ended follows: ``result-finished``."""

_MEMBER = r"([0-9]+)-([0-9]+)-([0-9]+)-([A-Za-z_]+(?:-[a-z_]+)?)"
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_MAX_BLOCK_ID = 64


def is_job_id(text: str) -> bool:
    """Whether a job can have this id: 1 to 100 letters, digits, ``-`` and ``_``."""
    return _JOB_ID.fullmatch(text) is not None


def check_job_id(job_id: str) -> None:
    """Raise InvalidJobDefinition unless ``is_job_id``."""
    if not is_job_id(job_id):
        raise InvalidJobDefinition(f"job id: 1 to 100 letters, digits, '-' or '_' are allowed, found {job_id!r}")


def check_block_id(block_id: str) -> None:
    """Raise InvalidValue unless ``block_id`` is base64 of 1 to 64 bytes."""
    try:
        size = len(base64.b64decode(block_id, validate=True))
    except ValueError:
        size = 0
    if not 1 <= size <= _MAX_BLOCK_ID:
        raise InvalidValue(f"block id: must be base64 of 1 to {_MAX_BLOCK_ID} bytes, found {block_id!r}")


def job_of_container(container: str) -> str | None:
    """The id of the job to which alone a container of this name belongs; None for other names."""
    job_id = container.removeprefix(CONTAINER_PREFIX)
    return job_id if job_id != container and is_job_id(job_id) else None


def blob_name(kind: str, job_id: str, container: str, fence: int = 1) -> str:
    """Name of a blob that a job's run of this ``fence`` writes: unique among jobs and runs, usually just ``kind``."""
    if container == own_container(job_id):
        return kind if fence == 1 else f"{kind}-{fence}"
    return f"{kind}.{job_id}" if fence == 1 else f"{kind}.{job_id}.{fence}"  # ids contain "-", but no "."


def receipt_name(output_blob: str) -> str | None:
    """Name of the receipt beside the results of a run; None if the blob is not the results of one."""
    return RECEIPT_BLOB + output_blob.removeprefix(OUTPUT_BLOB) if output_blob.startswith(OUTPUT_BLOB) else None


def is_job_blob(name: str, job_id: str) -> bool:
    """Whether a blob of the job has this name, made by ``blob_name``, in a shared container."""
    return re.fullmatch(rf"[A-Za-z]+\.{job_id}(\.[0-9]+)?|member\.{job_id}\.{_MEMBER}", name) is not None


def is_run_blob(name: str, job_id: str, container: str) -> bool:
    """Whether a run of this job may have written the blob."""
    if container != own_container(job_id):
        return is_job_blob(name, job_id) and name.startswith((*RUN_BLOBS, "member."))
    return re.fullmatch(rf"({'|'.join(RUN_BLOBS)})(-[0-9]+)?|member-{_MEMBER}", name) is not None


class MemberBlob(NamedTuple):
    """A blob that a member of a job writes: in the attempt of this ``fence``, in its ``run`` of this number."""

    fence: int
    member: int
    run: int
    kind: str

    def name(self, job_id: str, container: str) -> str:
        """The name of the blob, which no other run of a member has.

        >>> MemberBlob(2, 0, 1, "checkpoint").name("j", "shared")
        'member.j.2-0-1-checkpoint'
        """
        return f"{member_prefix(job_id, container)}{self.fence}-{self.member}-{self.run}-{self.kind}"


def member_prefix(job_id: str, container: str) -> str:
    """How the names of the blobs of a job's members begin."""
    return "member-" if container == own_container(job_id) else f"member.{job_id}."


def member_blob(name: str, job_id: str, container: str) -> MemberBlob | None:
    """What the name of a blob tells if a member of the job has written it."""
    match = re.fullmatch(re.escape(member_prefix(job_id, container)) + _MEMBER, name)
    return None if match is None else MemberBlob(int(match[1]), int(match[2]), int(match[3]), match[4])

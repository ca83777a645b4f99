"""Fences: the numbers that tell the claims of a job apart.

Theory of operation. A fence is ``era * CLAIMS`` plus the number of claims that the job has had. The era is 0 until a
backup is restored. A restore sets the jobs that have not ended back to an earlier number of claims, while claimants of
before the restore may still be running, with the numbers that the next claims will get. So every restore gives these
jobs an era of its own, which is random: the same backup may be restored twice, and no restore knows of the others.
"""

from __future__ import annotations

import secrets

CLAIMS = 10_000
"""The fences of one era."""
_ERAS = 200_000  # the largest fence fits 32 bits, which a column of PostgreSQL has


def claims_of(fence: int) -> int:
    """How many claims a job of this fence has had."""
    return fence % CLAIMS


def is_restored(fence: int) -> bool:
    """Whether the fence is of a job that had not ended when it was restored, perhaps more than once."""
    return fence >= CLAIMS


def new_era() -> int:
    """The era of a restore, 1 to 200 000; two restores have the same one with a probability of 1 in 200 000."""
    return 1 + secrets.randbelow(_ERAS)

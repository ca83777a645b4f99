"""Jobs over several nodes: their members, each a run of its own, and the run that merges what these found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_NODES = 1024  # a run that is given more says what is wrong with it


@dataclass(frozen=True, slots=True)
class Part:
    """A run of member number ``index``; ``run`` is new whenever the member is run again in the same attempt."""

    index: int
    run: int


@dataclass(frozen=True, slots=True)
class Merge:
    """A run that makes the results of a job of what its members ``found``: their indices, and names of blobs.

    ``was_cancelled``: not all members have come to their end, because the job was cancelled.
    """

    found: tuple[tuple[int, str], ...]
    was_cancelled: bool = False


def nodes_of(input_params: Any) -> int:
    """Over how many nodes a job is run; 1 if it does not say so, or what it says is wrong, which its run will tell.

    >>> nodes_of({"params": {"nodes": 4, "seed": 1}}), nodes_of({"params": {}}), nodes_of({"params": {"nodes": "4"}})
    (4, 1, 1)
    """
    members = input_params if isinstance(input_params, Mapping) else {}
    section = members.get("params", members)
    nodes = section.get("nodes") if isinstance(section, Mapping) else None
    return nodes if type(nodes) is int and 1 <= nodes <= _MOST_NODES else 1


def seed_of(workspace: str, job_id: str) -> int:
    """The seed of a job over several nodes that was given none: all members of all its attempts have the same."""
    return int.from_bytes(hashlib.sha256(f"{workspace}\0{job_id}".encode()).digest()[:4]) >> 1

"""Groups of variables of which exactly one, or at most one, is set: bits that are 1, or spins that are +1.

Groups are promises of the caller that made the problem: only configurations that keep them are solutions. They are
carried in the metadata, so the penalty terms stay in the problem and any other program reads an ordinary one. The
member ``one_hot`` of the metadata is an object of ``exactly_one`` and ``at_most_one``, lists of lists of ids, and
``none``, a list of ids that are never set; each may be absent. Ids from 2**53 on are strings. If the object is empty,
solvers do not look for groups either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import InvalidValue, WrongType
from qiosk.model.cost_function import I8, I64

ONE_HOT = "one_hot"
"""The member of the metadata."""
EXACTLY, AT_MOST, NONE = "exactly_one", "at_most_one", "none"


@dataclass(frozen=True, slots=True, eq=False)
class OneHot:
    """G groups with M members in all: ids, or numbers of variables once the problem is compiled."""

    indptr: I64  # (G + 1,)
    members: I64  # (M,) distinct inside a group
    is_exact: NDArray[np.bool_]  # (G,) exactly one is set; else at most one
    never: I64  # variables that are never set

    @classmethod
    def of(cls, groups: Iterable[tuple[Sequence[int], bool]], never: Sequence[int] = ()) -> OneHot:
        """Of pairs: members, and whether exactly one of them is set."""
        pairs = list(groups)
        return cls(
            np.cumsum([0, *(len(members) for members, _ in pairs)], dtype=np.int64),
            np.array([i for members, _ in pairs for i in members], np.int64),
            np.array([is_exact for _, is_exact in pairs], np.bool_),
            np.array(never, np.int64),
        )

    def groups(self) -> list[tuple[list[int], bool]]:
        """Pairs as ``of`` takes them."""
        bounds = self.indptr.tolist()
        members = self.members.tolist()
        return [(members[bounds[g] : bounds[g + 1]], exact) for g, exact in enumerate(self.is_exact.tolist())]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is promised."""
        return len(self.is_exact) == 0 and len(self.never) == 0

    def to_metadata(self) -> dict[str, Any]:
        """The member of the metadata."""
        found: dict[str, Any] = {
            EXACTLY: [written_ids(members) for members, is_exact in self.groups() if is_exact],
            AT_MOST: [written_ids(members) for members, is_exact in self.groups() if not is_exact],
            NONE: written_ids(self.never.tolist()),
        }
        return {name: some for name, some in found.items() if some}

    def is_kept_by(self, is_set: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(...,) whether configurations (..., n) keep all promises, of compiled variables."""
        kept = ~is_set[..., self.never].any(axis=-1)
        for members, is_exact in self.groups():
            count = np.count_nonzero(is_set[..., members], axis=-1)
            kept &= (count == 1) if is_exact else (count <= 1)
        return np.asarray(kept, np.bool_)

    def numbered(self, variables: I64) -> OneHot:
        """By their numbers among ``variables`` (n,), ascending. Raises InvalidValue for an id that does not occur."""
        return OneHot(self.indptr, places_of(self.members, variables), self.is_exact, places_of(self.never, variables))

    def restricted(self, set_ids: Iterable[int], unset_ids: Iterable[int], left: I64) -> OneHot:
        """What is promised of the variables ``left`` when others are fixed: set, or not set.

        Where a member is set the others are never set. A group of which a member is neither fixed nor left may be
        empty, because that member can be set at no cost.
        """
        is_set, is_unset, known = set(set_ids), set(unset_ids), set(left.tolist())
        never, groups = set(self.never.tolist()) & known, list[tuple[Sequence[int], bool]]()
        for members, is_exact in self.groups():
            free = [i for i in members if i in known]
            if is_set.intersection(members):
                never.update(free)
            elif free:
                are_all_there = len(free) == len(members) - len(is_unset.intersection(members))
                groups.append((free, is_exact and are_all_there))
        return OneHot.of(groups, sorted(never))


def read_one_hot(metadata: Mapping[str, Any]) -> OneHot | None:
    """The groups in a problem's metadata; None if there are none.

    Raises WrongType or InvalidValue for metadata that are no groups: an id that is no integer of at least 0, a member
    that occurs twice in a group, an exactly-one group without members.
    """
    found = metadata.get(ONE_HOT)
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise WrongType(f"metadata `{ONE_HOT}`: must be an object, found {type(found).__name__}")
    for name in found:
        if name not in (EXACTLY, AT_MOST, NONE):
            raise InvalidValue(f"metadata `{ONE_HOT}`: has no member `{name}`, only {EXACTLY}, {AT_MOST} and {NONE}")
    groups = [(members, True) for members in _lists(found, EXACTLY)]
    groups += [(members, False) for members in _lists(found, AT_MOST)]
    one_hot = OneHot.of(groups, checked_members(f"{ONE_HOT}.{NONE}", found.get(NONE) or [], can_be_empty=True))
    return None if one_hot.is_empty else one_hot


def checked_members(where: str, members: Any, *, can_be_empty: bool) -> list[int]:
    """Ids of a group as integers. Raises WrongType or InvalidValue, which name the group ``where``."""
    if isinstance(members, str | bytes | Mapping) or not isinstance(members, Iterable):
        raise WrongType(f"{where}: must be a list of variable ids, found {members!r}")
    ids = [checked_id(where, member) for member in members]
    if len(set(ids)) < len(ids):
        repeated = next(i for k, i in enumerate(ids) if i in ids[:k])
        raise InvalidValue(f"{where}: variable {repeated} occurs twice")
    if not ids and not can_be_empty:
        raise InvalidValue(f"{where}: must have at least one variable")
    return ids


def _lists(found: Mapping[str, Any], name: str) -> list[list[int]]:
    lists = found.get(name) or []
    if isinstance(lists, str | bytes | Mapping) or not isinstance(lists, Iterable):
        raise WrongType(f"metadata `{ONE_HOT}.{name}`: must be a list of lists of variable ids, found {lists!r}")
    can_be_empty = name == AT_MOST
    return [checked_members(f"{ONE_HOT}.{name}[{k}]", some, can_be_empty=can_be_empty) for k, some in enumerate(lists)]


def written_ids(ids: list[int]) -> list[int | str]:
    """Ids as JSON values: those that some readers of JSON would round are strings."""
    return [i if i < 2**53 else str(i) for i in ids]


def checked_id(where: str, member: Any) -> int:
    """A variable id as an integer. Raises WrongType or InvalidValue, which name ``where`` it was found."""
    if isinstance(member, str) and member.isdecimal() and len(member) < 20:
        member = int(member)
    is_whole = member.is_integer() if isinstance(member, float) else isinstance(member, int | np.integer)
    if not is_whole or isinstance(member, bool):  # numbers of protobuf metadata are floats
        raise WrongType(f"{where}: a variable id must be an integer, found {type(member).__name__} {member!r}")
    if not 0 <= member < 2**63:
        raise InvalidValue(f"{where}: a variable id must be 0 to 2**63 - 1, found {member}")
    return int(member)


def places_of(ids: I64, variables: I64, what: str = "one-hot groups") -> I64:
    """The numbers of ids among ``variables`` (n,), ascending. Raises InvalidValue for an id that does not occur."""
    places = np.searchsorted(variables, ids)
    is_there = np.zeros(len(ids), np.bool_)
    inside = places < len(variables)
    is_there[inside] = variables[places[inside]] == ids[inside]
    if not is_there.all():
        raise InvalidValue(f"{what}: variable {ids[np.argmin(is_there)]} is not in the problem")
    return places.astype(np.int64)


def is_set(configuration: I8) -> NDArray[np.bool_]:
    """Which variables of a configuration are set."""
    return configuration > 0

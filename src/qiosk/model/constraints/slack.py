"""Squared rows of a problem whose slack a search can choose at once: what inequalities become.

A row costs ``penalty`` times the square of ``offset`` plus the sum of ``weights`` times bits, some of which are slack.
The terms of the square stay in the problem, or the row is one of its squared linear combinations, so any other program
reads an ordinary problem. The member ``slack`` of the metadata says which parts of the terms are such rows: a list of
objects with ``penalty``, ``ids``, ``weights`` and ``offset``, and ``slack``, the number of ids at the end that are
slack. Solvers use a row only if the terms prove it (see ``solvers/exact/slack.py``). If the list is empty, solvers do
not look for rows either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qiosk.errors import InvalidValue, WrongType
from qiosk.model.constraints.one_hot import checked_members
from qiosk.model.cost_function import F64, I64

SLACK = "slack"
"""The member of the metadata."""
_MEMBERS = frozenset({"penalty", "ids", "weights", "offset", "slack"})


@dataclass(frozen=True, slots=True, eq=False)
class SlackRow:
    """penalty (offset + weights @ bits)**2, of M members: ids, or numbers of variables once the problem is compiled."""

    penalty: float
    members: I64  # (M,) distinct; slack comes last
    weights: F64  # (M,)
    offset: float
    n_slack: int
    group: int = -1  # number of the squared linear combination that the row is; -1 if it is multiplied out

    @property
    def slack(self) -> I64:
        """The slack bits."""
        return self.members[len(self.members) - self.n_slack :]

    @property
    def slack_weights(self) -> F64:
        """Their weights."""
        return self.weights[len(self.members) - self.n_slack :]

    def to_metadata(self) -> dict[str, Any]:
        """An object of the metadata."""
        return {
            "penalty": self.penalty,
            "ids": [i if i < 2**53 else str(i) for i in self.members.tolist()],
            "weights": self.weights.tolist(),
            "offset": self.offset,
            "slack": self.n_slack,
        }

    def numbered(self, variables: I64) -> SlackRow:
        """By their numbers among ``variables`` (n,), ascending. Raises InvalidValue for an id that does not occur."""
        places = np.minimum(np.searchsorted(variables, self.members), max(0, len(variables) - 1))
        if len(variables) == 0 or not np.array_equal(variables[places], self.members):
            known = set(variables.tolist())
            missing = next(i for i in self.members.tolist() if i not in known)
            raise InvalidValue(f"slack rows: variable {missing} is not in the problem")
        return replace(self, members=places.astype(np.int64))

    def restricted(self, fixed: Mapping[int, float], left: I64) -> SlackRow | None:
        """The row when variables are fixed and others are ``left``; None if that changes its slack."""
        members, known = self.members.tolist(), set(left.tolist())
        if not all((i in fixed) != (i in known) for i in members) or not fixed.keys().isdisjoint(self.slack.tolist()):
            return None
        kept = [k for k, i in enumerate(members) if i in known]
        pairs = zip(members, self.weights.tolist(), strict=True)
        offset = self.offset + sum(weight * fixed[i] for i, weight in pairs if i in fixed)
        return replace(self, members=self.members[kept], weights=self.weights[kept], offset=offset)


def read_slack(metadata: Mapping[str, Any]) -> tuple[SlackRow, ...]:
    """The rows in a problem's metadata. Raises WrongType or InvalidValue for metadata that are no rows."""
    found = metadata.get(SLACK)
    if found is None:
        return ()
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise WrongType(f"metadata `{SLACK}`: must be a list of objects, found {found!r}")
    return tuple(_row(f"metadata `{SLACK}[{k}]`", row) for k, row in enumerate(found))


def slack_metadata(rows: Iterable[SlackRow]) -> dict[str, Any]:
    """The metadata with these rows; empty if there are none."""
    written = [row.to_metadata() for row in rows]
    return {SLACK: written} if written else {}


def _row(where: str, row: Any) -> SlackRow:
    if not isinstance(row, Mapping):
        raise WrongType(f"{where}: must be an object, found {type(row).__name__}")
    if row.keys() != _MEMBERS:
        wanted, found = (", ".join(sorted(map(str, names))) for names in (_MEMBERS, row))
        raise InvalidValue(f"{where}: must have the members {wanted}, found {found}")
    members = checked_members(f"{where}.ids", row["ids"], can_be_empty=False)
    weights = row["weights"]
    if isinstance(weights, str | bytes | Mapping) or not isinstance(weights, Sequence) or len(weights) != len(members):
        raise WrongType(f"{where}.weights: must be a list of {len(members)} numbers, found {weights!r}")
    n_slack = _number(f"{where}.slack", row["slack"])
    if not n_slack.is_integer() or not 0 <= n_slack <= len(members):
        raise InvalidValue(f"{where}.slack: must be an integer from 0 to {len(members)}, found {row['slack']}")
    penalty = _number(f"{where}.penalty", row["penalty"])
    if penalty <= 0:
        raise InvalidValue(f"{where}.penalty: must be greater than 0, found {penalty:g}")
    return SlackRow(
        penalty,
        np.array(members, np.int64),
        np.array([_number(f"{where}.weights", w) for w in weights], np.float64),
        _number(f"{where}.offset", row["offset"]),
        int(n_slack),
    )


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(f"{where}: must be a number, found {type(value).__name__} {value!r}")
    if not math.isfinite(value):
        raise InvalidValue(f"{where}: must be finite, found {value}")
    return float(value)

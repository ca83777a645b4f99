"""Constraints that a solution has to satisfy, whatever it costs to violate them.

The penalties of constraints are terms as all others, so a cost alone does not tell whether a configuration is a
solution. The member ``hard_constraints`` of the metadata does. It is a list of objects, one for each constraint:

- ``name``;
- ``terms``: a list of variable ids, or of lists of ids for products, and ``coefficients``: as many integers, all 1 if
  the member is absent. A variable counts 1 where it is set (bits that are 1, spins that are +1), and 0 elsewhere;
- ``sense``: ``==``, ``<=`` or ``>=``, and ``bound``: an integer;
- ``unit``: what a violation by 1 is worth in the unit of the constraint; 1 if absent;
- ``stated``: the bound as it was stated, in the unit of the constraint, which violations are measured from; ``bound``
  times ``unit`` if absent. An inequality between even numbers that is stated with the bound 3 has ``bound`` 2 or 4.

Ids from 2**53 on are strings. All that is added up in one constraint is less than 2**53, so sums are exact.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qiosk.errors import InvalidValue, WrongType
from qiosk.model.constraints.one_hot import checked_id, places_of, written_ids
from qiosk.model.cost_function import F64, I64

HARD_CONSTRAINTS = "hard_constraints"
"""The member of the metadata."""
_MEMBERS = {"name", "terms", "coefficients", "sense", "bound", "unit", "stated"}
_COMPARE = {"==": operator.ne, "<=": operator.gt, ">=": operator.lt}  # whether it is violated
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class HardConstraint:
    """One constraint: ``terms`` are pairs of a coefficient and the ids of the variables that it multiplies."""

    name: str
    terms: Sequence[tuple[int, Sequence[int]]]
    sense: str
    bound: int
    unit: float = 1.0
    stated: float | None = None

    def amount(self, value: float) -> float:
        """By how much the terms, which add up to ``value``, miss the bound that was stated, in its unit."""
        stated = self.bound * self.unit if self.stated is None else self.stated
        return abs(value * self.unit - stated)

    def to_metadata(self) -> dict[str, Any]:
        """The entry of the metadata."""
        coefficients = [c for c, _ in self.terms]
        terms = [written_ids(list(ids)) for _, ids in self.terms]
        is_linear = all(len(ids) == 1 for ids in terms)
        found: dict[str, Any] = {
            "name": self.name,
            "terms": [ids[0] for ids in terms] if is_linear else terms,
            "sense": self.sense,
            "bound": self.bound,
        }
        if any(c != 1 for c in coefficients):
            found["coefficients"] = coefficients
        if self.unit != 1:
            found["unit"] = self.unit
        return found if self.stated is None else found | {"stated": self.stated}


@dataclass(frozen=True, slots=True)
class Violation:
    """A constraint that does not hold, and by how much, in its own unit."""

    name: str
    amount: float


@dataclass(frozen=True, slots=True, eq=False)
class HardConstraints:
    """R constraints with T terms in all, of M variables in all, in columns."""

    constraints: Sequence[HardConstraint]
    places: I64  # (M,) of the members of terms among the variables
    owners: I64  # (M,) term of each member
    rows: I64  # (T,) constraint of each term
    coefficients: F64  # (T,)

    @classmethod
    def of(cls, constraints: Sequence[HardConstraint], variables: I64) -> HardConstraints:
        """Over ``variables`` (n,), ascending. Raises InvalidValue for an id that does not occur."""
        terms = [(row, c, ids) for row, some in enumerate(constraints) for c, ids in some.terms]
        ids = np.array([i for _, _, some in terms for i in some], np.int64)
        return cls(
            constraints,
            places_of(ids, variables, "hard constraints"),
            np.repeat(np.arange(len(terms)), [len(some) for _, _, some in terms]),
            np.array([row for row, _, _ in terms], np.int64),
            np.array([c for _, c, _ in terms], np.float64),
        )

    def violated(self, values: Any) -> list[Violation]:
        """Those that a configuration (n,) violates, of bits or spins, in their order."""
        is_unset = np.asarray(values) <= 0
        n_terms = len(self.rows)
        holds = np.bincount(self.owners[is_unset[self.places]], minlength=n_terms) == 0
        sums = np.bincount(self.rows[holds], self.coefficients[holds], len(self.constraints))
        return [
            Violation(constraint.name, constraint.amount(left))
            for constraint, left in zip(self.constraints, sums.tolist(), strict=True)
            if _COMPARE[constraint.sense](left, constraint.bound)
        ]

    def numbered(self) -> list[HardConstraint]:
        """The same of variables that are called by their numbers."""
        places, found = iter(self.places.tolist()), []
        for constraint in self.constraints:
            terms = [(c, [next(places) for _ in ids]) for c, ids in constraint.terms]
            found.append(replace(constraint, terms=terms))
        return found

    def restricted(self, fixed: Mapping[int, bool], left: I64) -> list[HardConstraint]:
        """What they say of other variables when some are fixed: set, or not set.

        A variable that is neither fixed nor ``left`` has no influence on costs, and counts as not set.
        """
        known = set(left.tolist())
        found = []
        for constraint in self.constraints:
            terms: dict[tuple[int, ...], int] = {}
            for c, ids in constraint.terms:
                if all(fixed.get(i, i in known) for i in ids):
                    free = tuple(i for i in ids if i not in fixed)
                    terms[free] = terms.get(free, 0) + c
            fixed_part = terms.pop((), 0)
            stated = constraint.stated
            found.append(
                replace(
                    constraint,
                    terms=[(c, ids) for ids, c in terms.items()],
                    bound=constraint.bound - fixed_part,
                    stated=None if stated is None else stated - fixed_part * constraint.unit,
                )
            )
        return found


def to_metadata(constraints: Iterable[HardConstraint]) -> dict[str, Any]:
    """The member of the metadata, by its name; nothing if there are no constraints."""
    found = [constraint.to_metadata() for constraint in constraints]
    return {HARD_CONSTRAINTS: found} if found else {}


def read_hard_constraints(metadata: Mapping[str, Any], variables: I64) -> HardConstraints | None:
    """The constraints in a problem's metadata over its ``variables`` (n,), ascending; None if there are none.

    Raises WrongType or InvalidValue, naming the entry, for metadata that are no constraints.
    """
    found = metadata.get(HARD_CONSTRAINTS)
    if found is None:
        return None
    where = f"metadata `{HARD_CONSTRAINTS}`"
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        raise WrongType(f"{where}: must be a list of objects, found {type(found).__name__}")
    constraints = [_constraint(f"{HARD_CONSTRAINTS}[{k}]", entry) for k, entry in enumerate(found)]
    return HardConstraints.of(constraints, variables) if constraints else None


def _constraint(where: str, entry: Any) -> HardConstraint:
    if not isinstance(entry, Mapping):
        raise WrongType(f"{where}: must be an object, found {type(entry).__name__}")
    if unknown := sorted(set(entry) - _MEMBERS):
        raise InvalidValue(f"{where}: has no member `{unknown[0]}`, only {', '.join(sorted(_MEMBERS))}")
    for name in ("name", "terms", "sense", "bound"):
        if name not in entry:
            raise InvalidValue(f"{where}: `{name}` is missing")
    if not isinstance(entry["name"], str):
        raise WrongType(f"{where}: `name` must be a string, found {entry['name']!r}")
    if entry["sense"] not in _COMPARE:
        raise InvalidValue(f"{where}: `sense` must be one of {', '.join(_COMPARE)}, found {entry['sense']!r}")
    terms = [_ids(f"{where}.terms", some) for some in _list(where, entry, "terms")]
    given = _list(where, entry, "coefficients") if "coefficients" in entry else [1] * len(terms)
    coefficients = [_whole(f"{where}.coefficients", c) for c in given]
    if len(coefficients) != len(terms):
        raise InvalidValue(f"{where}: {len(terms)} terms need as many coefficients, found {len(coefficients)}")
    bound, unit = _whole(f"{where}.bound", entry["bound"]), entry.get("unit", 1.0)
    if not isinstance(unit, int | float) or not 0 < unit < np.inf:
        raise InvalidValue(f"{where}: `unit` must be a number greater than 0, found {unit!r}")
    stated = entry.get("stated")
    if stated is not None and (not isinstance(stated, int | float) or not np.isfinite(stated)):
        raise InvalidValue(f"{where}: `stated` must be a finite number, found {stated!r}")
    if (total := abs(bound) + sum(map(abs, coefficients))) >= _EXACT:
        raise InvalidValue(f"{where}: its numbers must add up to less than 2**53, found {total}")
    pairs = list(zip(coefficients, terms, strict=True))
    return HardConstraint(entry["name"], pairs, entry["sense"], bound, float(unit), stated)


def _list(where: str, entry: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = entry[name]
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        raise WrongType(f"{where}: `{name}` must be a list, found {found!r}")
    return found


def _ids(where: str, some: Any) -> list[int]:
    return [checked_id(where, i) for i in some] if isinstance(some, list | tuple) else [checked_id(where, some)]


def _whole(where: str, value: Any) -> int:
    is_whole = value.is_integer() if isinstance(value, float) else isinstance(value, int)
    if not is_whole or isinstance(value, bool):  # numbers of protobuf metadata are floats
        raise WrongType(f"{where}: must be an integer, found {value!r}")
    return int(value)

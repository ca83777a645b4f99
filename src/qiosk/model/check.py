"""What a cost function must satisfy before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from qiosk.errors import InvalidInitialConfiguration, InvalidValue, RepeatedVariable
from qiosk.model.constraints.hard_constraints import read_hard_constraints
from qiosk.model.constraints.one_hot import read_one_hot
from qiosk.model.constraints.slack import read_slack
from qiosk.model.cost_function import CONSTANT, F64, I8, I64, CostFunction, rows_of

T = TypeVar("T")

MANY_TERMS = 1 << 14
"""Terms from which a compiled pass is worth loading Numba."""


def by_id(values: Mapping[Any, T]) -> dict[int, T]:
    """Values by variable id, from values keyed by ids (int or str). Raises InvalidValue for an id that is given twice,
    such as 1 and "1".
    """
    found: dict[int, T] = {}
    for key, value in values.items():
        variable = int(key)
        if variable in found:
            raise InvalidValue(f"configuration: variable {variable} is given twice, as int and as str")
        found[variable] = value
    return found


def check(cost_function: CostFunction) -> None:
    """Raise an error that names the first invalid term of a cost function; do nothing if all are valid.

    Raises InvalidValue for a coefficient that is not finite or a negative id, RepeatedVariable for a variable
    that occurs twice in one Ising term or in one squared linear combination, and InvalidInitialConfiguration.
    """
    check_finite(cost_function)
    for block in cost_function.blocks():
        _check_ids("term", block.indptr, block.ids, block.start)
    if cost_function.problem_type.is_ising:
        for block in cost_function.blocks():
            repeat = _first_repeat(block.indptr, block.ids)
            if repeat is not None:
                term = block.start + repeat[0]
                raise RepeatedVariable(f"term {term}: variable {repeat[1]} occurs twice in an Ising term")
    _check_groups(cost_function)
    if cost_function.initial_configuration is not None:
        check_initial_configuration(cost_function)
    if (one_hot := read_one_hot(cost_function.metadata)) is not None:
        one_hot.numbered(cost_function.variables)
    read_hard_constraints(cost_function.metadata, cost_function.variables)
    for row in read_slack(cost_function.metadata):
        row.numbered(cost_function.variables)


def check_finite(cost_function: CostFunction) -> None:
    """Raise InvalidValue if a coefficient is not finite, as is needed to write or evaluate a cost function."""
    groups = cost_function.groups
    for block in cost_function.blocks():
        _check_coefficients("term", block.coefficients, block.start)
    _check_coefficients("group", groups.coefficients)
    if not np.isfinite(groups.weights).all():
        m = int(np.argmin(np.isfinite(groups.weights)))
        g = _owner(groups.indptr, m)
        raise InvalidValue(f"group {g}: coefficient {groups.weights[m]} of a member is not finite")


def _check_coefficients(what: str, coefficients: F64, start: int = 0) -> None:
    if not np.isfinite(coefficients).all():
        t = int(np.argmin(np.isfinite(coefficients)))
        raise InvalidValue(f"{what} {start + t}: coefficient {coefficients[t]} is not finite")


def _check_ids(what: str, indptr: I64, ids: I64, start: int = 0) -> None:
    if len(ids) and ids.min() < 0:
        k = int(np.argmax(ids < 0))
        raise InvalidValue(f"{what} {start + _owner(indptr, k)}: variable id {ids[k]} is negative")


def _check_groups(cost_function: CostFunction) -> None:
    groups = cost_function.groups
    if len(groups) == 0:
        return
    is_variable = groups.ids != CONSTANT
    _check_ids("group", groups.indptr, np.where(is_variable, groups.ids, 0))
    before = np.concatenate([[0], np.cumsum(is_variable)])
    repeat = _first_repeat(before[groups.indptr], groups.ids[is_variable])
    if repeat is not None:
        raise RepeatedVariable(f"group {repeat[0]}: variable {repeat[1]} occurs twice")


def _owner(indptr: I64, k: int) -> int:
    """Which row the k-th entry belongs to."""
    return int(np.searchsorted(indptr, k, side="right")) - 1


def _first_repeat(indptr: I64, ids: I64) -> tuple[int, int] | None:
    """First row in which an id occurs twice, and that id; None if there is none."""
    if len(indptr) > MANY_TERMS:
        from qiosk.kernels.loading import load_compiler  # here: small problems need no Numba

        load_compiler()
        from qiosk.kernels.terms import first_repeat

        where = np.empty(2, np.int64)
        first_repeat()(indptr, ids, np.empty(int(np.diff(indptr).max(initial=0)), np.int64), where)
        return None if where[0] < 0 else (int(where[0]), int(where[1]))
    degrees = np.diff(indptr)
    found: tuple[int, int] | None = None
    for degree in np.unique(degrees[degrees > 1]).tolist():
        where = np.flatnonzero(degrees == degree)
        rows = rows_of(ids, indptr, where, degree)
        if degree > 2:
            rows = np.sort(rows, axis=1)
        repeats = rows[:, 1:] == rows[:, :-1]
        if repeats.any():
            row = int(np.argmax(repeats.any(axis=1)))
            if found is None or where[row] < found[0]:
                found = int(where[row]), int(rows[row, np.argmax(repeats[row])])
    return found


def check_initial_configuration(cost_function: CostFunction) -> None:
    """Raise InvalidInitialConfiguration unless every variable, and nothing else, has a value of the domain."""
    given = cost_function.initial_configuration or {}
    known = set(cost_function.variables.tolist())
    low, high = (-1, 1) if cost_function.problem_type.is_ising else (0, 1)
    for variable, value in given.items():
        if variable not in known:
            raise InvalidInitialConfiguration(f"initial configuration: variable {variable} is not in the problem")
        if value not in (low, high):
            raise InvalidInitialConfiguration(
                f"initial configuration: variable {variable} must be {low} or {high}, found {value}"
            )
    if len(given) < len(known):
        missing = min(known - given.keys())
        raise InvalidInitialConfiguration(f"initial configuration: variable {missing} has no value")


def initial_values(cost_function: CostFunction) -> I8 | None:
    """The initial configuration in the order of the variables, checked. Raises InvalidInitialConfiguration."""
    given = cost_function.initial_configuration
    if given is None:
        return None
    check_initial_configuration(cost_function)
    return np.array([given[v] for v in cost_function.variables.tolist()], np.int8)

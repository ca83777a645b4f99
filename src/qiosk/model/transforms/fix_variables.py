"""Cost functions with some of their variables at fixed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qiosk.model.constraints.hard_constraints import HARD_CONSTRAINTS, read_hard_constraints, to_metadata
from qiosk.model.constraints.one_hot import ONE_HOT, read_one_hot
from qiosk.model.constraints.slack import SLACK, read_slack
from qiosk.model.cost_function import CONSTANT, F64, I64, CostFunction, Groups


def fix_variables(cost_function: CostFunction, fixed: Mapping[int, float]) -> CostFunction:
    """The cost function of the other variables, with the ``fixed`` ones at their values.

    Terms keep their order and are not merged; those that become 0 are left out. All constants are added up
    to one term at the end. A group's constant comes first among its members; a group without variables becomes
    constant. Fixed variables leave the initial configuration, one-hot groups and hard constraints. Ids that do
    not occur are ignored.
    """
    variables = cost_function.variables
    values = np.full(len(variables), np.nan)
    for variable, value in fixed.items():
        at = int(np.searchsorted(variables, variable))
        if at < len(variables) and variables[at] == variable:
            values[at] = value
    coefficients, indptr, ids, constant = _fix_terms(cost_function, values)
    groups, more = _fix_groups(cost_function, values)
    constant += more
    if constant != 0:
        coefficients = np.append(coefficients, constant)
        indptr = np.append(indptr, indptr[-1])
    initial = cost_function.initial_configuration
    if initial is not None:
        initial = {i: v for i, v in initial.items() if i not in fixed}
    reduced = replace(
        cost_function,
        coefficients=coefficients,
        indptr=indptr,
        ids=ids,
        groups=groups,
        initial_configuration=initial,
    )
    return replace(reduced, metadata=_restricted(cost_function, fixed, reduced.variables))


def _restricted(cost_function: CostFunction, fixed: Mapping[int, float], left: I64) -> dict[str, Any]:
    """The metadata, with what groups, constraints and rows with slack say of the variables that are ``left``."""
    metadata = dict(cost_function.metadata)
    is_set = {i: value > 0 for i, value in fixed.items()}
    if (one_hot := read_one_hot(metadata)) is not None:
        set_ids, unset_ids = [i for i in is_set if is_set[i]], [i for i in is_set if not is_set[i]]
        kept = one_hot.restricted(set_ids, unset_ids, left).to_metadata()
        del metadata[ONE_HOT]
        metadata |= {ONE_HOT: kept} if kept else {}
    if (constraints := read_hard_constraints(metadata, cost_function.variables)) is not None:
        del metadata[HARD_CONSTRAINTS]
        metadata |= to_metadata(constraints.restricted(is_set, left))
    if rows := read_slack(metadata):
        bits = {i: float(is_set[i]) for i in is_set}
        restricted = (row.restricted(bits, left) for row in rows)
        metadata[SLACK] = [row.to_metadata() for row in restricted if row is not None]
    return metadata


def _fix_terms(cost_function: CostFunction, values: F64) -> tuple[F64, I64, I64, float]:
    """Coefficients, indptr and ids of what is not constant, and the constant."""
    n_terms = len(cost_function.coefficients)
    owners = np.repeat(np.arange(n_terms), np.diff(cost_function.indptr))
    of_ids = values[cost_function.positions]
    is_fixed = ~np.isnan(of_ids)
    coefficients = cost_function.coefficients.copy()
    np.multiply.at(coefficients, owners[is_fixed], of_ids[is_fixed])
    degrees = np.bincount(owners[~is_fixed], minlength=n_terms)
    is_kept = (degrees > 0) & (coefficients != 0)
    ids = cost_function.ids[~is_fixed & is_kept[owners]]
    constant = float(coefficients[degrees == 0].sum())
    return coefficients[is_kept], _indptr(degrees[is_kept]), ids, constant


def _fix_groups(cost_function: CostFunction, values: F64) -> tuple[Groups, float]:
    """What is left of the groups, and the constant."""
    groups = cost_function.groups
    owners = np.repeat(np.arange(len(groups)), np.diff(groups.indptr))
    at = cost_function.group_positions
    of_members = np.where(groups.ids == CONSTANT, 1.0, np.append(values, np.nan)[at])
    is_fixed = ~np.isnan(of_members)
    offsets = np.bincount(owners[is_fixed], weights=(groups.weights * of_members)[is_fixed], minlength=len(groups))
    sizes = np.bincount(owners[~is_fixed], minlength=len(groups))
    is_kept = (sizes > 0) & (groups.coefficients != 0)
    is_member = ~is_fixed & is_kept[owners]
    with_offset = np.flatnonzero(is_kept & (offsets != 0))
    owner = np.concatenate([with_offset, owners[is_member]])
    order = np.argsort(owner, kind="stable")
    constant = float((groups.coefficients * offsets**2)[sizes == 0].sum())
    kept = Groups(
        coefficients=groups.coefficients[is_kept],
        indptr=_indptr(np.bincount(owner, minlength=len(groups))[is_kept]),
        weights=np.concatenate([offsets[with_offset], groups.weights[is_member]])[order],
        ids=np.concatenate([np.full(len(with_offset), CONSTANT), groups.ids[is_member]])[order],
    )
    return kept, constant


def _indptr(sizes: I64) -> I64:
    indptr = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=indptr[1:])
    return indptr

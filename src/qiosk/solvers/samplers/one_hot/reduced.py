"""The costs of a problem by place instead of by variable, on configurations that keep its one-hot groups.

On these a product of two variables of one choice, or of one column of an assignment, is always 0: such terms, and with
them the penalties, are left out. What is left has the range of the objective, so integers that penalties would push out
of float32 fit, and temperatures are chosen for the objective.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.model.cost_function import F64, I64
from qiosk.solvers.samplers.one_hot.core import Core
from qiosk.solvers.samplers.one_hot.structure import FORBIDDEN, Structure


@dataclass(frozen=True, eq=False)
class Reduced:
    """Costs by place: constant + sum of base over taken places + pairs + terms + squares. W places."""

    constant: float
    base: F64  # (W,)
    pairs: tuple[NDArray[np.int32], NDArray[np.int32], F64]  # (P,) rows < columns, sorted; values
    terms: tuple[I64, NDArray[np.int32], F64]  # indptr (T + 1,), places (K,), values (T,)
    squares: tuple[I64, NDArray[np.int32], F64, F64, F64, F64]
    """indptr (G + 1,), places and weights (M,), values, offsets and widths (G,)"""


def reduced_costs(core: Core, structure: Structure) -> Reduced:
    """The costs of a core by the places of its groups."""
    p = core.problem
    choice, column = structure.owners()
    place = np.full(p.n, -1, np.int64)
    held = np.flatnonzero(structure.variables >= 0)
    place[structure.variables[held]] = held
    constant, base = p.constant, np.zeros(len(structure.variables))
    base[held] = p.linear[structure.variables[held]]

    ends = np.sort(np.stack([place[p.pair_rows], place[p.pair_cols]], axis=1), axis=1)
    kept = ends[:, 0] >= 0
    kept &= choice[ends[:, 0]] != choice[ends[:, 1]]
    kept &= (column[ends[:, 0]] != column[ends[:, 1]]) | (column[ends[:, 0]] < 0)
    kept &= p.pair_values != 0
    ends, values = ends[kept], p.pair_values[kept]
    keys = ends[:, 0] * len(structure.variables) + ends[:, 1]
    if not np.all(keys[1:] > keys[:-1]):
        order = np.argsort(keys, kind="stable")
        ends, values = ends[order], values[order]
    pairs = ends[:, 0].astype(np.int32), ends[:, 1].astype(np.int32), values

    terms = list[tuple[I64, float]]()
    for t, value in enumerate(p.term_values.tolist()):
        at = place[p.term_variables[p.term_indptr[t] : p.term_indptr[t + 1]]]
        columns = column[at][column[at] >= 0]
        if at.min() >= 0 and len(set(choice[at])) == len(at) and len(set(columns)) == len(columns):
            terms.append((at, value))

    squares: dict[str, list[Any]] = defaultdict(list)
    for g, value in enumerate(p.group_values.tolist()):
        members = slice(p.group_indptr[g], p.group_indptr[g + 1])
        at, weights = place[p.group_variables[members]], p.group_weights[members]
        offset, width = float(p.group_offsets[g]), float(core.widths[g])
        at, weights = at[at >= 0], weights[at >= 0]
        is_column = len(at) and column[at[0]] >= 0 and len(set(column[at])) == 1
        if is_column or len(set(choice[at])) <= 1:  # at most one of them is taken
            here, there = _beyond(np.array([offset]), width), _beyond(offset + weights, width)
            base[at] += value * (there - here) * (there + here)
            constant += value * float(here[0]) ** 2
        else:
            squares["places"].append(at)
            squares["weights"].append(weights)
            squares["values"].append(value)
            squares["offsets"].append(offset)
            squares["widths"].append(width)

    base[structure.variables == FORBIDDEN] = np.inf
    least = np.minimum.reduceat(base, structure.starts[:-1]) if len(base) else base
    base -= least[choice]
    base[structure.variables == FORBIDDEN] = 0.0
    constant += float(least.sum())
    return Reduced(
        constant,
        base,
        pairs,
        (_indptr([at for at, _ in terms]), _flat([at for at, _ in terms]), np.array([v for _, v in terms])),
        (
            _indptr(squares["places"]),
            _flat(squares["places"]),
            np.concatenate([np.empty(0), *squares["weights"]]),
            np.array(squares["values"], np.float64),
            np.array(squares["offsets"], np.float64),
            np.array(squares["widths"], np.float64),
        ),
    )


def _beyond(sums: F64, width: float) -> F64:
    """How far sums are from the range 0 .. width; negative below it."""
    return np.minimum(sums, 0.0) + np.maximum(sums - width, 0.0)


def _indptr(parts: list[I64]) -> I64:
    return np.cumsum([0, *map(len, parts)], dtype=np.int64)


def _flat(parts: list[I64]) -> NDArray[np.int32]:
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int32)

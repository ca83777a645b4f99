"""The linear program of all inequalities of odd cycles that were needed so far, with HiGHS.

z_e is 1 where coupling e is not at its least. On every cycle the number of such couplings has the parity of the number
of positive ones. So if F is a set of edges of a cycle C, and of the other parity,

    sum_{e in C, not in F} z_e + sum_{e in F} (1 - z_e)  >=  1.

HiGHS is not trusted: with any multipliers v >= 0 of the rows, and whatever a node fixes,

    sum_e |w_e| z_e  >=  sum_C v_C (1 - |F_C|) + sum_e min over z_e of (|w_e| - sum_C v_C a_Ce) z_e,

in integers, v being rounded to multiples of 2**-shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.covering import highs_core, new_program
from qiosk.bounds.graph import SpinGraph
from qiosk.model.cost_function import F64, I8, I64

MOST_SHIFT = 20
BITS = 60
ITERATIONS = 200
"""Of the simplex method before the caller is asked whether to go on: some 20 to 100 ms."""
MOST_RUNS = 2000
ROWS_KEPT = 3
"""Rows for every edge beyond which those that bind nothing are dropped."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """An inequality: its edges, +1, or -1 for those in F, and 1 - |F|."""

    edges: I64
    signs: I8
    least: int


@dataclass(slots=True, eq=False)
class Program:
    """Rows of all nodes; they are valid everywhere, and a node only fixes some z."""

    graph: SpinGraph
    rows: list[Row] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    highs: Any = None
    unit: float = 1.0
    shift: int = 0

    def __post_init__(self) -> None:
        sizes = np.abs(self.graph.weights)
        self.unit = float(sizes.mean())
        self.shift = max(0, min(MOST_SHIFT, BITS - self.graph.size.bit_length()))
        self.highs = new_program(sizes / self.unit, ITERATIONS)

    def fix(self, is_fixed: Mask, is_one: Mask) -> None:
        """Set the z that a node decides, and free all others."""
        count = len(is_fixed)
        lower, upper = is_one.astype(np.float64), np.where(is_fixed, is_one, 1.0).astype(np.float64)
        self.highs.changeColsBounds(count, np.arange(count, dtype=np.int32), lower, upper)

    def add(self, indptr: I64, members: I64, is_one: Mask) -> int:
        """Add the rows of some cycles, F being those with ``is_one``; returns how many were new."""
        fresh = list[Row]()
        for first, last in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
            edges = np.sort(members[first:last])
            flips = is_one[edges]
            key = edges.tobytes() + flips.tobytes()
            if key not in self.seen:
                self.seen.add(key)
                fresh.append(Row(edges, (1 - 2 * flips).astype(np.int8), 1 - int(flips.sum())))
        if fresh:
            starts = np.concatenate([[0], np.cumsum([len(row.edges) for row in fresh])])
            self.highs.addRows(
                len(fresh),
                np.array([row.least for row in fresh], np.float64),
                np.full(len(fresh), highs_core().kHighsInf),
                int(starts[-1]),
                starts[:-1].astype(np.int32),
                np.concatenate([row.edges for row in fresh]).astype(np.int32),
                np.concatenate([row.signs for row in fresh]).astype(np.float64),
            )
            self.rows += fresh
        return len(fresh)

    def solve(self) -> Iterator[None]:
        """Until it is solved, or HiGHS gives up."""
        limit = highs_core().HighsModelStatus.kIterationLimit
        for _ in range(MOST_RUNS):
            self.highs.run()
            if self.highs.getModelStatus() != limit:
                return
            yield

    def drop_slack(self) -> None:
        """Drop rows that bind nothing, if there are many."""
        if len(self.rows) <= ROWS_KEPT * len(self.graph.weights) + 1000:
            return
        basic = highs_core().HighsBasisStatus.kBasic
        gone = [k for k, status in enumerate(self.highs.getBasis().row_status) if status == basic]
        self.highs.deleteRows(len(gone), np.array(gone, np.int32))
        dropped = set(gone)
        for k in gone:
            self.seen.discard(self.rows[k].edges.tobytes() + (self.rows[k].signs < 0).tobytes())
        self.rows = [row for k, row in enumerate(self.rows) if k not in dropped]

    @property
    def z(self) -> F64:
        """(E,) the solution."""
        z: F64 = np.array(self.highs.getSolution().col_value, np.float64)
        return np.clip(z, 0.0, 1.0)

    def proved(self, is_fixed: Mask, is_one: Mask) -> tuple[Fraction, I64]:
        """The level below which a node has no configuration, and (E,) reduced costs [2**-shift]."""
        scale = float(1 << self.shift)
        reduced = np.abs(self.graph.weights) << self.shift
        most = int(reduced.max(initial=0))
        duals = np.array(self.highs.getSolution().row_dual, np.float64)
        if len(duals) != len(self.rows) or not np.isfinite(duals).all():
            duals = np.zeros(len(self.rows))
        rounded = np.clip(np.rint(duals * self.unit * scale), 0.0, float(most))
        values = (rounded if rounded.sum() < 2.0**BITS else np.zeros(len(rounded))).astype(np.int64)
        constant = 0
        kept = np.flatnonzero(values)
        if len(kept):
            rows = [self.rows[k] for k in kept]
            sizes = [len(row.edges) for row in rows]
            signed = np.repeat(values[kept], sizes) * np.concatenate([row.signs for row in rows])
            np.subtract.at(reduced, np.concatenate([row.edges for row in rows]), signed)
            constant = sum(v * row.least for v, row in zip(values[kept].tolist(), rows, strict=True))
        least = np.where(is_fixed, np.where(is_one, reduced, 0), np.minimum(reduced, 0))
        total = constant + sum(least[least != 0].tolist())
        return self.graph.least + Fraction(2 * total, 1 << self.shift), reduced

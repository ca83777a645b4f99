"""The best packing of frustrated cycles, by linear programming with HiGHS.

The dual of a packing: weights z_e >= 0 of least sum |w_e| z_e such that every frustrated cycle has a sum of at least 1.
Cycles come from :mod:`qiosk.bounds.packing`, then those that the present z violates are added. HiGHS is not trusted:
the duals of the cycles are scaled and rounded to a packing in integers, which is what counts. The dual simplex method
keeps them feasible, so they are a packing even where it is stopped.

Needs highspy. Reference: F. Barahona, A. R. Mahjoub, Math. Program. 36, 157 (1986), doi:10.1007/BF02592023.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.bounds.bound import Proof
from qiosk.bounds.graph import SpinGraph
from qiosk.bounds.packing import GROWTHS, MOST_NODES, WORK, Packing, cover, empty_cycles, packed_cycles, proved
from qiosk.model.cost_function import F64, I64

if TYPE_CHECKING:
    from qiosk.kernels.bounds.frustrated import Cover

METHOD = "cycles-lp"
MOST_EDGES = 100_000
"""Edges of a graph of which the program is solved."""
ITERATIONS = 200
"""Of the simplex method before the caller is asked whether to go on: some 20 to 100 ms."""
LONGEST = 1.0 - 1e-3
"""Sum of z on a cycle below which it is added."""
GROWTH = 2.0
"""How much longer the edges of a cycle that was found become, so that those of a round differ."""
EXTRA_LENGTH = 1e-2
"""Added to every z: cycles of few edges come first."""
ROOM = 20
"""Edges of new cycles in a round, for every edge of the graph."""
PACKED = 12
"""Edges of the cycles that it begins with, for every edge of the graph, about."""


def is_installed() -> bool:
    """Whether HiGHS is."""
    return find_spec("highspy") is not None


def covering(graph: SpinGraph, seed: int) -> Iterator[Proof | None]:
    """Yields None between parts of the work, and each proof that is better than the one before."""
    packed, best = None, None
    for found in packed_cycles(graph, seed, GROWTHS[0]):
        if found is None:
            yield None
            continue
        packed, proof = found, (yield from proved(graph, found, is_first=best is None))
        if best is None or proof.level > best.level:
            best = proof
            yield proof
        if len(packed.members) > PACKED * len(graph.weights):
            break
    if packed is None or best is None:
        return
    program = _Program(graph)
    program.add(packed.indptr, packed.members)
    space, rng = cover(graph), np.random.default_rng((seed % 2**64, 0xB1))
    while True:
        calls, is_solved = 0, False
        while not is_solved:
            is_solved, calls = program.solve(), calls + 1
            if is_solved or (calls > 2 and calls & (calls - 1) == 0):
                proof = yield from proved(graph, program.packing())
                if proof.level > best.level:
                    best = proof
                    yield replace(proof, method=METHOD)
            yield None
        found_more = yield from _separated(program, space, rng)
        if not found_more:
            return


def _separated(program: _Program, space: Cover, rng: np.random.Generator) -> Generator[None, None, bool]:
    """Adds cycles that are too short; returns whether there were any."""
    from qiosk.kernels.bounds.frustrated import COUNT, PLACE, pack_cycles

    m = len(program.graph.weights)
    lengths = program.lengths + EXTRA_LENGTH * (1.0 + rng.random(m))
    cycles = empty_cycles(ROOM * m + 1000)
    values, loads, ones = np.empty(len(cycles.indptr)), np.zeros(m), np.ones(m)
    roots = rng.permutation(program.graph.vertices)
    cycles.counters[PLACE] = 0
    while not pack_cycles()(space, lengths, ones, loads, cycles, values, roots, LONGEST, GROWTH, MOST_NODES, WORK):
        yield
    count = int(cycles.counters[COUNT])
    return program.add(cycles.indptr[: count + 1], cycles.members) > 0


def highs_core() -> Any:
    """The compiled part: the module around it prints a line to standard output."""
    return import_module("highspy._core")


def new_program(costs: F64, iterations: int) -> Any:
    """A linear program of variables from 0 to 1 with these costs (n,), for the dual simplex method."""
    highspy = highs_core()
    highs = highspy._Highs()
    for name, value in {
        "output_flag": False,
        "log_to_console": False,
        "threads": 1,
        "solver": "simplex",
        "simplex_strategy": 1,  # dual
        "simplex_iteration_limit": iterations,
        "presolve": "off",
    }.items():
        highs.setOptionValue(name, value)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(costs), 0
    model.col_cost_ = costs
    model.col_lower_, model.col_upper_ = np.zeros(len(costs)), np.ones(len(costs))
    highs.passModel(model)
    return highs


@dataclass(slots=True, eq=False)
class _Program:
    """The linear program of the cycles so far."""

    graph: SpinGraph
    highs: Any = None
    rows: list[I64] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    unit: float = 1.0

    def __post_init__(self) -> None:
        sizes = np.abs(self.graph.weights).astype(np.float64)
        self.unit = float(sizes.mean())
        self.highs = new_program(sizes / self.unit, ITERATIONS)

    def add(self, indptr: I64, members: I64) -> int:
        """Add the cycles that are new; returns how many those are."""
        fresh = list[I64]()
        for first, last in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
            cycle = np.sort(members[first:last])
            key = cycle.tobytes()
            if key not in self.seen:
                self.seen.add(key)
                fresh.append(cycle)
        if fresh:
            count = len(fresh)
            starts = np.concatenate([[0], np.cumsum([len(cycle) for cycle in fresh])])
            where = np.concatenate(fresh).astype(np.int32)
            self.highs.addRows(
                count,
                np.ones(count),
                np.full(count, highs_core().kHighsInf),
                len(where),
                starts[:-1].astype(np.int32),
                where,
                np.ones(len(where)),
            )
            self.rows += fresh
        return len(fresh)

    def solve(self) -> bool:
        """Some more iterations; whether the program is solved."""
        self.highs.run()
        return bool(self.highs.getModelStatus() != highs_core().HighsModelStatus.kIterationLimit)

    @property
    def lengths(self) -> F64:
        """(E,) z."""
        z: F64 = np.array(self.highs.getSolution().col_value, np.float64)
        return np.maximum(z, 0.0)

    def packing(self) -> Packing:
        """The cycles with their duals."""
        duals = np.maximum(np.array(self.highs.getSolution().row_dual), 0.0) * self.unit
        kept = np.flatnonzero(duals)
        sizes = np.array([len(self.rows[k]) for k in kept], np.int64)
        return Packing(
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.concatenate([np.empty(0, np.int64), *(self.rows[k] for k in kept)]),
            duals[kept],
        )

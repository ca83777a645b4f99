"""qubovert: its annealers in C, of pairs and of terms of any locality, over spins."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from qubovert.sim._canneal import c_anneal_puso, c_anneal_quso
from qubovert.utils import pubo_to_puso

from benchmarks.contender import Contender, LongAnneals, Restarts, Search
from benchmarks.instance import Instance
from benchmarks.peers.quadratic import from_spins, spin_fields
from benchmarks.peers.terms import term_lists
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8

LIBRARY = "qubovert"
Temperatures = Callable[[int], F64]  # sweeps -> one temperature each [cost]
Terms = dict[tuple[int, ...], float]


def spin_terms(problem: CompiledProblem) -> Terms:
    """Terms over spins, the constant left out; bits are converted by the library where terms have three or more."""
    if problem.is_quadratic:
        fields, couplings = spin_fields(problem)
        pairs = zip(problem.pair_rows.tolist(), problem.pair_cols.tolist(), strict=True)
        found: Terms = {(i,): value for i, value in enumerate(fields.tolist()) if value}
        return found | dict(zip(pairs, couplings.tolist(), strict=True))
    keys, values = term_lists(problem)
    terms = dict(zip(map(tuple, keys), values, strict=True))
    return {key: float(value) for key, value in (terms if problem.is_spin else pubo_to_puso(terms)).items() if key}


@dataclass
class Annealing:
    """Anneals at given temperatures; variables in order, which is its faster way."""

    problem: CompiledProblem
    terms: Terms
    temperatures: Temperatures

    def __post_init__(self) -> None:
        self.arguments = self._pairs() if self.problem.is_quadratic else self._any()
        self.run = c_anneal_quso if self.problem.is_quadratic else c_anneal_puso

    def _pairs(self) -> tuple[object, ...]:
        n = self.problem.n
        fields = [self.terms.get((i,), 0.0) for i in range(n)]
        rows: list[list[tuple[int, float]]] = [[] for _ in range(n)]
        for key, value in self.terms.items():
            if len(key) == 2:
                rows[key[0]].append((key[1], value))
                rows[key[1]].append((key[0], value))
        flat = [entry for row in rows for entry in row]
        return fields, [len(row) for row in rows], [j for j, _ in flat], [value for _, value in flat]

    def _any(self) -> tuple[object, ...]:
        keys = list(self.terms)
        return self.problem.n, [len(key) for key in keys], [i for key in keys for i in key], list(self.terms.values())

    def anneal(self, sweeps: int, reads: int, seed: int) -> list[list[int]]:
        temperatures = self.temperatures(sweeps).tolist()
        states, _ = self.run(*self.arguments, temperatures, reads, 1, [], seed)
        found: list[list[int]] = states
        return found

    def configurations(self, raw: list[list[int]]) -> I8:
        spins = np.array(raw, np.int8)
        # The library's own conversion takes bit 0 for spin 1.
        return from_spins(self.problem, spins if self.problem.is_quadratic or self.problem.is_spin else -spins)


def annealing(instance: Instance, schedule: str) -> Annealing:
    """Linear or geometric in beta over the range in which the problem freezes."""
    spaced = np.linspace if schedule == "linear" else np.geomspace
    hot, cold = instance.betas.hot, instance.betas.cold
    return Annealing(instance.problem, spin_terms(instance.problem), lambda sweeps: 1.0 / spaced(hot, cold, sweeps))


def default_temperatures(terms: Terms) -> tuple[float, float]:
    """What ``qubovert.sim.anneal_temperature_range`` gives, in one pass over the terms instead of one per variable."""
    bounds: dict[int, float] = defaultdict(float)
    for key, value in terms.items():
        for i in key:
            bounds[i] += abs(value)
    return 2 * max(bounds.values()) / -math.log(0.5), 2 * min(map(abs, terms.values())) / -math.log(0.01)


def _can_run(instance: Instance) -> bool:
    return len(instance.problem.group_values) == 0


def _long(schedule: str) -> Contender:
    return Contender(LIBRARY, f"SA {schedule}", _can_run, lambda instance: LongAnneals(annealing(instance, schedule)))


def _default(instance: Instance) -> Search:
    terms = spin_terms(instance.problem)
    hot, cold = default_temperatures(terms)
    return Restarts(Annealing(instance.problem, terms, lambda sweeps: np.geomspace(hot, cold, sweeps)))


CONTENDERS = [_long("linear"), _long("geometric"), Contender(LIBRARY, "SA default", _can_run, _default)]

"""OpenJij: single spin flips, Swendsen-Wang, the quantum annealer, and anneals of any locality.

Its samplers build the graph and the schedule anew in every call; here its compiled core is called as they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from openjij import SASampler, cxxjij
from openjij.model.model import BinaryQuadraticModel
from openjij.sampler.sa_sampler import geometric_ising_beta_schedule

from benchmarks.contender import Contender, LongAnneals, Restarts, Search
from benchmarks.instance import Instance
from benchmarks.peers.quadratic import from_spins, is_quadratic, neighbours, spin_fields
from benchmarks.peers.terms import term_lists
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8

LIBRARY = "OpenJij"
DENSE = 0.25  # share of all pairs from which on the dense graph is as fast, and sooner built
CLUSTERS = 10.0  # neighbours of a variable above which Swendsen-Wang clusters span everything
SLICES = 8
UPDATES = "METROPOLIS", "HEAT_BATH"
Schedule = Callable[[int], list[Any]]  # sweeps -> the core's schedule


def graph(problem: CompiledProblem, *, sparse: bool) -> Any:
    """The core's Ising graph over spins 0..n-1."""
    fields, couplings = spin_fields(problem)
    pairs = zip(problem.pair_rows.tolist(), problem.pair_cols.tolist(), strict=True)
    interactions = dict(zip(pairs, couplings.tolist(), strict=True))
    model = BinaryQuadraticModel(dict(enumerate(fields.tolist())), interactions, 0.0, "SPIN", sparse=sparse)
    if list(model.variables) != list(range(problem.n)):
        raise SystemExit("OpenJij numbers the variables in another order")
    return model.get_cxxjij_ising_graph()[0]


def is_dense(problem: CompiledProblem) -> bool:
    return neighbours(problem) > DENSE * problem.n


def stepwise(betas: F64) -> list[Any]:
    """The core's schedule with one sweep at each beta."""
    steps = []
    for beta in betas.tolist():
        step = cxxjij.utility.ClassicalSchedule()
        step.one_mc_step, step.updater_parameter.beta = 1, beta
        steps.append(step)
    return steps


@dataclass
class SpinFlips:
    """Classical anneals of one system, from random spins."""

    problem: CompiledProblem
    graph: Any
    schedule: Schedule
    algorithm: Any = cxxjij.algorithm.Algorithm_SingleSpinFlip_run

    def __post_init__(self) -> None:
        self.system = cxxjij.system.make_classical_ising(self.graph.gen_spin(1), self.graph)

    def anneal(self, sweeps: int, reads: int, seed: int) -> list[list[int]]:
        schedule = self.schedule(sweeps)
        found = []
        for read in range(reads):
            self.system.reset_spins(self.graph.gen_spin(seed + read))
            self.algorithm(self.system, seed + read, schedule)
            found.append(cxxjij.result.get_solution(self.system))
        return found

    def configurations(self, raw: list[list[int]]) -> I8:
        return from_spins(self.problem, np.array(raw, np.int8))


@dataclass
class QuantumAnnealing:
    """Transverse-field anneals; every slice is a solution."""

    problem: CompiledProblem
    graph: Any
    beta: float
    field: float

    def __post_init__(self) -> None:
        self.system = cxxjij.system.make_transverse_ising(self._start(1), self.graph, self.field)

    def _start(self, seed: int) -> list[list[int]]:
        return [self.graph.gen_spin(seed + k) for k in range(SLICES)]

    def _schedule(self, sweeps: int) -> list[Any]:
        steps = []
        for s in np.linspace(0.0, 1.0, sweeps).tolist():
            step = cxxjij.utility.TransverseFieldSchedule()
            step.one_mc_step, step.updater_parameter.beta, step.updater_parameter.s = 1, self.beta, s
            steps.append(step)
        return steps

    def anneal(self, sweeps: int, reads: int, seed: int) -> list[F64]:
        schedule = self._schedule(sweeps)
        found = []
        for read in range(reads):
            self.system.reset_spins(self._start(seed + read * SLICES))
            cxxjij.algorithm.Algorithm_SingleSpinFlip_run(self.system, seed + read, schedule)
            found.append(np.array(self.system.trotter_spins)[:-1].T)
        return found

    def configurations(self, raw: list[F64]) -> I8:
        return from_spins(self.problem, np.concatenate(raw).astype(np.int8))


@dataclass
class AnyLocality:
    """The newer annealer of polynomials, over spins or bits."""

    problem: CompiledProblem
    betas: tuple[float, float]
    schedule: str = "LINEAR"
    update: str = "METROPOLIS"

    def __post_init__(self) -> None:
        keys, values = term_lists(self.problem)
        model = cxxjij.graph.IsingPolynomialModel if self.problem.is_spin else cxxjij.graph.BinaryPolynomialModel
        sampler = cxxjij.sampler.make_sa_sampler(model(key_list=keys, value_list=values))
        sampler.set_num_threads(num_threads=1)
        sampler.set_beta_min(beta_min=self.betas[0])
        sampler.set_beta_max(beta_max=self.betas[1])
        sampler.set_update_method(update_method=cxxjij.algorithm.UpdateMethod.__members__[self.update])
        schedules = cxxjij.utility.TemperatureSchedule.__members__
        sampler.set_temperature_schedule(temperature_schedule=schedules[self.schedule])
        self.sampler = sampler

    def anneal(self, sweeps: int, reads: int, seed: int) -> list[list[int]]:
        self.sampler.set_num_sweeps(num_sweeps=sweeps)
        self.sampler.set_num_reads(num_reads=reads)
        self.sampler.sample(seed=seed)
        found: list[list[int]] = self.sampler.get_samples()
        return found

    def configurations(self, raw: list[list[int]]) -> I8:
        found = np.zeros((len(raw), self.problem.n), np.int8)
        found += 1 if self.problem.is_spin else 0  # what a variable without terms is
        found[:, np.array(self.sampler.get_index_list(), np.int64)] = raw
        return found


@dataclass
class KLocal:
    """The k-local updates of bits: the gradient's lowest terms first."""

    problem: CompiledProblem
    betas: tuple[float, float]

    def __post_init__(self) -> None:
        keys, values = term_lists(self.problem)
        self.terms = {tuple(key): value for key, value in zip(keys, values, strict=True)}

    def anneal(self, sweeps: int, reads: int, seed: int) -> Any:
        hot, cold = self.betas
        options = {"updater": "k-local", "num_sweeps": sweeps, "num_reads": reads, "seed": seed}
        return SASampler().sample_hubo(self.terms, "BINARY", beta_min=hot, beta_max=cold, **options)

    def configurations(self, raw: Any) -> I8:
        found = np.zeros((len(raw.record.sample), self.problem.n), np.int8)
        found[:, np.array(list(raw.variables), np.int64)] = raw.record.sample
        return found


def spin_flips(instance: Instance, schedule: str) -> SpinFlips:
    """Linear or geometric over the range of betas in which the problem freezes."""
    spaced = np.linspace if schedule == "linear" else np.geomspace
    problem, betas = instance.problem, instance.betas
    system = graph(problem, sparse=not is_dense(problem))
    return SpinFlips(problem, system, lambda sweeps: stepwise(spaced(betas.hot, betas.cold, sweeps)))


def _long(schedule: str) -> Contender:
    return Contender(
        LIBRARY, f"SA {schedule}", is_quadratic, lambda instance: LongAnneals(spin_flips(instance, schedule))
    )


def _default(instance: Instance) -> Search:
    problem = instance.problem
    system = graph(problem, sparse=not is_dense(problem))
    return Restarts(SpinFlips(problem, system, _default_schedule(system)))


def _default_schedule(system: Any) -> Schedule:
    """The schedule that the library picks, which it does anew in every call; here once for a number of sweeps."""
    found: dict[int, list[Any]] = {}

    def schedule(sweeps: int) -> list[Any]:
        if sweeps not in found:
            found[sweeps] = geometric_ising_beta_schedule(system, num_sweeps=sweeps, seed=1)[0]
        return found[sweeps]

    return schedule


def _clusters(instance: Instance) -> Search:
    betas = instance.betas
    system = graph(instance.problem, sparse=True)
    run = cxxjij.algorithm.Algorithm_SwendsenWang_run
    schedule: Schedule = lambda sweeps: stepwise(np.geomspace(betas.hot, betas.cold, sweeps))  # noqa: E731
    return LongAnneals(SpinFlips(instance.problem, system, schedule, run))


def _quantum(instance: Instance) -> Search:
    problem = instance.problem
    fields, couplings = spin_fields(problem)
    # The local field of random spins: a transverse field that strong starts out quantum, and is gone at the end.
    scale = float(np.sqrt((np.square(couplings).sum() * 2 + np.square(fields).sum()) / problem.n))
    system = graph(problem, sparse=not is_dense(problem))
    return LongAnneals(QuantumAnnealing(problem, system, SLICES * instance.betas.cold / 2, scale))


def _any_locality(schedule: str, update: str) -> Contender:
    def prepare(instance: Instance) -> Search:
        betas = instance.betas.hot, instance.betas.cold
        return LongAnneals(AnyLocality(instance.problem, betas, schedule, update))

    return Contender(LIBRARY, f"HUBO {update.lower()} {schedule.lower()}", _is_higher, prepare)


def _k_local(instance: Instance) -> Search:
    return LongAnneals(KLocal(instance.problem, (instance.betas.hot, instance.betas.cold)), first=4)


def _is_higher(instance: Instance) -> bool:
    problem = instance.problem
    return problem.locality > 2 and len(problem.group_values) == 0


CONTENDERS = [
    _long("linear"),
    _long("geometric"),
    Contender(LIBRARY, "SA default", is_quadratic, _default),
    Contender(
        LIBRARY,
        "Swendsen-Wang",
        lambda instance: is_quadratic(instance) and neighbours(instance.problem) <= CLUSTERS,
        _clusters,
    ),
    Contender(LIBRARY, "SQA", is_quadratic, _quantum),
    *(
        _any_locality(schedule, update)
        for update in ("METROPOLIS", "HEAT_BATH")
        for schedule in ("LINEAR", "GEOMETRIC")
    ),
    Contender(LIBRARY, "HUBO k-local", lambda i: _is_higher(i) and not i.problem.is_spin, _k_local),
]

"""dwave-samplers: simulated annealing, tabu search and path-integral annealing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dimod
import numpy as np
from dwave.samplers import PathIntegralAnnealingSampler, SimulatedAnnealingSampler, SteepestDescentSampler
from dwave.samplers.sa.simulated_annealing import simulated_annealing as core

from benchmarks.contender import Contender, LongAnneals, Restarts, Search
from benchmarks.instance import Instance
from benchmarks.peers.models import binary_model, in_order
from benchmarks.peers.quadratic import from_spins, is_quadratic, spin_fields
from benchmarks.peers.tabu import Tabu
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8

LIBRARY = "dwave-samplers"
DENSEST = 10_000  # variables for which the tabu sampler's square matrix fits memory


@dataclass
class Annealing:
    """``sampler`` with ``options`` that stay the same."""

    sampler: dimod.Sampler
    model: dimod.BinaryQuadraticModel
    options: dict[str, Any]

    def anneal(self, sweeps: int, reads: int, seed: int) -> dimod.SampleSet:
        return self.sampler.sample(self.model, num_sweeps=sweeps, num_reads=reads, seed=seed, **self.options)

    def configurations(self, raw: dimod.SampleSet) -> I8:
        return in_order(raw)


@dataclass
class SpinFlips:
    """The compiled core of the annealer, which spares the sampler's conversions in every call."""

    problem: CompiledProblem
    betas: Callable[[int], F64]  # sweeps -> one beta each

    def __post_init__(self) -> None:
        fields, couplings = spin_fields(self.problem)
        self.model = fields, self.problem.pair_rows, self.problem.pair_cols, couplings

    def anneal(self, sweeps: int, reads: int, seed: int) -> I8:
        starts = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (reads, self.problem.n))
        spins: I8 = core(reads, *self.model, 1, self.betas(sweeps), seed, starts)[0]
        return spins

    def configurations(self, raw: I8) -> I8:
        return from_spins(self.problem, raw)


@dataclass
class Descents:
    """Steepest descents from random states: as many as there are sweeps."""

    model: dimod.BinaryQuadraticModel

    def anneal(self, sweeps: int, reads: int, seed: int) -> dimod.SampleSet:
        return SteepestDescentSampler().sample(self.model, num_reads=sweeps * reads, seed=seed)

    def configurations(self, raw: dimod.SampleSet) -> I8:
        return in_order(raw)


def simulated_annealing(instance: Instance, schedule: str) -> SpinFlips:
    """Over the range of betas in which the problem freezes; ``schedule`` is linear or geometric."""
    spaced = np.linspace if schedule == "linear" else np.geomspace
    hot, cold = instance.betas.hot, instance.betas.cold
    return SpinFlips(instance.problem, lambda sweeps: spaced(hot, cold, sweeps))


def _long(schedule: str) -> Contender:
    def prepare(instance: Instance) -> Search:
        return LongAnneals(simulated_annealing(instance, schedule))

    return Contender(LIBRARY, f"SA {schedule}", is_quadratic, prepare)


def _default(instance: Instance) -> Search:
    return Restarts(Annealing(SimulatedAnnealingSampler(), binary_model(instance.problem), {}))


def _path_integral(instance: Instance) -> Search:
    return LongAnneals(Annealing(PathIntegralAnnealingSampler(), binary_model(instance.problem), {}))


def _descent(instance: Instance) -> Search:
    return LongAnneals(Descents(binary_model(instance.problem)), first=1)


CONTENDERS = [
    _long("linear"),
    _long("geometric"),
    Contender(LIBRARY, "SA default", is_quadratic, _default),
    Contender(LIBRARY, "path integral", is_quadratic, _path_integral),
    Contender(LIBRARY, "tabu", lambda instance: is_quadratic(instance) and instance.problem.n <= DENSEST, Tabu),
    Contender(LIBRARY, "steepest descent", is_quadratic, _descent),
]

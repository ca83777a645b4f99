"""Anneals of other libraries at the schedule that the kernels run: one sweep at each of equally spaced betas."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.contender import Annealer
from benchmarks.contenders import PEERS, versions
from benchmarks.peers.quadratic import neighbours
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64

BETAS = 0.1, 3.0


def linear(sweeps: int) -> F64:
    """(sweeps,) betas [1/cost]."""
    return np.linspace(*BETAS, sweeps)


def peers(problem: CompiledProblem) -> dict[str, Annealer]:
    """Every installed library's fitting anneals, by library and setting."""
    found: dict[str, Annealer] = {}
    for library, build in (("dwave-samplers", _dwave), ("OpenJij", _open_jij), ("qubovert", _qubovert)):
        if versions(PEERS[library][1]) is None:
            print(f"  {library} is not installed and takes no part")
            continue
        found |= {f"{library} {setting}".strip(): annealer() for setting, annealer in build(problem)}
    return found


Builds = Iterator[tuple[str, Callable[[], Annealer]]]


def _dwave(problem: CompiledProblem) -> Builds:
    module = importlib.import_module("benchmarks.peers.dwave")
    if problem.is_quadratic:
        yield "", lambda: module.SpinFlips(problem, linear)


def _open_jij(problem: CompiledProblem) -> Builds:
    module = importlib.import_module("benchmarks.peers.open_jij")
    if not problem.is_quadratic:
        for update in module.UPDATES:
            yield f"HUBO {update.lower()}", lambda update=update: module.AnyLocality(problem, BETAS, "LINEAR", update)
        return
    for kind in ("sparse", "dense"):
        # A dense matrix of a sparse problem is no use, and lists of half a million neighbours take long to build.
        if (neighbours(problem) > problem.n / 20) == (kind == "dense"):
            graph = module.graph(problem, sparse=kind == "sparse")
            yield kind, lambda graph=graph: module.SpinFlips(problem, graph, lambda s: module.stepwise(linear(s)))


def _qubovert(problem: CompiledProblem) -> Builds:
    module = importlib.import_module("benchmarks.peers.qubo_vert")
    yield "", lambda: module.Annealing(problem, module.spin_terms(problem), lambda sweeps: 1.0 / linear(sweeps))

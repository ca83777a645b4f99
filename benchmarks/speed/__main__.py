"""``python -m benchmarks.speed [--seconds 0.3] [--rounds 5] [--only torus]``: interleaved medians.

One thread, ``time.thread_time``, beta from 0.1 to 3. Peers run the same schedule in turn with the kernels; the last
column says how many times as fast as the fastest peer a kernel is. Written to ``benchmarks/results/speed.md`` and
``.json``, with the speed-up by a second thread where the process may use two processors.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.contender import Annealer
from benchmarks.speed.peers import BETAS, peers
from benchmarks.speed.report import Timings, write
from benchmarks.speed.workloads import klocal, random_graph, regular, spin_glass, torus, torus_terms
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import ProblemType
from qiosk.solvers.samplers.planner import plan, warm_up
from qiosk.solvers.samplers.sampler import Sampler
from qiosk.solvers.solve import solve

MEDIUM = {"packed-int8": 256, "packed-int16": 64, "packed-float32": 64, "packed-float64": 64, "cached": 1}
SPARSE = {"bit-sliced": 512} | MEDIUM
DENSE = {"packed-float32": 64, "packed-float64": 64, "dense": 64, "cached": 1}
TERMS = {"klocal-int16": 64, "klocal-float32": 64, "klocal-float64": 64}
WHOLE = {"klocal-int8": 256} | TERMS
WORKLOADS: dict[str, tuple[Callable[[], CompiledProblem], dict[str, int]]] = {
    "torus 10k": (lambda: torus(100), SPARSE),
    "3-regular 100k": (lambda: regular(100_000, 3), SPARSE),
    "G(800, 6 %)": (lambda: random_graph(800, 0.06), MEDIUM | {"dense": 64}),
    "SK 1000": (lambda: spin_glass(1000, 1 / 1000), DENSE),
    "SK 1000, frozen": (lambda: spin_glass(1000, 1.0), DENSE),  # nothing moves: looking at a spin is all there is
    **{
        f"{k}-local {kind}, {coefficients}": (partial(klocal, domain, 1000, 4000, k, whole=kernels is WHOLE), kernels)
        for kind, domain in (("spins", ProblemType.ising), ("bits", ProblemType.pubo))
        for k in (3, 4)
        for coefficients, kernels in (("normal", TERMS), ("+-1", WHOLE))
    },
}
ANNEALING = "microsoft.simulatedannealing.cpu"
RESULTS = Path(__file__).parents[1] / "results"
COSTS = 32  # calls in a row


def timed(job: Callable[[], object]) -> float:
    """Seconds of this thread; a garbage collection in between would cost more than many a job."""
    gc.collect()
    gc.disable()
    try:
        start = time.thread_time()
        job()
        return time.thread_time() - start
    finally:
        gc.enable()


class Kernel:
    """Nanoseconds of one kernel, for schedules that take about ``seconds``."""

    def __init__(self, sampler: Sampler, seconds: float) -> None:
        self.sampler = sampler
        warm_up(sampler)
        group = sampler.start((1,))
        sampler.sweep(group, np.linspace(*BETAS, 3))
        trial = timed(lambda: sampler.sweep(group, np.linspace(*BETAS, 3))) / 3
        self.sweeps = int(np.clip(seconds / trial, 2, 100_000))

    def nanoseconds(self) -> dict[str, float]:
        sampler = self.sampler
        group = sampler.start((2,))
        updates = sampler.n * sampler.lanes
        sweeping = timed(lambda: sampler.sweep(group, np.linspace(*BETAS, self.sweeps)))
        ladder = np.linspace(*BETAS, sampler.lanes)
        part = max(1, self.sweeps // 4)
        tempering = timed(lambda: sampler.sweep_ladder(group, ladder, part))
        costs = timed(lambda: [sampler.costs(group) for _ in range(COSTS)])
        return {
            "sweep": sweeping / (updates * self.sweeps) * 1e9,
            "ladder": tempering / (updates * part) * 1e9,
            "costs": costs / (COSTS * updates) * 1e9,
        }


class Peer:
    """The same of another library's anneal; what a call takes on top is taken off by timing two lengths."""

    def __init__(self, annealer: Annealer, n: int, seconds: float) -> None:
        self.annealer, self.n = annealer, n
        self._seconds(2)
        trial = self._seconds(8) / 8
        self.sweeps = int(np.clip(seconds / trial, 4, 100_000))

    def _seconds(self, sweeps: int) -> float:
        return timed(lambda: self.annealer.anneal(sweeps, 1, 1))

    def nanoseconds(self) -> dict[str, float]:
        seconds = self._seconds(self.sweeps + 2) - self._seconds(2)
        return {"sweep": seconds / (self.n * self.sweeps) * 1e9}


def measure(name: str, seconds: float, rounds: int) -> Timings:
    """Time everything on one workload, a round of each in turn."""
    build, kernels = WORKLOADS[name]
    problem = build()
    runners: dict[str, Kernel | Peer] = {}
    for kernel, replicas in kernels.items():
        sampler = plan(problem, replicas=replicas, kernel=kernel)
        runners[sampler.kernel] = Kernel(sampler, seconds)
    others = {library: Peer(annealer, problem.n, seconds) for library, annealer in peers(problem).items()}
    runners |= others
    found: dict[str, list[dict[str, float]]] = {runner: [] for runner in runners}
    for _ in range(rounds):
        for runner, some in found.items():
            some.append(runners[runner].nanoseconds())
    medians = {
        runner: {column: statistics.median(row[column] for row in some) for column in some[0]}
        for runner, some in found.items()
    }
    return Timings(name, problem.n, medians, sorted(others, key=lambda library: medians[library]["sweep"]))


def scaling(restarts: int = 1024, sweeps: int = 40_000, rounds: int = 3) -> dict[str, float]:
    """Median seconds of annealing the torus in one thread and in two, by turns; runs of some seconds, as users have."""
    seconds: dict[str, list[float]] = {"1": [], "2": []}
    betas = {"beta_start": BETAS[0], "beta_stop": BETAS[1]}
    cost_function = torus_terms(100)
    for _ in range(rounds + 1):
        for threads, some in seconds.items():
            result = solve(
                cost_function, ANNEALING, seed=1, threads=int(threads), sweeps=sweeps, restarts=restarts, **betas
            )
            some.append(result.statistics["seconds"])
    return {threads: statistics.median(some[1:]) for threads, some in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    arguments = parser.parse_args()
    table = []
    for name in WORKLOADS:
        if arguments.only in name:
            table.append(measure(name, arguments.seconds, arguments.rounds))
            print("\n".join(table[-1].lines()), flush=True)
    threads = scaling() if len(os.sched_getaffinity(0)) > 1 and not arguments.only else None
    write(RESULTS, table, threads)


if __name__ == "__main__":
    main()

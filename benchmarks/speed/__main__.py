"""``python -m benchmarks.speed [--seconds 0.3] [--rounds 5] [--only torus]``: interleaved medians.

One thread, ``time.thread_time``, beta from 0.1 to 3. Where dwave-samplers can run a problem, its
simulated annealing runs the same schedule in turn with the kernels, and the last column says how many times as fast
a kernel is. Its set-up is taken off by timing two lengths of the schedule.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.speed.workloads import klocal, random_graph, regular, spin_glass, torus
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import ProblemType
from qiosk.solvers.planner import plan, warm_up
from qiosk.solvers.sampler import Sampler

SPARSE = {"packed-int8": 256, "packed-int16": 64, "packed-float32": 64, "packed-float64": 64, "cached": 1}
DENSE = {"packed-float32": 64, "packed-float64": 64, "dense": 64, "cached": 1}
TERMS = {"klocal": 64, "klocal-float64": 64}
WORKLOADS: dict[str, tuple[Callable[[], CompiledProblem], dict[str, int]]] = {
    "torus 10k": (lambda: torus(100), SPARSE),
    "3-regular 100k": (lambda: regular(100_000, 3), SPARSE),
    "G(800, 6 %)": (lambda: random_graph(800, 0.06), SPARSE | {"dense": 64}),
    "SK 1000": (lambda: spin_glass(1000), DENSE),
    "3-local spins 1000/4000": (lambda: klocal(ProblemType.ising, 1000, 4000, 3), TERMS),
    "4-local spins 1000/4000": (lambda: klocal(ProblemType.ising, 1000, 4000, 4), TERMS),
    "3-local bits 1000/4000": (lambda: klocal(ProblemType.pubo, 1000, 4000, 3), TERMS),
    "4-local bits 1000/4000": (lambda: klocal(ProblemType.pubo, 1000, 4000, 4), TERMS),
}
BETAS = 0.1, 3.0
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


class DWave:
    """The same of dwave-samplers' simulated annealing."""

    def __init__(self, problem: CompiledProblem, seconds: float) -> None:
        import dimod
        from dwave.samplers import SimulatedAnnealingSampler

        self.sampler = SimulatedAnnealingSampler()
        pairs = problem.pair_rows, problem.pair_cols, problem.pair_values
        self.model = dimod.BinaryQuadraticModel.from_numpy_vectors(problem.linear, pairs, 0.0, "SPIN")
        self.n = problem.n
        self.sweeps = max(4, int(seconds / (self.n * 30e-9)))

    def _seconds(self, sweeps: int) -> float:
        arguments = {"num_reads": 1, "beta_schedule_type": "linear", "beta_range": BETAS, "seed": 1}
        return timed(lambda: self.sampler.sample(self.model, num_sweeps=sweeps, **arguments))

    def nanoseconds(self) -> dict[str, float]:
        seconds = self._seconds(self.sweeps + 2) - self._seconds(2)
        return {"sweep": seconds / (self.n * self.sweeps) * 1e9}


def measure(name: str, seconds: float, rounds: int) -> None:
    """Time everything on one workload, a round of each in turn."""
    build, kernels = WORKLOADS[name]
    problem = build()
    runners: dict[str, Kernel | DWave] = {}
    for kernel, replicas in kernels.items():
        sampler = plan(problem, replicas=replicas, kernel=kernel)
        runners[sampler.kernel] = Kernel(sampler, seconds)
    reference = None
    if problem.is_spin and problem.is_quadratic:
        reference = "dwave-samplers"
        runners[reference] = DWave(problem, seconds)
    found: dict[str, list[dict[str, float]]] = {runner: [] for runner in runners}
    for _ in range(rounds):
        for runner, some in found.items():
            some.append(runners[runner].nanoseconds())
    medians = {
        runner: {column: statistics.median(row[column] for row in some) for column in some[0]}
        for runner, some in found.items()
    }
    print(f"\n{name}: {problem.n} variables", flush=True)
    print(f"  {'ns per update':24} {'sweep':>9} {'ladder':>9} {'costs':>9}   ratio")
    for runner, row in medians.items():
        cells = " ".join(f"{row[c]:9.3f}" if c in row else " " * 9 for c in ("sweep", "ladder", "costs"))
        ratio = f"{medians[reference]['sweep'] / row['sweep']:7.1f}" if reference else ""
        print(f"  {runner:24} {cells} {ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    arguments = parser.parse_args()
    for name in WORKLOADS:
        if arguments.only in name:
            measure(name, arguments.seconds, arguments.rounds)


if __name__ == "__main__":
    main()

"""``python -m benchmarks.quality [--seconds 1] [--seeds 3] [INSTANCE ...]``: best cost at equal wall time, one thread.

Quadratic instances are also given to dwave-samplers' simulated annealing (linear and geometric schedule over the beta
range that is tuned here, and its own default) and to its tabu search. A row shows the median cost over the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import dimod
import numpy as np
from dwave.samplers import SimulatedAnnealingSampler, TabuSampler

from qiosk.formats import qio_json
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import CostFunction
from qiosk.solvers.api import solve
from qiosk.solvers.descent import Descent
from qiosk.solvers.tuning import beta_range

FOLDER = Path(__file__).parents[1] / "instances"
RESULTS = Path(__file__).parents[1] / "results" / "quality.json"
DENSEST = 10_000  # variables for which the tabu sampler's square matrix fits memory
Contender = Callable[[float, int], float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("instances", nargs="*")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    index = {row["name"]: row for row in json.loads((FOLDER / "index.json").read_text())}
    table = []
    for name in options.instances or index:
        row = measure(name, options.seconds, options.seeds)
        table.append({"instance": name, "best_known": index[name]["best_known"], "seconds": options.seconds, **row})
        print(name, "best known", index[name]["best_known"], flush=True)
        for contender, cost in sorted(row.items(), key=lambda item: item[1]):
            print(f"    {cost:16.1f}  {contender}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


def measure(name: str, seconds: float, seeds: int) -> dict[str, float]:
    """Median cost of every contender; they take turns, seed by seed."""
    cost_function = qio_json.read((FOLDER / f"{name}.json.gz").read_bytes())
    problem = compile_problem(cost_function)
    contenders = ours(cost_function) | (peers(problem) if problem.is_quadratic else {})
    for run in contenders.values():
        run(0.3, 99)  # load kernels and libraries
    costs: dict[str, list[float]] = {contender: [] for contender in contenders}
    for seed in range(seeds):
        for contender, run in contenders.items():
            costs[contender].append(run(seconds, seed))
    return {contender: statistics.median(some) for contender, some in costs.items()}


def ours(cost_function: CostFunction) -> dict[str, Contender]:
    def run(target: str) -> Contender:
        return lambda seconds, seed: solve(cost_function, target, timeout=seconds, seed=seed, threads=1).cost

    names = ("simulatedannealing", "paralleltempering", "tabu", "populationannealing")
    return {f"qiosk {name}": run(f"microsoft.{name}-parameterfree.cpu") for name in names}


def peers(problem: CompiledProblem) -> dict[str, Contender]:
    model = binary_model(problem)
    betas = beta_range(problem, 0, Descent(problem))
    tuned = {"beta_range": [betas.hot, betas.cold]}
    found: dict[str, Contender] = {}
    for schedule in ("linear", "geometric"):
        found[f"dwave SA {schedule}, tuned betas"] = annealer(model, beta_schedule_type=schedule, **tuned)
    found["dwave SA default"] = annealer(model)
    if problem.n <= DENSEST:
        found["dwave tabu"] = lambda seconds, seed: (
            TabuSampler().sample(model, timeout=int(1000 * seconds), seed=seed).first.energy
        )
    return found


def annealer(model: dimod.BinaryQuadraticModel, **options: object) -> Contender:
    """Reads of dwave-samplers' annealer, its sweeps doubled until one read takes a third of the time."""
    sampler = SimulatedAnnealingSampler()

    def run(seconds: float, seed: int) -> float:
        end, sweeps, best = time.perf_counter() + seconds, 16, np.inf
        rng = np.random.default_rng(seed)
        while (left := end - time.perf_counter()) > 0:
            began = time.perf_counter()
            read = sampler.sample(model, num_reads=1, num_sweeps=sweeps, seed=int(rng.integers(2**31)), **options)
            best = min(best, read.first.energy)
            took = time.perf_counter() - began
            if 4 * took < left:
                sweeps *= 2
            elif took > left - took > 0:
                sweeps = max(16, int(sweeps * (left - took) / took))
        return float(best)

    return run


def binary_model(problem: CompiledProblem) -> dimod.BinaryQuadraticModel:
    vartype = dimod.SPIN if problem.is_spin else dimod.BINARY
    model = dimod.BinaryQuadraticModel(vartype)
    model.add_linear_from(enumerate(problem.linear.tolist()))
    pairs = (problem.pair_rows.tolist(), problem.pair_cols.tolist(), problem.pair_values.tolist())
    model.add_quadratic_from(zip(*pairs, strict=True))
    model.offset = problem.constant
    return model


if __name__ == "__main__":
    main()

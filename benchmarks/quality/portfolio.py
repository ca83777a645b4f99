"""``python -m benchmarks.quality.portfolio [--seconds 1] [--seeds 3] [--fresh-auto] [--table] [NAME …]``.

Compares ``qiosk.auto`` with every target that it may choose, on the stored problems and on those of
``benchmarks.families``, one thread each. The time limit is of processor time, so that a busy machine changes little;
and all targets run on a problem in turn, seed by seed, so that it disturbs them alike. Runs are kept in
``benchmarks/results/portfolio.jsonl``, and only missing ones are made. The table has, for every problem, the median of
each target and its loss against the best single one: the regret.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from benchmarks import families
from benchmarks.instance import Instance, load
from benchmarks.instance import catalogue as stored
from benchmarks.quality.cells import Cell, Cells
from qiosk.solvers.run import Task
from qiosk.solvers.targets import catalogue
from qiosk.solvers.targets.parameters import read_parameters

RESULTS = Path(__file__).parents[1] / "results" / "portfolio.jsonl"
AUTO = "qiosk.auto"
SINGLE = ("tabu", "populationannealing", "paralleltempering", "simulatedannealing")
WARM_UP = 0.1  # [s]
# Losses below this share of the cost are rounding.
ROUNDING = 1e-12


@lru_cache(1)
def instance(name: str) -> Instance:
    """A stored problem, or one of the families."""
    return families.make(name) if families.is_here(name) else load(name)


def cost_of(name: str, target: str, seconds: float, seed: int) -> float:
    """The cost that a target finds in so many seconds of the processor."""
    chosen = catalogue.target(catalogue.full_name(target))
    values = read_parameters(chosen.parameters, {"timeout": seconds, "seed": seed})
    task = Task(chosen, values, instance(name).cost_function, threads=1, clock=time.process_time)
    return task.run(is_cancelled=lambda: False, on_chunk=lambda report: None).cost


def measure(cells: Cells, names: Sequence[str], targets: Sequence[str], seconds: float, seeds: int) -> None:
    """Whatever is missing. What comes late counts: the times are kept."""
    for name in names:
        missing = [(s, t) for s in range(seeds) for t in targets if (name, t, seconds, s) not in cells]
        for target in dict.fromkeys(target for _, target in missing):
            cost_of(name, target, WARM_UP, 10**6)
        for seed, target in missing:
            wall, cpu, load_ = time.perf_counter(), time.process_time(), os.getloadavg()[0]
            cost = cost_of(name, target, seconds, seed)
            wall, cpu = round(time.perf_counter() - wall, 3), round(time.process_time() - cpu, 3)
            cells.add(Cell(name, target, seconds, seed, cost, wall, cpu, load=round(load_, 1)))
            print(f"{name:22} seed {seed}  {target:22} {cost!s:24} {cpu:.2f} s of {wall:.2f} s", flush=True)


def losses(medians: dict[str, float]) -> dict[str, float]:
    """Every target's loss against the best single one, as a share of its cost (of 1, if that is less)."""
    best = min(cost for target, cost in medians.items() if target != AUTO)
    found = {target: (cost - best) / max(1.0, abs(best)) for target, cost in medians.items()}
    return {target: 0.0 if abs(loss) < ROUNDING else loss for target, loss in found.items()}


def markdown(cells: Cells, names: Sequence[str]) -> str:
    """The tables of losses, for every wall time."""
    targets = [AUTO, *SINGLE]
    parts = ["# Regret: loss against the best single target [%], medians", ""]
    for seconds in cells.times():
        by_name = {name: cells.medians(name, seconds) for name in names}
        by_name = {name: some for name, some in by_name.items() if set(some) >= set(targets)}
        if not by_name:
            continue
        regrets = {name: losses(some) for name, some in by_name.items()}
        parts += [f"## {seconds:g} s", "", "| problem | best single | " + " | ".join(targets) + " |"]
        parts += ["| --- " * (2 + len(targets)) + "|"]
        for name, some in by_name.items():
            best = min(cost for target, cost in some.items() if target != AUTO)
            row = [f"{100 * regrets[name][target]:.3g}" for target in targets]
            parts.append("| " + " | ".join([name, f"{best:.12g}", *row]) + " |")
        for label, summary in (("mean", statistics.mean), ("worst", max)):
            row = [f"{100 * summary([some[target] for some in regrets.values()]):.3g}" for target in targets]
            parts.append("| " + " | ".join([f"**{label}**", "", *row]) + " |")
        equal = sum(some[AUTO] <= 0.0 for some in regrets.values())
        second = sum(some[AUTO] <= sorted(some[target] for target in SINGLE)[1] for some in regrets.values())
        taken = [cell.cpu for cell in cells if cell.contender == AUTO and cell.seconds == seconds]
        loads = [cell.load for cell in cells if cell.load is not None and cell.seconds == seconds]
        parts += ["", f"At least as good as the best single target on {equal} of {len(regrets)}, as the second best on"]
        parts += [f"{second}. {AUTO} took {statistics.median(taken):.2f} s, at most {max(taken):.2f} s."]
        parts += [f"Load of the machine: median {statistics.median(loads):.1f}.", ""]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.portfolio", description=__doc__)
    parser.add_argument("instances", nargs="*", help="all if none is named")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets", nargs="+", default=[AUTO, *SINGLE])
    parser.add_argument("--fresh-auto", action="store_true", help=f"forget what was measured of {AUTO}")
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table of what there is")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    cells = Cells(options.results)
    names = options.instances or [*stored(), *families.names()]
    if options.fresh_auto:
        cells.drop(lambda cell: cell.contender == AUTO and cell.instance in names)
    if not options.table:
        for seconds in sorted(options.seconds):
            measure(cells, names, options.targets, seconds, options.seeds)
    report = markdown(cells, names)
    options.results.with_suffix(".md").write_text(report)
    print(report)


if __name__ == "__main__":
    main()

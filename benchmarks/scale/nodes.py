"""``python -m benchmarks.scale.nodes [--address HOST:PORT] [--nodes 1 2 4] [--repeats 9]``.

How long ``qiosk.solve(..., nodes=k, ray_address=…)`` takes until it has a planted optimum, by annealing with one thread
for each member. And what a member costs beside its search: the time of a solve of trivial members, for each of these.

Without an address the cluster consists of processes of this machine: a head without CPUs, and as many nodes of one CPU
as the most that are asked for. More of them than there are cores show no gain. A cluster with an address has to have as
many CPUs. This process connects once, so the times are those of programs that keep a connection. A solve that is not
counted waits for the start of Ray's processes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import qiosk
from benchmarks import generators
from benchmarks.instance import Instance
from benchmarks.scale.clusters import a_cluster
from qiosk.solvers.result import Result

ANNEALING = "microsoft.simulatedannealing.cpu"
SPINS = 108
TRIVIAL = 64
"""Members of a solve whose searches take hardly any time."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a Ray cluster, whose token is in the environment")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeats", type=int, default=9, help="seeds of a row")
    given = parser.parse_args()
    with a_cluster(given.address, [0, *[1] * max(given.nodes)]) as address:
        from qiosk.cluster.connection import connected  # loads Ray, which reads the environment then

        with connected(address):
            measure(address, given.nodes, given.repeats)


def measure(address: str, numbers: Sequence[int], repeats: int) -> None:
    """Measure and print, connected to the cluster."""
    instance = generators.xorsat(SPINS, 1)
    to_target(instance, max(numbers), 0, address)
    print(f"{instance.name}: seconds to the optimum, median, least and most of {repeats} seeds")
    for nodes in numbers:
        times = [to_target(instance, nodes, seed, address) for seed in range(1, repeats + 1)]
        print(f"  {nodes:4d} nodes {median(times):8.2f} {min(times):8.2f} {max(times):8.2f}", flush=True)
    each = [1e3 * trivial(instance, address) / TRIVIAL for _ in range(repeats + 1)][1:]
    print(f"milliseconds for each of {TRIVIAL} trivial members: median, least and most of {repeats} solves")
    print(f"  {median(each):.1f} {min(each):.1f} {max(each):.1f}")


def to_target(instance: Instance, nodes: int, seed: int, address: str) -> float:
    """Seconds until a solve over so many nodes has found the planted optimum."""
    params = {"sweeps": 400, "restarts": 10_000_000, "target_cost": instance.best_known, "seed": seed}
    seconds, result = timed(instance, address, ANNEALING, nodes=nodes, **params)
    if result.stop_reason != "target":
        raise SystemExit(f"{instance.name}: seed {seed} over {nodes} nodes ended with {result.stop_reason}")
    return seconds


def trivial(instance: Instance, address: str) -> float:
    """Seconds of a solve of members that hardly search, and all run."""
    searches = {"sweeps": 1, "replicas": 4, "nodes": TRIVIAL, "seed": 1}
    seconds, result = timed(instance, address, "microsoft.paralleltempering.cpu", **searches)
    if len(result.statistics["members"]) != TRIVIAL:
        raise SystemExit(f"{instance.name}: of {TRIVIAL} members ran {len(result.statistics['members'])}")
    return seconds


def timed(instance: Instance, address: str, target: str, **params: Any) -> tuple[float, Result]:
    """Seconds of a solve, and its result."""
    began = time.perf_counter()
    result = qiosk.solve(instance.cost_function, target, threads=1, ray_address=address, **params)
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()

"""Everything that takes part: the targets offered here, and whichever peers are installed."""

from __future__ import annotations

import importlib
import shutil
from dataclasses import dataclass
from importlib import metadata

from benchmarks.contender import Contender, Race
from benchmarks.instance import Instance
from qiosk.model.cost_function import I8
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import targets

OURS = "qiosk"
# Module of each peer, and the distributions or the program it needs.
PEERS = {
    "dwave-samplers": ("benchmarks.peers.dwave", ("dwave-samplers", "dimod")),
    "OpenJij": ("benchmarks.peers.open_jij", ("openjij",)),
    "simulated-bifurcation": ("benchmarks.peers.bifurcation", ("simulated-bifurcation", "torch")),
    "qubovert": ("benchmarks.peers.qubo_vert", ("qubovert",)),
    "MQLib": ("benchmarks.peers.mqlib", ("MQLib",)),
}
PROGRAMS = ("MQLib",)
COMPARABLE = 0.5
"""Share of a wall time from which on a time-out is as long."""


def versions(distributions: tuple[str, ...]) -> str | None:
    """Names and versions, or paths of programs; None if one is not installed."""
    found = [_version(name) for name in distributions]
    return (
        None
        if None in found
        else ", ".join(f"{name} {version}" for name, version in zip(distributions, found, strict=True))
    )


def _version(name: str) -> str | None:
    if name in PROGRAMS:
        return shutil.which(name)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def peers() -> list[Contender]:
    """Every setting of the peers that are installed, with a word on those that are not."""
    found: list[Contender] = []
    for library, (module, distributions) in PEERS.items():
        installed = versions(distributions)
        if installed is None:
            print(f"{library} is not installed and takes no part; see docs/benchmarks.md", flush=True)
            continue
        print(installed, flush=True)
        found += importlib.import_module(module).CONTENDERS
    return found


def ours() -> list[Contender]:
    """Every target that finds its parameters itself, on one thread."""
    free = [_ours(target.id) for target in targets() if target.is_parameter_free]
    return [*free, _ours("1qbit.pticm"), _ours("toshiba.sbm.ising", auto=True, steps=0, loops=0)]


def _ours(name: str, **parameters: object) -> Contender:
    return Contender(
        OURS, name, lambda instance: _takes(name, instance), lambda instance: Target(name, instance, parameters)
    )


@dataclass
class Target:
    """Runs of a target on an instance. Everything is on its clock: compiling the problem, too, and the result."""

    name: str
    instance: Instance
    parameters: dict[str, object]
    overrun: float = 0.0  # [s] by which the last run of ``measured_at`` or longer was later than its time-out
    measured_at: float = 0.0  # [s] time-out of that run

    def __call__(self, race: Race, seed: int) -> None:
        """Run once. A run much shorter than this one, as a warm-up is, may have spent its time on setting up: how late
        it was says nothing about this one.
        """
        overrun = self.overrun if self.measured_at >= COMPARABLE * race.seconds else 0.0
        timeout = max(0.1 * race.seconds, race.left - overrun)
        found = self._solve(timeout, seed)
        race.found(lambda: found)
        if timeout >= COMPARABLE * race.seconds:
            self.overrun, self.measured_at = max(0.0, race.elapsed - timeout), timeout

    def until(self, cost: float, limit: float, seed: int) -> I8:
        """The best configuration when ``cost`` is reached, or after ``limit`` seconds."""
        return self._solve(limit, seed, target_cost=cost)

    def _solve(self, timeout: float, seed: int, **more: object) -> I8:
        given = self.parameters | more
        result = solve(self.instance.cost_function, self.name, timeout=timeout, seed=seed, threads=1, **given)
        return result.solutions[0].values


def _takes(name: str, instance: Instance) -> bool:
    return name.startswith("microsoft.") or instance.problem.is_quadratic

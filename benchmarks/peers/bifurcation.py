"""simulated-bifurcation: ballistic and discrete, with and without heat, on one thread of torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simulated_bifurcation as sb
import torch

from benchmarks.contender import Contender, LongAnneals, Restarts, Search
from benchmarks.instance import Instance
from benchmarks.peers.quadratic import from_spins, is_quadratic, spin_fields
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8

LIBRARY = "simulated-bifurcation"
DENSEST = 10_000  # variables for which its square matrix leaves time for some steps
AGENTS = 128, 32  # trajectories at once: of problems up to 400 variables, and of larger ones
TIME_STEP = 0.5  # of the literature, with a pump that grows over the whole run; the library's own is 0.1


@dataclass
class Bifurcation:
    """Trajectories of one mode. Without ``ramped``, the library's own time step and pump."""

    problem: CompiledProblem
    mode: str
    heated: bool
    ramped: bool = True

    def __post_init__(self) -> None:
        torch.set_num_threads(1)
        fields, couplings = spin_fields(self.problem)
        n = self.problem.n
        matrix = torch.zeros((n, n), dtype=torch.float32)
        rows, cols = (
            torch.from_numpy(ends.astype(np.int64)) for ends in (self.problem.pair_rows, self.problem.pair_cols)
        )
        # Coefficients of 10^9 are within float32's range; costs are evaluated exactly from the spins.
        matrix[rows, cols] = matrix[cols, rows] = torch.from_numpy(-couplings).to(torch.float32)
        self.model = sb.Ising(matrix, torch.from_numpy(fields).to(torch.float32))
        self.agents = AGENTS[0] if n <= 400 else AGENTS[1]

    def anneal(self, sweeps: int, reads: int, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        sb.reset_env()
        if self.ramped:
            sb.set_env(time_step=TIME_STEP, pressure_slope=1.0 / (TIME_STEP * sweeps))
        return self.model.minimize(
            agents=self.agents * reads,
            max_steps=sweeps,
            mode=self.mode,
            heated=self.heated,
            verbose=False,
            early_stopping=False,
        )

    def configurations(self, raw: torch.Tensor) -> I8:
        return from_spins(self.problem, raw.T.numpy().astype(np.int8))


def _can_run(instance: Instance) -> bool:
    return is_quadratic(instance) and instance.problem.n <= DENSEST


def _ramped(mode: str, *, heated: bool) -> Contender:
    def prepare(instance: Instance) -> Search:
        return LongAnneals(Bifurcation(instance.problem, mode, heated), parts=4)

    return Contender(LIBRARY, f"{'heated ' if heated else ''}{mode}", _can_run, prepare)


def _default(instance: Instance) -> Search:
    # The pump of the default settings is full after 1000 steps.
    return Restarts(Bifurcation(instance.problem, "ballistic", heated=False, ramped=False), sweeps=2000)


CONTENDERS = [
    *(_ramped(mode, heated=heated) for mode in ("ballistic", "discrete") for heated in (False, True)),
    Contender(LIBRARY, "default", _can_run, _default),
]

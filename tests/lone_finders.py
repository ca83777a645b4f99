"""Solvers for tests of processes: they are set up in a process of their own, which imports this module."""

from __future__ import annotations

import os
import time

from benchmarks.practical.finder import Find
from benchmarks.practical.problems.practical_problem import PracticalProblem


class Lone:
    """Finds costs 12 and 10 at once; waits, fails, dies or fills the memory where the problem is called so."""

    def __init__(self, problem: PracticalProblem) -> None:
        self.name = problem.name
        print("what a library prints")
        if self.name == "slow to set up":
            time.sleep(3600)
        if self.name == "fails":
            raise KeyError(self.name)

    def run(self, seconds: float, seed: int) -> list[Find]:
        if self.name == "hangs":
            time.sleep(3600)
        if self.name == "dies":
            os._exit(9)
        if self.name == "large":
            bytearray(2**40)
        return [] if self.name == "finds nothing" else [Find(0.25, 12.0), Find(0.5, 10.0 + seed)]

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        threads = os.environ.get("OMP_NUM_THREADS")
        return Find(0.125, 12.0) if threads == "1" else None

"""Solvers that look for answers of a practical problem: QUBO solvers, targets here on models, CP-SAT and HiGHS.

Models are built before the clock starts, for all of them. One thread each.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.contender import GRACE, Contender, Race, StopsAtTarget
from benchmarks.contenders import OURS, Target, peers, versions
from benchmarks.instance import Instance
from benchmarks.practical.finder import Find, Finder, doubling, first, improving
from benchmarks.practical.prepared import Prepared
from benchmarks.practical.problems.practical_problem import PracticalProblem, Program
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET

TABU = "microsoft.tabu-parameterfree.cpu"
PEER_SETTINGS = ("dwave-samplers tabu", "dwave-samplers SA default", "OpenJij SA default", "OpenJij SA geometric")


@dataclass
class OnQubo:
    """A contender of the other benchmarks, on the ordinary QUBO."""

    prepared: Prepared
    contender: Contender

    def __post_init__(self) -> None:
        self.search = self.contender.prepare(self.prepared.instance)
        self.search(Race(0.2), 10**6)  # load what it needs

    def run(self, seconds: float, seed: int) -> list[Find]:
        race = Race(seconds)
        self.search(race, seed)
        return improving((at, self.prepared.best(found)) for at, found in race.in_time())

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        if isinstance(self.search, StopsAtTarget) and np.isfinite(cost):
            began = time.perf_counter()
            # A search may stop just above a cost that it computes in another order.
            found = self.prepared.best(self.search.until(cost + 1e-6, limit, seed))
            took = time.perf_counter() - began
            return Find(took, found) if found is not None and found <= cost else None
        return doubling(self.run, cost, limit, seed)


@dataclass
class OnModel:
    """A target here on the model, as its users call it."""

    prepared: Prepared
    target: str

    def __post_init__(self) -> None:
        self.run(0.1, 10**6)  # load what it needs

    def run(self, seconds: float, seed: int) -> list[Find]:
        return self._solve(seconds, seed)

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        if not np.isfinite(cost):
            if self.prepared.problem.best_known:
                return doubling(self.run, cost, limit, seed)
            cost = 0.0  # of any feasible answer
        found = self._solve(limit, seed, target_cost=cost + 1e-6)
        return found[-1] if found and found[-1].cost <= cost else None

    def _solve(self, seconds: float, seed: int, **more: Any) -> list[Find]:
        began = time.perf_counter()
        result = solve(self.prepared.whole, self.target, timeout=seconds, seed=seed, threads=1, **more)
        took = time.perf_counter() - began
        return improving([(took, self.prepared.cost(result.configuration))])


@dataclass
class InRounds:
    """``Model.solve`` with the default target: rounds of searches that change the weights of constraints."""

    prepared: Prepared

    def __post_init__(self) -> None:
        self.run(0.1, 10**6)  # load what it needs

    def run(self, seconds: float, seed: int) -> list[Find]:
        model, problem = self.prepared.model, self.prepared.problem
        began = time.perf_counter()
        found = model.solve(timeout=seconds, seed=seed, threads=1)
        took, answer = time.perf_counter() - began, problem.read(found)
        return improving([(took, None if answer is None else problem.cost(answer))])

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        if not self.prepared.problem.best_known:  # it ends with the first feasible answer
            return first(self.run(limit, seed), cost)
        return doubling(self.run, cost, limit, seed)


@dataclass
class ConstraintSolver:
    """CP-SAT with one worker."""

    problem: PracticalProblem[Any]

    def __post_init__(self) -> None:
        self.program: Program[Any] = self.problem.constraint_program()

    def run(self, seconds: float, seed: int) -> list[Find]:
        return self._solve(seconds, seed, -np.inf)

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        return first(self._solve(limit, seed, cost), cost)

    def _solve(self, seconds: float, seed: int, enough: float) -> list[Find]:
        from ortools.sat.python import cp_model

        program, problem = self.program, self.problem

        class Watch(cp_model.CpSolverSolutionCallback):
            """Checks every solution, and stops at the first that is good enough."""

            def on_solution_callback(self) -> None:
                at = time.perf_counter() - began
                cost = problem.cost(program.read(lambda variable: int(self.value(variable))))
                found.append((at, cost))
                if cost is not None and cost <= enough:
                    self.stop_search()

        solver, found = cp_model.CpSolver(), list[tuple[float, float | None]]()
        solver.parameters.num_workers = 1
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.random_seed = seed
        began = time.perf_counter()
        solver.solve(program.model, Watch())
        return improving((at, cost) for at, cost in found if at <= GRACE * seconds)


@dataclass
class LinearSolver:
    """HiGHS with one thread."""

    problem: PracticalProblem[Any]

    def __post_init__(self) -> None:
        self.program: Program[Any] = self.problem.linear_program()

    def run(self, seconds: float, seed: int) -> list[Find]:
        return self._solve(seconds, seed, -np.inf)

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        return first(self._solve(limit, seed, cost), cost)

    def _solve(self, seconds: float, seed: int, enough: float) -> list[Find]:
        highs, found = self.program.model, list[tuple[float, float | None]]()

        def improved(event: Any) -> None:
            at, values = time.perf_counter() - began, np.rint(event.data_out.mip_solution)
            cost = self.problem.cost(self.program.read(lambda column: int(values[column])))
            found.append((at, cost))
            if cost is not None and cost <= enough:
                event.interrupt()

        highs.clearSolver()
        for name, value in (("threads", 1), ("random_seed", seed), ("time_limit", float(seconds))):
            highs.setOptionValue(name, value)
        highs.cbMipImprovingSolution.subscribe(improved)
        began = time.perf_counter()
        highs.run()
        highs.cbMipImprovingSolution.unsubscribe(improved)
        return improving((at, cost) for at, cost in found if at <= GRACE * seconds)


def solvers() -> dict[str, Callable[[Prepared], Finder]]:
    """Everything that takes part, by name: how it is set up for a problem."""

    def qubo(contender: Contender) -> Callable[[Prepared], Finder]:
        return lambda prepared: OnQubo(prepared, contender)

    found: dict[str, Callable[[Prepared], Finder]] = {
        f"{OURS} default": lambda prepared: OnModel(prepared, DEFAULT_TARGET),
        f"{OURS} tabu": lambda prepared: OnModel(prepared, TABU),
        f"{OURS} Model.solve": InRounds,
        f"{OURS} one-flip tabu": qubo(Contender(OURS, "one-flip tabu", _any, lambda i: Target(TABU, i, {}))),
    }
    found |= {contender.name: qubo(contender) for contender in peers() if contender.name in PEER_SETTINGS}
    if versions(("ortools",)):
        found["CP-SAT"] = lambda prepared: ConstraintSolver(prepared.problem)
    if versions(("highspy",)):
        found["HiGHS"] = lambda prepared: LinearSolver(prepared.problem)
    return found


def set_up(name: str, problem: PracticalProblem[Any]) -> Finder:
    """The solver of this name, for a problem."""
    return solvers()[name](Prepared(problem))


def _any(instance: Instance) -> bool:
    return True

"""Solvers that look for answers of a practical problem: QUBO solvers, targets here on models, CP-SAT and HiGHS.

Models are built before the clock starts, for all of them. One thread each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from benchmarks.contender import GRACE, Contender, Race, StopsAtTarget
from benchmarks.contenders import OURS, Target, peers, versions
from benchmarks.instance import Instance
from benchmarks.practical.practical_problem import PracticalProblem, Program
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import I8, CostFunction, ProblemType
from qiosk.model.one_hot import ONE_HOT
from qiosk.modeling import Model, Solution
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET

TABU = "microsoft.tabu-parameterfree.cpu"
# Configurations of a call that are looked at, lowest cost first.
READ = 8
SHORTEST = 1 / 64  # [s] of the first run for a feasible answer; every next one is twice as long
PEER_SETTINGS = ("dwave-samplers tabu", "dwave-samplers SA default", "OpenJij SA default", "OpenJij SA geometric")


@dataclass(frozen=True)
class Find:
    """A feasible answer: seconds after the start, and its cost by the problem's own check."""

    seconds: float
    cost: float


class Finder(Protocol):
    """A solver, set up for one problem."""

    def run(self, seconds: float, seed: int) -> list[Find]:
        """Look for good answers for so long; what was found, the best last."""
        ...

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        """The first answer found of at most this cost (infinite: the first feasible one); None within the limit."""
        ...


@dataclass(frozen=True, eq=False)
class Prepared:
    """A problem with the models that several solvers share."""

    problem: PracticalProblem[Any]

    @cached_property
    def model(self) -> Model:
        """As a user of Qiosk writes it."""
        return self.problem.model()

    @cached_property
    def whole(self) -> CostFunction:
        """The model as targets here get it."""
        return self.model.problem().cost_function()

    @cached_property
    def instance(self) -> Instance:
        """The model as an ordinary QUBO."""
        return Instance(self.problem.name, ordinary(self.whole), None)

    def cost(self, configuration: Any) -> float | None:
        """The problem's own cost of values by variable id; None if they are no feasible answer."""
        bits = {int(key): int(value) for key, value in configuration.items()}
        values = {name: variable.value(bits) for name, variable in self.model.variables.items()}
        answer = self.problem.read(Solution(values, 0.0, (), self.model.families))
        return None if answer is None else self.problem.cost(answer)

    def best(self, configurations: I8) -> float | None:
        """The lowest cost among the configurations, (n,) or (R, n), of lowest QUBO cost."""
        rows = np.atleast_2d(configurations)
        order = np.argsort(np.atleast_1d(evaluate(self.instance.cost_function, rows)), kind="stable")[:READ]
        ids = self.instance.problem.variables.tolist()
        costs = [self.cost(dict(zip(ids, rows[k].tolist(), strict=True))) for k in order]
        return min((cost for cost in costs if cost is not None), default=None)


def ordinary(cost_function: CostFunction) -> CostFunction:
    """The same problem as a QUBO: squares multiplied out, and nothing but pairs, linear terms and a constant."""
    compiled = compile_problem(cost_function)
    ids = compiled.variables
    keys = [(i, i) for i in range(compiled.n)]  # x * x = x
    values = compiled.linear.tolist()
    keys += zip(compiled.pair_rows.tolist(), compiled.pair_cols.tolist(), strict=True)
    values += compiled.pair_values.tolist()
    constant = compiled.constant
    for g, weight in enumerate(compiled.group_values):
        some = slice(compiled.group_indptr[g], compiled.group_indptr[g + 1])
        members, weights, offset = (
            compiled.group_variables[some],
            compiled.group_weights[some],
            compiled.group_offsets[g],
        )
        rows, cols = np.triu_indices(len(members))
        products = np.where(rows == cols, 1.0, 2.0) * weights[rows] * weights[cols]
        products += np.where(rows == cols, 2.0 * offset * weights[rows], 0.0)
        keys += zip(members[rows].tolist(), members[cols].tolist(), strict=True)
        values += (weight * products).tolist()
        constant += weight * offset**2
    flat = ids[np.array(keys, np.int64).reshape(-1)]
    pointers = np.concatenate([np.arange(0, len(flat) + 1, 2), [len(flat)]])  # the last term is the constant
    metadata = {ONE_HOT: {}}  # groups are not looked for either
    return CostFunction(ProblemType.pubo, np.array([*values, constant]), pointers, flat, metadata=metadata)


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
        return _improving((at, self.prepared.best(found)) for at, found in race.in_time())

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
            return doubling(self.run, cost, limit, seed)
        found = self._solve(limit, seed, target_cost=cost + 1e-6)
        return found[-1] if found and found[-1].cost <= cost else None

    def _solve(self, seconds: float, seed: int, **more: Any) -> list[Find]:
        began = time.perf_counter()
        result = solve(self.prepared.whole, self.target, timeout=seconds, seed=seed, threads=1, **more)
        took = time.perf_counter() - began
        return _improving([(took, self.prepared.cost(result.configuration))])


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
        return _improving([(took, None if answer is None else problem.cost(answer))])

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
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
        return _first(self._solve(limit, seed, cost), cost)

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
        return _improving((at, cost) for at, cost in found if at <= GRACE * seconds)


@dataclass
class LinearSolver:
    """HiGHS with one thread."""

    problem: PracticalProblem[Any]

    def __post_init__(self) -> None:
        self.program: Program[Any] = self.problem.linear_program()

    def run(self, seconds: float, seed: int) -> list[Find]:
        return self._solve(seconds, seed, -np.inf)

    def until(self, cost: float, limit: float, seed: int) -> Find | None:
        return _first(self._solve(limit, seed, cost), cost)

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
        return _improving((at, cost) for at, cost in found if at <= GRACE * seconds)


def doubling(run: Callable[[float, int], list[Find]], cost: float, limit: float, seed: int) -> Find | None:
    """Runs of twice the time, until one finds an answer of this cost; its time is that of this run alone."""
    seconds = SHORTEST
    while seconds <= limit:
        found = _first(run(seconds, seed), cost)
        if found:
            return found
        seconds, seed = 2 * seconds, seed + 7919
    return None


def _improving(found: Iterable[tuple[float, float | None]]) -> list[Find]:
    """Those that are feasible, and better than all before."""
    best: list[Find] = []
    for at, cost in found:
        if cost is not None and (not best or cost < best[-1].cost):
            best.append(Find(at, cost))
    return best


def _first(found: Iterable[Find], cost: float) -> Find | None:
    return next((find for find in found if find.cost <= cost), None)


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


def _any(instance: Instance) -> bool:
    return True

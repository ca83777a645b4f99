"""A target with its parameters as they were given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qiosk.machine import cpu_count
from qiosk.model.cost_function import I8, CostFunction
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.member import Member, member_of
from qiosk.solvers.members.merge import MODEL, merge
from qiosk.solvers.provenance import RunFacts, now
from qiosk.solvers.reports import given as given_of
from qiosk.solvers.result import Result
from qiosk.solvers.run import Task
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.targets.catalogue import target
from qiosk.solvers.targets.parameters import new_seed, read_parameters
from qiosk.solvers.targets.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A target with its parameters as they were given, ready to run on one cost function or several."""

    target: Target
    given: Mapping[str, Any]
    threads: int | None = None
    kernel: str | None = None
    member: Member | None = None

    @property
    def nodes(self) -> int:
        """Into how many members the solve is divided; 1 for a member. Raises as :func:`solve`."""
        return int(read_parameters(self.target.parameters, self.given)["nodes"] or 1)

    def members(self, seed: int) -> list[Setup]:
        """Those of the members of a solve with this seed."""
        given = {**self.given, "seed": seed, "nodes": None}
        return [replace(self, given=given, member=Member(index, self.nodes)) for index in range(self.nodes)]

    @property
    def whole(self) -> Setup:
        """That of the whole search, with the seed of the member if it is one."""
        seed = self.seed
        if self.member is None or seed is None:
            return replace(self, member=None)
        return replace(self.seeded(self.member.seed(seed)), member=None)

    def facts(self, cost_function: CostFunction) -> RunFacts:
        """What is known of a solve before its members run; the seed is a new one if none was given."""
        values = read_parameters(self.target.parameters, self.given)
        seed = new_seed() if values["seed"] is None else int(values["seed"])
        parameters = {**given_of(values), "seed": seed} | ({} if self.kernel is None else {"kernel": self.kernel})
        threads = cpu_count() if self.threads is None else self.threads
        return RunFacts(self.target.id, seed, parameters, threads, now(), cost_function)

    def merged(self, found: Mapping[int, Result], facts: RunFacts, *, was_cancelled: bool = False) -> Result:
        """The result of a solve, of the ``facts``, from those of its members by index: see :func:`merge`."""
        wanted = self.solutions
        result = merge(found, facts, nodes=self.nodes, wanted=wanted, was_cancelled=was_cancelled)
        if len(result.solutions) >= wanted or MODEL in result.more:
            return result
        task = self.seeded(facts.seed)._task(facts.cost_function, Hooks(), None)
        return replace(result, solutions=task.filled(result.solutions))

    @property
    def seed(self) -> int | None:
        """The seed that was given. Raises as :func:`solve`."""
        seed = read_parameters(self.target.parameters, self.given)["seed"]
        return None if seed is None else int(seed)

    @property
    def solutions(self) -> int:
        """How many solutions are wanted. Raises as :func:`solve`."""
        return self.target.solutions(read_parameters(self.target.parameters, self.given))

    @property
    def time_limit(self) -> float:
        """How long a run may take [s]; infinite without a limit."""
        return self.target.time_limit(read_parameters(self.target.parameters, self.given))

    @property
    def keeps_one_hot(self) -> bool:
        """Whether moves of the search keep one-hot groups."""
        return self.target.keeps_groups(self.kernel)

    def until(self, cost: float) -> Setup:
        """The same, but a search also ends when it reaches a cost; one that was asked for comes first."""
        if all(parameter.name != "target_cost" for parameter in self.target.parameters):
            return self
        return replace(self, given={"target_cost": cost, **self.given})

    def seeded(self, seed: int) -> Setup:
        """The same with another seed."""
        return replace(self, given={**self.given, "seed": seed})

    def run(self, cost_function: CostFunction, hooks: Hooks, *, number: int | None = None) -> Result:
        """Minimize a cost function. Raises as :func:`solve`.

        ``number`` is that of a round, if others may follow with other weights of constraints: rounds have different
        seeds.
        """
        task = self._task(cost_function, hooks, number)
        return task.run(is_cancelled=hooks.is_cancelled, on_chunk=hooks.on_chunk)

    def known(
        self, cost_function: CostFunction, values: I8, hooks: Hooks, kernel: str, stop: StopReason, seconds: float
    ) -> Result:
        """The result where a ``kernel`` found ``values`` (n,) in some seconds [s]. Raises as :func:`solve`."""
        task = self._task(cost_function, replace(hooks, resume=None, is_extension=False), None)
        return task.known(values, kernel, stop, seconds)

    def _task(self, cost_function: CostFunction, hooks: Hooks, number: int | None) -> Task:
        values = read_parameters(self.target.parameters, self.given)
        if number and values["seed"] is not None:
            values = {**values, "seed": values["seed"] ^ number}
        return Task(
            self.target,
            values,
            cost_function,
            threads=self.threads,
            kernel=self.kernel,
            resume=hooks.resume,
            is_extension=hooks.is_extension,
            input_data_uri=hooks.input_data_uri,
            max_seconds=hooks.max_seconds,
            is_round=number is not None,
            start=hooks.start,
            member=self.member,
        )


def job_setup(name: str, input_params: Any, threads: int | None) -> Setup:
    """The target of a job, or of a member of one, and its ``inputParams``. Raises as :func:`solve`."""
    chosen = target(name)
    given = chosen.section(input_params)
    return Setup(target=chosen, given=given, threads=threads, member=member_of(input_params))

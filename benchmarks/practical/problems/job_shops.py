"""Job shops: tasks of jobs in order, one at a time on a machine, all done by a deadline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

from benchmarks.practical.problems.practical_problem import UNBOUNDED, Linear, PracticalProblem, Program
from qiosk.modeling import Model, Solution

Task = tuple[int, int]  # job, step
Starts = dict[Task, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class JobShop(PracticalProblem[Starts]):
    """``jobs`` are lists of (machine, duration); every schedule that ends by ``deadline`` is as good as any other.

    Durations are rounded up to multiples of ``unit``, in which the deadline and the starts of answers are counted.
    """

    jobs: list[list[tuple[int, int]]]
    deadline: int
    unit: int = 1

    def cost(self, answer: Starts) -> float | None:
        if answer.keys() != self.tasks.keys() or min(answer.values()) < 0:
            return None
        ends = {task: start + self.tasks[task][1] for task, start in answer.items()}
        if max(ends.values()) > self.deadline or any(answer[after] < ends[task] for task, after in self._in_order()):
            return None
        if any(answer[a] < ends[b] and answer[b] < ends[a] for a, b in self._on_one_machine()):
            return None
        return 0.0

    def stored(self, answer: list[list[int]]) -> Starts:
        return {(job, step): start for job, starts in enumerate(answer) for step, start in enumerate(starts)}

    @cached_property
    def tasks(self) -> dict[Task, tuple[int, int]]:
        """Machine and duration, in units, of every task."""
        return {
            (job, step): (machine, -(-length // self.unit))
            for job, steps in enumerate(self.jobs)
            for step, (machine, length) in enumerate(steps)
        }

    def times(self, task: Task) -> range:
        """When a task can start, with all tasks of its job before and after it."""
        job, step = task
        lengths = [self.tasks[job, k][1] for k in range(len(self.jobs[job]))]
        return range(sum(lengths[:step]), self.deadline - sum(lengths[step:]) + 1)

    def _in_order(self) -> Iterator[tuple[Task, Task]]:
        for job, steps in enumerate(self.jobs):
            yield from pairwise((job, step) for step in range(len(steps)))

    def _on_one_machine(self) -> Iterator[tuple[Task, Task]]:
        for a, b in combinations(self.tasks, 2):
            if self.tasks[a][0] == self.tasks[b][0] and a[0] != b[0]:
                yield a, b

    def model(self) -> Model:
        """Time-indexed: a choice among the times at which a task can start, and pairs that exclude each other."""
        model = Model(self.name)
        start = {task: model.choice(f"start {task}", self.times(task)) for task in self.tasks}
        for a, b in self._in_order():
            for t in self.times(a):
                for u in self.times(b):
                    if u < t + self.tasks[a][1]:
                        model.add(start[a][t] + start[b][u] <= 1, f"{a} {t} before {b} {u}")
        for a, b in self._on_one_machine():
            for t in self.times(a):
                for u in self.times(b):
                    if t - self.tasks[b][1] < u < t + self.tasks[a][1]:
                        model.add(start[a][t] + start[b][u] <= 1, f"{a} {t} beside {b} {u}")
        return model

    def read(self, solution: Solution) -> Starts | None:
        starts = {task: solution[f"start {task}"] for task in self.tasks}
        return None if None in starts.values() else starts

    def constraint_program(self) -> Program[Starts]:
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        start = {task: model.new_int_var(self.times(task)[0], self.times(task)[-1], "") for task in self.tasks}
        for a, b in self._in_order():
            model.add(start[b] >= start[a] + self.tasks[a][1])
        for machine in {machine for machine, _ in self.tasks.values()}:
            on_it = [task for task, (its_machine, _) in self.tasks.items() if its_machine == machine]
            model.add_no_overlap([model.new_fixed_size_interval_var(start[t], self.tasks[t][1], "") for t in on_it])
        return Program(model, lambda value: {task: value(variable) for task, variable in start.items()})

    def linear_program(self) -> Program[Starts]:
        """Start times, and a bit for the order of two tasks on a machine (A. S. Manne, doi:10.1287/opre.8.2.219)."""
        program = Linear()
        start = {task: program.column(0, self.times(task)[0], self.times(task)[-1]) for task in self.tasks}
        for a, b in self._in_order():
            program.row(self.tasks[a][1], {start[b]: 1, start[a]: -1}, UNBOUNDED)
        for a, b in self._on_one_machine():
            first = program.column()
            a_long, b_long = self.tasks[a][1], self.tasks[b][1]
            late = self.deadline
            program.row(a_long - late, {start[b]: 1, start[a]: -1, first: -late}, UNBOUNDED)
            program.row(b_long, {start[a]: 1, start[b]: -1, first: late}, UNBOUNDED)
        return Program(program.highs, lambda value: {task: value(column) for task, column in start.items()})

"""Schedules tasks on machines: one bit for each task and possible start time, and a cost for late ends."""

import itertools

from azure.quantum import Workspace
from azure.quantum.optimization import Problem, ProblemType, SimulatedAnnealing, Term

# (machine, length) of the tasks of each job, in order
jobs = [[(0, 2), (1, 1)], [(1, 3), (0, 1)], [(0, 1), (1, 1)]]
horizon = 6
hard = 50

tasks = [(job, step, *jobs[job][step]) for job in range(len(jobs)) for step in range(len(jobs[job]))]


def begins(task, time):
    """Id of the bit that is 1 if the task begins at this time."""
    return task * horizon + time


terms = []
for task, (_, _, _, length) in enumerate(tasks):
    starts = [begins(task, time) for time in range(horizon)]
    terms.append(Term(c=hard, indices=[]))
    terms += [Term(c=-hard, indices=[i]) for i in starts]
    terms += [Term(c=2 * hard, indices=[i, j]) for i, j in itertools.combinations(starts, 2)]
    # the latest end dominates: an end at time t costs more than all tasks that end before t
    terms += [Term(c=len(tasks) ** max(0, time + length - 4), indices=[begins(task, time)]) for time in range(horizon)]
for (a, one), (b, other) in itertools.combinations(enumerate(tasks), 2):
    for s, t in itertools.product(range(horizon), repeat=2):
        overlap = one[2] == other[2] and s < t + other[3] and t < s + one[3]
        disorder = one[0] == other[0] and s + one[3] > t  # the tasks of a job must run in order
        if overlap or disorder:
            terms.append(Term(c=hard, indices=[begins(a, s), begins(b, t)]))

workspace = Workspace(subscription_id="", resource_group="", name="", location="")
problem = Problem("Job shop", terms, problem_type=ProblemType.pubo)
result = SimulatedAnnealing(workspace, timeout=10, seed=1).optimize(problem)

start = [next(t for t in range(horizon) if result["configuration"][str(begins(k, t))]) for k in range(len(tasks))]
for k, (job, step, machine, length) in enumerate(tasks):
    print(f"job {job} task {step}: machine {machine}, {start[k]} to {start[k] + length}")
makespan = max(begin + task[3] for begin, task in zip(start, tasks))  # noqa: B905
assert makespan == 5  # the tasks of machine 1 take 5 in total

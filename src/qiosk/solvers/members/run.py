"""Solves over several nodes: their members, run here one after the other or elsewhere, and their results as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qiosk.model.cost_function import CostFunction
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.carried import result_from_bytes
from qiosk.solvers.members.in_turn import InTurn
from qiosk.solvers.result import Result
from qiosk.solvers.setup import Setup, job_setup


def run_members(
    setup: Setup,
    cost_function: CostFunction,
    hooks: Hooks,
    run: Callable[[Setup, Hooks], Result] | None = None,
) -> Result:
    """Minimize a cost function; over several nodes by its members, one after the other in this process.

    ``run`` runs a setup, whole or a member's; by default by its method. Raises as :func:`solve`.
    """
    run = run or (lambda each, own: each.run(cost_function, own))
    if setup.nodes == 1:
        return run(setup, hooks)
    turns = InTurn(setup.nodes, setup.facts(cost_function), hooks)
    turns.run(lambda index, seed, own: run(setup.members(seed)[index], own))
    result = setup.merged(turns.found, turns.facts, was_cancelled=turns.was_cancelled)
    return replace(result, input_data_uri=hooks.input_data_uri)


def run_all_members(
    setup: Setup, cost_function: CostFunction, run_all: Callable[[Sequence[Setup]], tuple[Mapping[int, Result], bool]]
) -> Result:
    """Minimize a cost function by members that ``run_all`` runs, wherever that is.

    It returns their results by index, and whether the caller has cancelled them. It may leave members out then, or when
    one has found enough, see :func:`qiosk.solvers.members.merge.is_enough`; one result there must be. The result does
    not depend on the order in which they ran. A solve over one node has a single member, which is the whole.

    >>> import qiosk
    >>> problem = qiosk.Problem("pair")
    >>> problem.add_terms(coefficients=[1], ids=[[0, 1]])
    >>> setup = job_setup("microsoft.tabu.cpu", {"params": {"seed": 1, "nodes": 2, "sweeps": 10}}, threads=1)
    >>> cost_function = problem.cost_function()
    >>> def run_all(setups):
    ...     return {k: each.run(cost_function, Hooks()) for k, each in enumerate(setups)}, False
    >>> run_all_members(setup, cost_function, run_all).cost
    -1.0
    """
    facts = setup.facts(cost_function)
    if setup.nodes == 1:
        return run_all([setup.seeded(facts.seed)])[0][0]
    found, was_cancelled = run_all(setup.members(facts.seed))
    return setup.merged(found, facts, was_cancelled=was_cancelled)


def merged_job(
    name: str,
    input_params: Any,
    cost_function: CostFunction,
    found: Mapping[int, bytes],
    *,
    seed: int,
    threads: int | None = None,
    was_cancelled: bool = False,
    input_data_uri: str = "",
) -> Result:
    """The result of a job over several nodes, from those of its members by index, as ``result_to_bytes`` wrote them.

    ``input_params`` are the job's, and ``seed`` is the one that :func:`qiosk.solvers.members.divide.divide` gave to its
    members. Members may lack if another one has found enough, or if ``was_cancelled``; one result there must be. Raises
    UnreadableCheckpoint.

    >>> import qiosk
    >>> from qiosk.solvers.members.carried import result_to_bytes
    >>> from qiosk.solvers.members.divide import divide
    >>> problem = qiosk.Problem("pair")
    >>> problem.add_terms(coefficients=[1], ids=[[0, 1]])
    >>> name, job, cost_function = "microsoft.tabu.cpu", {"params": {"nodes": 2}}, problem.cost_function()
    >>> members = divide(name, job)
    >>> results = [job_setup(name, member, threads=1).run(cost_function, Hooks()) for member in members]
    >>> found = {index: result_to_bytes(result) for index, result in enumerate(results)}
    >>> merged_job(name, job, cost_function, found, seed=members[0]["params"]["seed"]).cost
    -1.0
    """
    setup = job_setup(name, input_params, threads).seeded(seed)
    results = {index: result_from_bytes(data, cost_function) for index, data in found.items()}
    result = setup.merged(results, setup.facts(cost_function), was_cancelled=was_cancelled)
    return replace(result, input_data_uri=input_data_uri)

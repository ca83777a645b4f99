"""The members of a job."""

from __future__ import annotations

from typing import Any

from qiosk.solvers.members.member import KEY
from qiosk.solvers.targets.catalogue import target
from qiosk.solvers.targets.parameters import NODES, new_seed, read_parameters


def divide(target_id: str, input_params: Any, nodes: int | None = None) -> list[dict[str, Any]]:
    """The ``inputParams`` of every member of a job over so many ``nodes``, by default as many as its parameter says.

    They have the job's seed, or a new one where it has none. Members of targets with independent restarts make a part
    of these each, with the random numbers that they have in the whole; all others make the whole search with a seed of
    their own, see :meth:`Member.seed`. What they find does not depend on where or in which order they run. Time limits
    are those of each member.

    Raises InvalidTarget, and InvalidValue if a parameter is wrong.

    >>> members = divide("microsoft.tabu.cpu", {"params": {"restarts": 8, "seed": 1}}, nodes=2)
    >>> members[1]
    {'params': {'restarts': 8, 'seed': 1, 'nodes': None}, 'qiosk.member': [1, 2]}
    """
    chosen = target(target_id)
    values = read_parameters(chosen.parameters, chosen.section(input_params))
    count = values["nodes"] or 1 if nodes is None else NODES.read(NODES.name, nodes)
    seed = new_seed() if values["seed"] is None else values["seed"]
    own = chosen.with_params(input_params, {"seed": seed, "nodes": None})
    return [own] if count == 1 else [{**own, KEY: [index, count]} for index in range(count)]

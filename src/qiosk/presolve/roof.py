"""Spins that roof duality decides: they have the same value in every optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from qiosk.kernels.presolve.graph import Graph

MOST_DEGREE = 12
"""Couplings and fields of a spin, on average, up to which roof duality is tried; in denser problems it decides nothing,
unless all couplings want equal spins: then it decides nearly all."""
STEPS = 5_000
"""Nodes that are looked at before the caller is asked whether to go on; some 20 ms."""
LONG = 200_000
"""Nodes that are looked at before it may be given up because it seems to decide little: some 0.1 s."""
LEAST_LOSS = 0.01
"""Share of the nodes that reach the sink at first that must no longer reach it when distances are computed again. In
random problems of 100 000 bits it is 0.02 at a mean degree of 6, where all spins are decided, 0.004 at 8, and 0.001 at
10."""
MOST_STEPS = 200
"""Nodes that are looked at for each spin, at most: the flow is given up then."""


def seems_to_decide(n_spins: int, n_edges: int, n_fields: int, *, is_ferromagnetic: bool) -> bool:
    """Whether roof duality may decide spins: there are fields, and few couplings or only such as want equal spins."""
    return n_fields > 0 and (is_ferromagnetic or 2 * n_edges + n_fields <= MOST_DEGREE * n_spins)


def try_roof_duality(graph: Graph, check: Callable[[], None]) -> int:
    """Fix the spins that roof duality decides, if it seems to decide some; returns how many these are."""
    weights, fields = graph.weights[graph.weights != 0], graph.fields[graph.is_left]
    n_fields = int(np.count_nonzero(fields))
    is_ferromagnetic = not np.any(weights > 0)
    if not seems_to_decide(len(fields), len(weights), n_fields, is_ferromagnetic=is_ferromagnetic):
        return 0
    return fix_persistent_spins(graph, check, may_give_up=not is_ferromagnetic)


def fix_persistent_spins(graph: Graph, check: Callable[[], None], *, may_give_up: bool = False) -> int:
    """Fix the spins that roof duality decides; returns how many these are. ``check`` is called often and may raise.

    With ``may_give_up`` it ends early where it seems to decide little and takes long.
    """
    from qiosk.kernels.presolve.roof import REACHED, Flow, begin_flow, fix_persistent, push_flow

    n, m = len(graph.fields), len(graph.weights)
    flow = Flow(
        flows=np.zeros((m, 2), np.int64),
        excess=np.zeros(2 * n, np.int64),
        to_sink=np.zeros(2 * n, np.int64),
        height=np.zeros(2 * n, np.int32),
        is_queued=np.zeros(2 * n, np.bool_),
        queue=np.zeros(2 * n, np.int32),
        counters=np.zeros(5, np.int64),
    )
    begin_flow()(graph, flow)
    push, reached = push_flow(), list[int]()
    for k in range(1 + MOST_STEPS * n // STEPS):
        check()
        if push(graph, flow, STEPS):
            return int(fix_persistent()(graph, flow.height))
        count = int(flow.counters[REACHED])
        if not may_give_up or count == (reached[-1] if reached else 0):
            continue
        reached.append(count)
        if len(reached) == 2 and STEPS * k >= LONG and count > (1.0 - LEAST_LOSS) * reached[0]:
            break
    return 0

"""The best configurations of small quadratic problems of spins, found by a search tree with a limit of its nodes.

The compiler is loaded when the tree is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]

MOST_SPINS = 62
"""Configurations are integers."""
NODES_BETWEEN = 4000
"""Nodes before the caller is asked whether to go on; some 20 ms where they are largest."""
MINIMA_SHARE = 5
"""Nodes of the trees for the bounds, for each of the tree itself; they have one field where that has 32."""
NODES_OF_30, NODES_PER_SPIN = 4000, 1.28
"""Nodes that a dense problem of 30 spins takes, and how many times as many each further spin."""


def expected_nodes(n: int | I64) -> Any:
    """About how many nodes the tree of a dense problem of n spins has; of several, if there are several numbers."""
    return NODES_OF_30 * NODES_PER_SPIN ** (n - 30.0)


def best_by_tree(
    couplings: I64, fields: I64, costs: I64, most: int, *, is_symmetric: bool, check: Callable[[], None]
) -> tuple[I64 | None, int]:
    """The best configurations of 6 to 62 spins, None if that takes more than ``most`` nodes; and the nodes.

    couplings: (n, n) int64, symmetric with zeros on the diagonal; fields: (n,) int64. The sizes of all add up to less
    than 2^61. costs: (k,), larger than all costs; updated with those of the k best configurations, ascending. These are
    (k,) int64; bit i is set where spin i is -1. is_symmetric: there are no fields, and of a configuration and its
    opposite one is enough. ``check`` is called some 50 times a second and may raise.
    """
    from qiosk.kernels.exact.tree import LOW, NODES, begin_minima, begin_tree, search_tree, suffix_minima

    n = len(fields)
    # first those that matter most
    order = np.argsort(-(np.abs(couplings).sum(axis=1) + np.abs(fields)), kind="stable")
    couplings, fields = np.ascontiguousarray(couplings[np.ix_(order, order)]), fields[order]
    high, rest = np.ascontiguousarray(couplings[:-LOW, :-LOW]), np.zeros(n - LOW + 1, np.int64)
    found = np.zeros(len(costs), np.int64)
    minima, tree, first, then = suffix_minima(), search_tree(), begin_minima(n - LOW), begin_tree(n)
    is_done = _is_ended(lambda nodes: bool(minima(high, MINIMA_SHARE * nodes, rest, first)), most, check) and _is_ended(
        lambda nodes: bool(tree(couplings, fields, rest, nodes, is_symmetric, costs, found, then)), most, check
    )
    nodes = int(first.counters[NODES]) // MINIMA_SHARE + int(then.counters[NODES])
    if not is_done:
        return None, nodes
    bits = (found[:, None] >> np.argsort(order)) & 1
    return (bits << np.arange(n)).sum(axis=1), nodes


def _is_ended(search: Callable[[int], bool], most: int, check: Callable[[], None]) -> bool:
    """Whether a search ends with ``most`` nodes; called with how many there may be, it returns whether it has."""
    for nodes in range(NODES_BETWEEN, most + NODES_BETWEEN, NODES_BETWEEN):
        if search(min(nodes, most)):
            return True
        check()
    return False

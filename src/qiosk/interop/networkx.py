"""NetworkX: classic problems on graphs. Needs ``pip install qiosk[networkx]``.

Formulations as in A. Lucas, "Ising formulations of many NP problems", Front. Phys. 2, 5 (2014),
doi:10.3389/fphy.2014.00005.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qiosk.errors import InvalidValue
from qiosk.interop.labels import Encoded
from qiosk.model.cost_function import F64, I64
from qiosk.modeling import Model, total
from qiosk.problem import Problem, ProblemType


@dataclass(frozen=True, slots=True)
class Cut:
    """The two sides of a graph, and the total weight of the edges between them.

    >>> import networkx
    >>> from qiosk.interop.networkx import max_cut
    >>> max_cut(networkx.path_graph(3)).decode({0: 1, 1: -1, 2: 1})
    Cut(sides=({0, 2}, {1}), weight=2.0)
    """

    sides: tuple[set[Any], set[Any]]
    weight: float


@dataclass(frozen=True, slots=True)
class Coloring:
    """A color for each node (None if the solution assigns none or several), and the edges whose ends have one color.

    >>> import networkx
    >>> from qiosk.interop.networkx import coloring
    >>> coloring(networkx.path_graph(2), colors=2).decode({0: 1, 1: 0, 2: 1, 3: 0})
    Coloring(colors={0: 0, 1: 0}, conflicts=[(0, 1)])
    """

    colors: Mapping[Any, int | None]
    conflicts: list[tuple[Any, Any]]


def max_cut(graph: Any, weight: str = "weight") -> Encoded[Cut]:
    """Split the nodes so that the total weight of the edges between the sides is largest.

    ``weight`` is the name of an edge attribute; edges without it have weight 1. There is one spin per node, and the
    cost is the total weight minus twice that of the cut. Raises InvalidValue for a weight that is not a number.

    >>> import networkx, qiosk
    >>> from qiosk.interop.networkx import max_cut
    >>> cut = max_cut(networkx.cycle_graph(6))
    >>> cut.decode(qiosk.solve(cut, timeout=1)).weight
    6.0
    """
    problem, edges, weights = _spins(graph, weight, "max-cut")
    problem.add_terms(coefficients=weights, ids=edges)
    return Encoded(problem, lambda configuration: _cut(graph, weight, configuration))


def partition(graph: Any, weight: str = "weight", *, penalty: float | None = None) -> Encoded[Cut]:
    """Split the nodes into halves of equal size so that the total weight of the edges between them is smallest.

    With an odd number of nodes the sizes differ by one. ``penalty`` times the squared difference of the sizes is added
    to the cost; by default 1/8 of min(2 * largest degree, n), at least 1, times the largest weight. With unit weights,
    unequal halves then never have a lower cost. Raises InvalidValue for a weight that is not a number.

    >>> import networkx, qiosk
    >>> from qiosk.interop.networkx import partition
    >>> halves = partition(networkx.barbell_graph(4, 0))
    >>> halves.decode(qiosk.solve(halves, timeout=1)).weight
    1.0
    """
    problem, edges, weights = _spins(graph, weight, "partition")
    n = graph.number_of_nodes()
    problem.add_terms(coefficients=-weights / 2, ids=edges)
    problem.add_term(float(weights.sum()) / 2, [])
    if penalty is None:
        largest = max((degree for _, degree in graph.degree()), default=0)
        penalty = max(1.0, min(2 * largest, n) / 8) * float(np.abs(weights).max(initial=1.0))
    problem.add_slc_term([(1, i) for i in range(n)], c=penalty)
    return Encoded(problem, lambda configuration: _cut(graph, weight, configuration))


def coloring(graph: Any, colors: int) -> Encoded[Coloring]:
    """Assign one of ``colors`` colors to every node so that no edge connects nodes of one color.

    Raises InvalidValue for fewer colors than 1.

    >>> import networkx, qiosk
    >>> from qiosk.interop.networkx import coloring
    >>> colored = coloring(networkx.cycle_graph(5), colors=3)
    >>> colored.decode(qiosk.solve(colored, timeout=1)).conflicts
    []
    """
    if colors < 1:
        raise InvalidValue(f"colors: must be at least 1, found {colors}")
    model = Model("coloring")
    nodes = list(graph.nodes)
    choices = [model.choice(str(i), range(colors)) for i in range(len(nodes))]
    number = {node: i for i, node in enumerate(nodes)}
    edges = [(number[u], number[v]) for u, v in graph.edges() if u != v]
    model.minimize(total(choices[u][c] * choices[v][c] for u, v in dict.fromkeys(edges) for c in range(colors)))

    def read(configuration: Mapping[int, int]) -> Coloring:
        solution = model.decode(configuration)
        found = {node: solution.values[str(i)] for node, i in number.items()}
        return Coloring(found, [(u, v) for u, v in graph.edges() if u == v or found[u] == found[v]])

    return Encoded(model.problem(), read)


def _spins(graph: Any, weight: str, name: str) -> tuple[Problem, I64, F64]:
    """A problem with a spin for every node, and the edges except loops: their ends (m, 2) and weights (m,)."""
    number = {node: i for i, node in enumerate(graph.nodes)}
    problem = Problem(name, problem_type=ProblemType.ising)
    problem.add_terms(coefficients=np.zeros(len(number)), ids=np.arange(len(number))[:, None])
    edges, weights = [], []
    for u, v, w in graph.edges(data=weight, default=1):
        if isinstance(w, bool) or not isinstance(w, (int, float, np.number)):
            raise InvalidValue(f"edge {u!r}-{v!r}: `{weight}` must be a number, found {w!r}")
        if u != v:
            edges.append((number[u], number[v]))
            weights.append(float(w))
    return problem, np.array(edges, np.int64).reshape(-1, 2), np.array(weights, np.float64)


def _cut(graph: Any, weight: str, configuration: Mapping[int, int]) -> Cut:
    nodes = list(graph.nodes)
    side = {node for i, node in enumerate(nodes) if configuration[i] == 1}
    between = (w for u, v, w in graph.edges(data=weight, default=1) if (u in side) != (v in side))
    return Cut((side, set(nodes) - side), float(sum(between)))

"""NetworkX graphs: the classic problems on them. Needs ``pip install qiosk[networkx]``.

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
from qiosk.modeling import Model, total
from qiosk.problem import Problem, ProblemType


@dataclass(frozen=True, slots=True)
class Cut:
    """Two sides of a graph, and the weight of the edges between them."""

    sides: tuple[set[Any], set[Any]]
    weight: float


@dataclass(frozen=True, slots=True)
class Coloring:
    """A color for each node (None where the solution gives none or several), and the edges of one color."""

    colors: Mapping[Any, int | None]
    conflicts: list[tuple[Any, Any]]


def max_cut(graph: Any, weight: str = "weight") -> Encoded[Cut]:
    """Split the nodes so that the edges between the sides weigh most. Edges without ``weight`` weigh 1.

    A spin per node; cost = total weight less twice the cut. Raises InvalidValue for a weight that is no number.
    """
    problem, _, weights = _spins(graph, weight, "max-cut")
    problem.add_terms(coefficients=weights, ids=_edges(graph))
    return Encoded(problem, lambda configuration: _cut(graph, weight, configuration))


def partition(graph: Any, weight: str = "weight", *, penalty: float | None = None) -> Encoded[Cut]:
    """Split the nodes into halves (equal, or one apart) so that the edges between them weigh least.

    ``penalty`` times the squared difference of the halves' sizes is added; automatic unless given: half of
    min(2 largest degree, n), which for unit weights makes imbalance never pay, times the largest weight.
    """
    problem, n, weights = _spins(graph, weight, "partition")
    problem.add_terms(coefficients=-weights / 2, ids=_edges(graph))
    problem.add_term(float(weights.sum()) / 2, [])
    if penalty is None:
        largest = max((degree for _, degree in graph.degree()), default=0)
        penalty = max(1.0, min(2 * largest, n) / 8) * float(np.abs(weights).max(initial=1.0))
    problem.add_slc_term([(1, i) for i in range(n)], c=penalty)
    return Encoded(problem, lambda configuration: _cut(graph, weight, configuration))


def coloring(graph: Any, colors: int) -> Encoded[Coloring]:
    """Give every node one of ``colors`` colors so that no edge joins two of the same."""
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


def _spins(graph: Any, weight: str, name: str) -> tuple[Problem, int, np.ndarray[Any, np.dtype[np.float64]]]:
    """A problem in which every node is a spin, the number of nodes, and the weights of the edges but loops."""
    n = graph.number_of_nodes()
    problem = Problem(name, problem_type=ProblemType.ising)
    problem.add_terms(coefficients=np.zeros(n), ids=np.arange(n)[:, None])
    weights = []
    for u, v, w in graph.edges(data=weight, default=1):
        if isinstance(w, bool) or not isinstance(w, (int, float, np.number)):
            raise InvalidValue(f"edge {u!r}-{v!r}: `{weight}` must be a number, found {w!r}")
        if u != v:
            weights.append(float(w))
    return problem, n, np.array(weights, np.float64)


def _edges(graph: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    number = {node: i for i, node in enumerate(graph.nodes)}
    pairs = [(number[u], number[v]) for u, v in graph.edges() if u != v]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _cut(graph: Any, weight: str, configuration: Mapping[int, int]) -> Cut:
    nodes = list(graph.nodes)
    ups = {node for i, node in enumerate(nodes) if configuration[i] == 1}
    between = (w for u, v, w in graph.edges(data=weight, default=1) if (u in ups) != (v in ups))
    return Cut((ups, set(nodes) - ups), float(sum(between)))

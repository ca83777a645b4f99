"""From a problem to a smaller one with the same minimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.exact import SpinIntegers, spin_integers
from qiosk.model.pairs import PairList
from qiosk.model.sources import cost_function_of
from qiosk.presolve.components import eliminate_components
from qiosk.presolve.reduced import Records, Reduced

if TYPE_CHECKING:
    from qiosk.kernels.presolve.graph import Graph

_HALF = np.dtype([("after", "i4"), ("before", "i4"), ("ends", "i4")])
_SPIN = np.dtype(
    [
        ("head", "i4"),
        ("degree", "i4"),
        ("fields", "i8"),
        ("totals", "i8"),
        ("is_left", "?"),
        ("is_queued", "?", (3,)),
        ("scanned", "i8"),
        ("marks", "i8"),
    ],
    align=True,
)
"""What a rule reads of a half-edge, or of a spin, is in one line of the cache."""
MOST_BITS = 61
"""All integers together stay below 2**61, however often they are doubled."""
STEPS = 200_000
"""Spins that are looked at before the caller is asked whether to go on; some 0.1 s."""


def reduce(problem: Any, *, is_strict: bool = False, eliminates: bool = False) -> Reduced:
    """A smaller problem with the same minimum.

    Args:
        problem: quadratic, in any form that :func:`qiosk.solve` takes, without squared linear combinations and one-hot
            groups.
        is_strict: drop no optimum. Without it some optimum is kept, which takes out more variables.
        eliminates: after the rules, also take out whole components that are so narrow that elimination finds an
            optimum of each at once; not with ``is_strict``.

    Raises:
        InvalidValue: the problem has larger terms, squared linear combinations or one-hot groups.

    The rules minimize spins of up to three neighbours out, and merge spins that are equal or opposite in an optimum
    (Lange, Andres and Swoboda, https://doi.org/10.48550/arXiv.1812.01426; Rehfeldt, Koch and Shinano,
    https://doi.org/10.1007/s12532-023-00236-6). All is computed in integers.

    >>> from qiosk.presolve import reduce
    >>> reduced = reduce({(0, 0): -1, (0, 1): 3, (1, 1): -2})
    >>> reduced.n_removed, reduced.problem.constant, reduced.lift([]).tolist()
    (2, -2.0, [0, 1])
    """
    return reduce_compiled(compile_problem(cost_function_of(problem)), is_strict=is_strict, eliminates=eliminates)


def reduce_compiled(
    problem: CompiledProblem,
    *,
    is_strict: bool = False,
    eliminates: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Reduced:
    """As :func:`reduce`, of a compiled problem. ``check`` is called every tenth of a second and may raise."""
    from qiosk.errors import InvalidValue
    from qiosk.kernels.presolve.graph import DOUBLINGS, REMOVED, RULES
    from qiosk.kernels.presolve.rules import rules

    if problem.one_hot is not None:
        raise InvalidValue("problem: must have no one-hot groups")
    integers = spin_integers(problem)
    graph = _graph(integers)
    apply = rules()
    while not apply(graph, is_strict, STEPS):
        check()
    eliminated = eliminate_components(graph, check) if eliminates and not is_strict else 0
    count = int(graph.counters[REMOVED])
    counts = {rule: int(k) for rule, k in zip(RULES, graph.counts, strict=True) if k}
    return Reduced(
        problem=_left(problem, integers, graph, 2.0 ** int(graph.counters[DOUBLINGS])),
        original=problem,
        counts=counts | ({"eliminated": eliminated} if eliminated else {}),
        is_strict=is_strict,
        is_exact=integers.is_exact,
        records=Records(graph.removed[:count], graph.partners[:count], graph.couplings[:count]),
    )


def reduce_fully(problem: CompiledProblem) -> Reduced:
    """As :func:`reduce_compiled`, with elimination."""
    return reduce_compiled(problem, eliminates=True)


def _graph(integers: SpinIntegers) -> Graph:
    from qiosk.kernels.presolve.graph import FIRST, MOST_DOUBLINGS, RULES, Graph
    from qiosk.kernels.presolve.rules import link_all

    n, m = len(integers.fields), len(integers.weights)
    is_edge = integers.weights != 0  # sizes below the unit were rounded to 0
    rows, cols, weights = (column[is_edge] for column in (integers.rows, integers.cols, integers.weights))
    counters = np.zeros(5, np.int64)
    counters[MOST_DOUBLINGS] = MOST_BITS - integers.size.bit_length()
    spins, halves = np.zeros(n, _SPIN), np.full(2 * len(weights), -1, _HALF)
    halves["ends"][::2], halves["ends"][1::2] = cols, rows
    spins["head"], spins["fields"], spins["is_left"], spins["scanned"] = -1, integers.fields, True, 2**62
    spins["is_queued"][:, FIRST] = True
    graph = Graph(
        **{name: spins[name] for name in _SPIN.names or () if name != "is_queued"},
        **{name: halves[name] for name in _HALF.names or ()},
        is_queued=spins["is_queued"].T,
        weights=weights,
        free=np.empty(m, np.int32),
        removed=np.empty(n, np.int32),
        partners=np.full((n, 3), -1, np.int32),
        couplings=np.zeros((n, 3), np.int64),
        counters=counters,
        counts=np.zeros(len(RULES), np.int64),
        queues=np.tile(np.arange(n - 1, -1, -1, dtype=np.int32), (3, 1)),
        lengths=np.array([n, 0, 0]),
    )
    link_all()(graph)
    return graph


def _left(problem: CompiledProblem, integers: SpinIntegers, graph: Graph, factor: float) -> CompiledProblem:
    """The spins that are left, as a compiled problem."""
    from qiosk.kernels.presolve.graph import CONSTANT

    unit = integers.unit / factor
    edges = np.flatnonzero(graph.weights)
    place = np.cumsum(graph.is_left) - 1
    u, v = place[graph.ends[2 * edges]], place[graph.ends[2 * edges + 1]]
    rows, cols = np.minimum(u, v), np.maximum(u, v)
    order = np.argsort(rows * max(1, graph.is_left.sum()) + cols, kind="stable")
    constant = integers.constant + int(graph.counters[CONSTANT]) / factor
    return replace(
        problem,
        is_spin=True,
        variables=problem.variables[graph.is_left],
        constant=integers.offset + integers.unit * constant,
        linear=graph.fields[graph.is_left].astype(np.float64) * unit,
        pairs=PairList(
            rows[order].astype(np.int32),
            cols[order].astype(np.int32),
            graph.weights[edges[order]].astype(np.float64) * unit,
        ),
    )

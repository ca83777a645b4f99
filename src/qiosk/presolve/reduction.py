"""From a problem to a smaller one with the same minimum."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.exact import spin_integers
from qiosk.model.sources import cost_function_of
from qiosk.presolve.blocks import solve_blocks
from qiosk.presolve.graph import make_graph, what_is_left
from qiosk.presolve.leaves import solve_leaves
from qiosk.presolve.reduced import Records, Reduced
from qiosk.presolve.roof import try_roof_duality
from qiosk.presolve.twins import merge_twins

if TYPE_CHECKING:
    from qiosk.kernels.presolve.graph import Graph

STEPS = 10_000
"""Spins that are looked at before the caller is asked whether to go on; some 20 ms."""
MOST_ROUNDS = 10
"""How often twins are sought: merges may make further ones."""
MOST_NODES = 1 << 20
"""Nodes of the search trees of all blocks together: some 0.4 s."""


def reduce(problem: Any, *, is_strict: bool = False, eliminates: bool = False) -> Reduced:
    """A smaller problem with the same minimum.

    Args:
        problem: quadratic, in any form that :func:`qiosk.solve` takes, without squared linear combinations and one-hot
            groups.
        is_strict: drop no optimum. Without it some optimum is kept, which takes out more variables.
        eliminates: after the rules, also take out biconnected components of which an optimum is found at once: those
            that are narrow, by elimination, and those of few variables, by a search tree; not with ``is_strict``.

    Raises:
        InvalidValue: the problem has larger terms, squared linear combinations or one-hot groups.

    The rules minimize spins of up to three neighbours out, merge spins that are equal or opposite in an optimum
    (Lange, Andres and Swoboda, https://doi.org/10.48550/arXiv.1812.01426; Rehfeldt, Koch and Shinano,
    https://doi.org/10.1007/s12532-023-00236-6), and fix spins by a maximum flow (Boros and Hammer,
    https://doi.org/10.1016/S0166-218X(01)00341-9). All is computed in integers.

    >>> from qiosk.presolve import reduce
    >>> reduced = reduce({(0, 0): -1, (0, 1): 3, (1, 1): -2})
    >>> reduced.n_removed, reduced.problem.constant, reduced.lift([]).tolist()
    (2, -2.0, [0, 1])
    """
    compiled = compile_problem(cost_function_of(problem))
    return reduce_compiled(compiled, is_strict=is_strict, eliminates=eliminates, nodes=MOST_NODES)


def reduce_compiled(
    problem: CompiledProblem,
    *,
    is_strict: bool = False,
    eliminates: bool = False,
    nodes: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Reduced:
    """As :func:`reduce`, of a compiled problem. Search trees have at most ``nodes`` nodes together, none with 0.

    ``check`` is called some 50 times a second and may raise.
    """
    from qiosk.errors import InvalidValue
    from qiosk.kernels.presolve.graph import REMOVED, RULES

    if problem.one_hot is not None:
        raise InvalidValue("problem: must have no one-hot groups")
    integers = spin_integers(problem)
    graph = make_graph(integers, check)
    _apply_rules(graph, is_strict, check)
    if try_roof_duality(graph, check):
        _apply_rules(graph, is_strict, check)
    for _ in range(MOST_ROUNDS):
        if not merge_twins(graph, is_strict=is_strict):
            break
        _apply_rules(graph, is_strict, check)
    if eliminates and not is_strict:
        merged, nodes = solve_blocks(graph, nodes, check)
        if merged + solve_leaves(graph, nodes, check):
            _apply_rules(graph, is_strict, check)
    count = int(graph.counters[REMOVED])
    counts = {rule: int(k) for rule, k in zip(RULES, graph.counts, strict=True) if k}
    return Reduced(
        problem=what_is_left(problem, integers, graph, check),
        original=problem,
        counts=counts,
        is_strict=is_strict,
        is_exact=integers.is_exact,
        records=Records(graph.removed[:count], graph.partners[:count], graph.couplings[:count]),
    )


@cache
def reduce_fully(nodes: int) -> Callable[..., Reduced]:
    """:func:`reduce_compiled` with elimination and so many nodes: the same function for the same number."""

    def reduce_with_nodes(problem: CompiledProblem, *, check: Callable[[], None] = lambda: None) -> Reduced:
        return reduce_compiled(problem, eliminates=True, nodes=nodes, check=check)

    return reduce_with_nodes


def _apply_rules(graph: Graph, is_strict: bool, check: Callable[[], None]) -> None:
    """Apply the rules until none does any more."""
    from qiosk.kernels.presolve.rules import rules

    apply = rules()
    while not apply(graph, is_strict, STEPS):
        check()

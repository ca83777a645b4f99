"""Problems of which the best configurations are found, and proved to be the best, before any search.

Few variables: all costs are computed, of more variables if no term has more than four. More, in a quadratic problem: a
search tree. A problem of small width: elimination.

All that counts integers. Where the coefficients are whole multiples of a unit in the range of int64, these are exact;
decimal fractions count as what they round to. Else each is rounded to a multiple, which changes the difference of two
costs by less than one multiple for each coefficient. The configurations that this leaves undecided are compared by
their costs in exact fractions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.bound import Bound, Scale, rounded_down, scale_of
from qiosk.bounds.elimination import METHOD as ELIMINATION
from qiosk.bounds.elimination import Effort, elimination, is_wide
from qiosk.bounds.polynomial import Polynomial, polynomial
from qiosk.bounds.trivial import attains_every_term
from qiosk.kernels.exact.best import MOST_SPINS, best_by_tree, expected_nodes
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8, I64
from qiosk.model.exact import ExactCosts, spin_integers
from qiosk.model.flips import cost_of
from qiosk.solvers.result import ENUMERATION

EXHAUSTIVE, TREE = "exhaustive", "tree"
"""Kernels: all costs are computed, or a search tree excludes most of them."""
NARROW = 17
"""Variables from which problems with larger terms are eliminated rather than enumerated, if that is less work."""
MOST_TIME, LONG = 0.02, 60.0
"""Share of the time limit for elimination, and the time limit from which that is no longer more [s]."""
PLANNING_SECONDS, ADDITION_SECONDS = 5e-6, 2e-9
"""What it takes to find an order, for each variable and term, and what an addition to a table takes [s]."""
EXACT_KERNELS = (EXHAUSTIVE, TREE)
"""Kernels that find the best configurations that there are, as many as are wanted."""
FEW, MANY = 12, 21
"""Variables up to which all costs are computed, without compiled kernels and with them: some 0.2 and 6 ms."""
GRAY_BITS, GRAY_SECONDS = 25, 3e-10
"""Variables that may be free where no term has more than four, and what a configuration takes then [s]."""
GRAY_WANTED = 100
"""Solutions of more than ``MANY`` variables, at most."""
GRAY_NARROW = 23
"""Variables from which such problems are eliminated, if that is less work."""
GRAY_SIZE = 1 << 31
"""Sizes of all coefficients of such problems together, in their unit, are less."""
MOST_SOLUTIONS = 10_000
"""Solutions that are looked for by a search tree, at most."""
UNDECIDED = 16
"""Configurations beyond those that are wanted, that rounding may leave undecided."""
FREE = np.int64(2**62)
"""Larger than all costs."""
LEAST_NODES, NODES_PER_SECOND = 20_000, 10_000
"""Nodes of a search tree: at least so many, some 10 ms; and for each second of the time limit, 2 % of it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Exact:
    """The best configurations, the best first; no cost is below ``bound``. ``is_proved``: none is below the first's."""

    configurations: Sequence[I8]
    kernel: str
    bound: Bound
    is_proved: bool


def exact_minimum(
    problem: CompiledProblem,
    wanted: int,
    time_limit: float,
    *,
    eliminates: bool = True,
    check: Callable[[], None] = lambda: None,
) -> Exact | None:
    """The best ``wanted`` configurations of a problem without promises and squares; None where that takes more than a
    moment.

    ``time_limit``: of the whole run [s]. Without ``eliminates`` there is no elimination; it finds one configuration.
    ``check`` is called some 50 times a second and may raise.
    """
    found, may_eliminate = None, eliminates and wanted == 1
    if problem.n <= FEW:
        return _enumerated(problem, wanted)
    if problem.is_quadratic:
        found = _branched(problem, wanted, time_limit, check)
    elif (terms := _of_four(problem, wanted, time_limit)) is not None:
        if may_eliminate and problem.n >= GRAY_NARROW:
            found = _eliminated(problem, Effort(work=1 << (problem.n - 2)), check)
        return found or _in_gray_order(problem, terms, wanted)
    elif may_eliminate and NARROW <= problem.n <= MANY:
        found = _eliminated(problem, Effort(work=1 << problem.n), check)
    if found is None and problem.n <= MANY and not problem.is_quadratic:
        return _enumerated(problem, wanted)
    if found is None and may_eliminate:
        seconds = MOST_TIME * min(time_limit, LONG)
        if PLANNING_SECONDS * (problem.n + problem.n_pairs + len(problem.term_values)) <= seconds:
            return _eliminated(problem, Effort(work=int(seconds / ADDITION_SECONDS)), check)
    return found


def _eliminated(problem: CompiledProblem, effort: Effort, check: Callable[[], None]) -> Exact | None:
    """By elimination, unless that takes more effort."""
    proof, began, terms = None, time.perf_counter(), polynomial(problem)
    if is_wide(terms, min(effort.width, effort.work.bit_length() - 2)):  # its largest table alone would be too much
        return None
    for found in elimination(terms, effort):
        proof = found
        check()
    if proof is None or proof.configuration is None:
        return None
    bound, x = Bound.of(proof, time.perf_counter() - began), proof.configuration
    is_proved = proof.scale.error == 0 or attains_every_term(problem, x)
    return Exact(configurations=[x], kernel=ELIMINATION, bound=bound, is_proved=is_proved)


def _enumerated(problem: CompiledProblem, wanted: int) -> Exact:
    terms = polynomial(problem)
    count = min(1 << problem.n, _asked(wanted, terms.scale))
    if problem.n <= FEW:
        levels = all_levels(terms)
        masks = np.argsort(levels, kind="stable")[:count]
        return _exact(problem, terms.scale, wanted, masks, levels[masks], EXHAUSTIVE)
    from qiosk.kernels.exact.halves import search_all

    levels, masks = np.full(count, FREE), np.zeros(count, np.int64)
    is_symmetric = _is_symmetric(terms, wanted)
    search_all()(terms.indptr, terms.variables, terms.values, terms.n, terms.is_spin, is_symmetric, levels, masks)
    return _exact(problem, terms.scale, wanted, masks, levels, EXHAUSTIVE)


def _is_symmetric(terms: Polynomial, wanted: int) -> bool:
    """Whether of a configuration and its opposite one is enough."""
    return wanted == 1 and terms.is_spin and not np.any(np.diff(terms.indptr) % 2)


def _of_four(problem: CompiledProblem, wanted: int, time_limit: float) -> Polynomial | None:
    """The terms of a problem of which all costs are computed in Gray order; None if they do not suit that."""
    from qiosk.kernels.exact.gray import MOST_MEMBERS

    if problem.locality > MOST_MEMBERS or problem.n > GRAY_BITS + 1:
        return None
    terms = polynomial(problem)
    free = problem.n - _is_symmetric(terms, wanted)
    is_quick = free <= GRAY_BITS and wanted <= GRAY_WANTED and GRAY_SECONDS * 2**free <= MOST_TIME * time_limit
    return terms if terms.size < GRAY_SIZE and (problem.n <= MANY or is_quick) else None


def _in_gray_order(problem: CompiledProblem, terms: Polynomial, wanted: int) -> Exact:
    from qiosk.kernels.exact.gray import search_in_gray_order, tables_for

    count = min(1 << problem.n, _asked(wanted, terms.scale))
    levels, masks, tables = np.full(count, FREE), np.zeros(count, np.int64), tables_for(problem.n)
    shape = terms.indptr, terms.variables, terms.values, terms.n, terms.is_spin, _is_symmetric(terms, wanted)
    search_in_gray_order()(*shape, tables, levels, masks)
    return _exact(problem, terms.scale, wanted, masks, levels, EXHAUSTIVE)


def all_levels(terms: Polynomial) -> I64:
    """(2^n,) level of every configuration; bit i of the index is set where bit i is 1, or spin i -1."""
    levels = np.zeros(1 << terms.n, np.int64)
    if len(terms.values):
        masks = np.bitwise_or.reduceat(np.int64(1) << terms.variables, terms.indptr[:-1])
        levels[masks] = terms.values
    evaluate_everywhere(levels, terms.n, terms.is_spin)
    return levels


def evaluate_everywhere(values: NDArray[Any], n: int, is_spin: bool) -> None:
    """From the coefficient of every set of n variables to the sum at every configuration, in place; (2^n,) each.

    Bit i of an index is set where variable i is in the set, and where it is 1, or spin -1.
    """
    for i in range(n):
        low, high = np.moveaxis(values.reshape(-1, 2, 1 << i), 1, 0)
        if is_spin:
            low[:], high[:] = low + high, low - high
        else:
            high += low


def _branched(problem: CompiledProblem, wanted: int, time_limit: float, check: Callable[[], None]) -> Exact | None:
    """By a search tree, unless that would have too many nodes."""
    n, most = problem.n, int(max(LEAST_NODES, min(time_limit, 3600.0) * NODES_PER_SECOND))
    if wanted > MOST_SOLUTIONS or n > MOST_SPINS or expected_nodes(n) > most:
        return None
    integers = spin_integers(problem)
    couplings = np.zeros((n, n), np.int64)
    couplings[integers.rows, integers.cols] = integers.weights
    couplings += couplings.T
    quarters = 1 if problem.is_spin else 4
    count = problem.n + problem.n_pairs
    scale = scale_of(problem, integers.unit * quarters, count, is_exact=integers.is_exact, quarters=quarters)
    levels = np.full(min(1 << n, _asked(wanted, scale)), FREE)
    is_symmetric = wanted == 1 and not integers.fields.any()
    masks, _ = best_by_tree(couplings, integers.fields, levels, most, is_symmetric=is_symmetric, check=check)
    if masks is None:
        return None
    levels[levels < FREE] += integers.constant
    return _exact(problem, scale, wanted, masks, levels, TREE)


def _asked(wanted: int, scale: Scale) -> int:
    """How many configurations to ask for, so that so many are among them whatever was rounded."""
    return wanted if scale.error == 0 else wanted + UNDECIDED


def _exact(problem: CompiledProblem, scale: Scale, wanted: int, masks: I64, levels: I64, kernel: str) -> Exact:
    """The best of some configurations in the order of their levels; they are all, or there are more than wanted."""
    masks, levels = masks[levels < FREE], levels[levels < FREE]
    wanted = min(wanted, len(levels))
    # a level is off by at most half a unit for each coefficient, and so is that of another one
    window = int(2 * scale.error / scale.unit) + 1 if scale.error else 0
    near = levels[wanted - 1] + window
    is_proved = scale.error == 0 or bool(levels[-1] > near) or len(levels) == 1 << problem.n
    masks, levels = masks[levels <= near], levels[levels <= near]
    bits = ((masks[:, None] >> np.arange(problem.n)) & 1).astype(np.int8)
    configurations = list((1 - 2 * bits).astype(np.int8) if problem.is_spin else bits)
    if scale.error and np.any(np.diff(levels) <= window):
        configurations = in_exact_order(problem, configurations)
    configurations = configurations[:wanted]
    cost = cost_of(problem, configurations[0])
    exact_bound = Fraction(cost) if is_proved else scale.least(int(levels[0]))
    bound = Bound(
        value=cost if is_proved else rounded_down(exact_bound),
        method=ENUMERATION,
        seconds=0.0,
        certificate={},
        exact=exact_bound,
    )
    return Exact(configurations=configurations, kernel=kernel, bound=bound, is_proved=is_proved)


def in_exact_order(problem: CompiledProblem, configurations: Sequence[I8]) -> list[I8]:
    """Configurations (n,) of a problem, ordered by their costs without rounding."""
    return sorted(configurations, key=ExactCosts(problem).of)

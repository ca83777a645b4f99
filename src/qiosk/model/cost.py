"""Cost of a configuration, computed from the terms as they were given: the reference for every solver.

Products of spins or bits are exact. Their sum is exact for integer coefficients whose absolute values add up
to less than 2**53; any other sum is that of ``math.fsum``, rounded once, so a cost depends neither on the
order of the terms nor on how many configurations are evaluated together. A squared linear combination is
summed the same way inside, then squared and multiplied in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qiosk.errors import InvalidValue, WrongType
from qiosk.model.cost_function import BLOCK, CONSTANT, F64, I8, I64, CostFunction

_EXACT = float(2**53)
MANY_TERMS = 1 << 14
"""Terms from which a compiled pass is worth loading Numba."""
_BLOCK = 1 << 22  # elements of an intermediate array, some 4 MB of products or 32 MB of summands


def evaluate(cost_function: CostFunction, configurations: ArrayLike) -> F64 | np.float64:
    """Cost of one configuration (n,), or the costs (R,) of several (R, n), columns as in ``cost_function.variables``.

    Returns a float64 for (n,) and a float64 array for (R, n). Raises InvalidValue if the number of columns is
    not that of the variables, if a value is outside the domain, or if a cost is beyond the range of float64;
    WrongType if the values are not integers.
    """
    x = _checked(cost_function, np.asarray(configurations))
    rows = np.atleast_2d(x)
    is_exact = cost_function.has_exact_sums
    terms = cost_function.n_terms - len(cost_function.groups)
    width = (min(terms, BLOCK) if is_exact else terms) + len(cost_function.groups.ids)
    step = max(1, _BLOCK // max(1, width))
    costs = np.empty(len(rows))
    for start in range(0, len(rows), step):
        costs[start : start + step] = _costs(cost_function, rows[start : start + step], is_exact)
    return costs if x.ndim == 2 else costs[0]


def _checked(cost_function: CostFunction, x: NDArray[np.generic]) -> I8:
    n = len(cost_function.variables)
    if x.ndim not in (1, 2) or x.shape[-1] != n:
        raise InvalidValue(f"configurations have shape {x.shape}, but the problem has {n} variables")
    if x.size == 0:
        return x.astype(np.int8)
    if x.dtype.kind not in "iub":
        raise WrongType(f"configurations must be integers, found {x.dtype}")
    check_domain(x, cost_function.variables, cost_function.problem_type.is_ising)
    return x.astype(np.int8, copy=False)


def check_domain(x: NDArray[np.generic], variables: I64, is_ising: bool) -> None:
    """Raise InvalidValue, which names the first variable, unless all values (…, n) are spins, or bits."""
    bad = (x != 1) & (x != (-1 if is_ising else 0))
    if bad.any():
        at = tuple(np.argwhere(bad)[0])
        domain = "-1 or 1" if is_ising else "0 or 1"
        raise InvalidValue(
            f"variable {variables[at[-1]]}: value must be {domain}, found {x[at]}"
            " (variables of ising problems are -1 or 1, those of pubo problems 0 or 1)"
        )


def _costs(cost_function: CostFunction, x: I8, is_exact: bool) -> F64:
    """(R,) costs of x (R, n)."""
    groups = _group_costs(cost_function, x)
    if cost_function.n_terms >= MANY_TERMS:
        return np.array([_cost(cost_function, row, sums, is_exact) for row, sums in zip(x, groups, strict=True)])
    if is_exact:
        total = np.zeros(len(x))
        for coefficients, products in _terms(cost_function, x):
            total += products @ coefficients
        if groups.shape[1] == 0:
            return total
        summands = iter([total[:, None]])
    else:
        summands = (products * coefficients for coefficients, products in _terms(cost_function, x))
    if len(x) == 1:
        return np.array([_sum(part[0] for part in chain(summands, [groups]))])
    parts = [*summands, groups]
    return np.array([_sum(part[r] for part in parts) for r in range(len(x))])


def _cost(cost_function: CostFunction, x: I8, groups: F64, is_exact: bool) -> float:
    """Cost of x (n,), from the costs (G,) of its groups."""
    from qiosk.kernels.terms import term_summands  # here: small problems need no Numba

    def summands() -> Iterator[F64]:
        for block in cost_function.blocks(numbered=True):
            out = np.empty(len(block.coefficients))
            term_summands()(block.indptr, block.ids, block.coefficients, x, out)
            yield out

    if not is_exact:
        return _sum(chain(summands(), [groups]))
    total = float(sum(part.sum() for part in summands()))
    return _sum([np.array([total]), groups]) if len(groups) else total


def _terms(cost_function: CostFunction, x: I8) -> Iterator[tuple[F64, I8]]:
    """Coefficients (m,) of some terms at a time, and the products (R, m) of their variables."""
    for block in cost_function.blocks(numbered=True):
        for _, where, columns in block.by_degree():
            yield block.coefficients[where], _products(x, columns)


def _products(x: I8, columns: I64) -> I8:
    """(R, m) product over each row of columns (m, d)."""
    if columns.shape[1] > 8:
        return np.stack([np.multiply.reduce(row[columns], axis=1, dtype=np.int8) for row in x])
    product = np.ones((len(x), len(columns)), np.int8)
    for k in range(columns.shape[1]):
        product *= x[:, columns[:, k]]
    return product


def _group_costs(cost_function: CostFunction, x: I8) -> F64:
    """(R, G) coefficient * (sum of weight * value + constant)^2."""
    groups = cost_function.groups
    is_variable = groups.ids != CONSTANT
    values = np.repeat(groups.weights[None, :], len(x), axis=0)
    values[:, is_variable] *= x[:, cost_function.group_positions[is_variable]]
    sums = np.empty((len(x), len(groups)))
    for g in range(len(groups)):
        span = slice(groups.indptr[g], groups.indptr[g + 1])
        members = values[:, span]
        sums[:, g] = members.sum(axis=1) if _is_exact(groups.weights[span]) else [_sum([row]) for row in members]
    with np.errstate(over="ignore"):
        return np.asarray(groups.coefficients * sums**2, np.float64)


def _is_exact(values: F64) -> bool:
    """Whether sums and differences of these values are exact in any order."""
    with np.errstate(over="ignore"):
        return float(np.abs(values).sum()) < _EXACT and bool(np.all(values == np.trunc(values)))


def _sum(parts: Iterable[F64]) -> float:
    try:
        total = math.fsum(chain.from_iterable(part.tolist() for part in parts))
    except OverflowError:
        total = math.inf
    if not math.isfinite(total):
        raise InvalidValue("the cost of a configuration is beyond the range of float64")
    return total

"""Cost of a configuration, computed from the terms as they were given: the reference that every solver
answers to.

Products of spins or bits are exact. Their sum is exact for integer coefficients whose absolute values add up
to less than 2**53; any other sum is that of ``math.fsum``, rounded once, so a cost depends neither on the
order of the terms nor on how many configurations are evaluated together. A squared linear combination is
summed the same way inside, then squared and multiplied in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qiosk.errors import InvalidValue, WrongType
from qiosk.model.cost_function import CONSTANT, F64, I8, I64, CostFunction, rows_of

_EXACT = float(2**53)
_BLOCK = 1 << 22  # elements of an intermediate array, some 4 MB of products or 32 MB of summands


def evaluate(cost_function: CostFunction, configurations: ArrayLike) -> F64 | np.float64:
    """Cost of one configuration (n,), or the costs (R,) of several (R, n), columns as in
    ``cost_function.variables``.

    Returns a float64 for (n,) and a float64 array for (R, n). Raises InvalidValue if the number of columns is
    not that of the variables, if a value is outside the domain, or if a cost is beyond the range of float64;
    WrongType if the values are not integers.
    """
    x = _checked(cost_function, np.asarray(configurations))
    rows = np.atleast_2d(x)
    classes = _terms_by_locality(cost_function)
    width = max((len(c) for c, _ in classes), default=1) + len(cost_function.groups.ids)
    step = max(1, _BLOCK // max(1, width))
    costs = np.empty(len(rows))
    for start in range(0, len(rows), step):
        costs[start : start + step] = _costs(cost_function, classes, rows[start : start + step])
    return costs if x.ndim == 2 else costs[0]


def evaluate_reals(cost_function: CostFunction, values: F64) -> float:
    """Value of the cost polynomial at any real point: values (n,) as in ``cost_function.variables``."""
    factors = np.ones(len(cost_function.ids) + 1)
    factors[:-1] = values[cost_function.positions]
    bounds = cost_function.indptr
    is_constant = bounds[:-1] == bounds[1:]
    # reduceat gives a single factor, not 1, for an empty term; the extra factor keeps a last empty term in
    # range.
    products = np.multiply.reduceat(factors, bounds[:-1]) if len(is_constant) else np.empty(0)
    products[is_constant] = 1.0
    groups = cost_function.groups
    at = cost_function.group_positions
    members = groups.weights * np.where(at >= 0, np.append(values, 1.0)[at], 1.0)
    owners = np.repeat(np.arange(len(groups)), np.diff(groups.indptr))
    sums = np.bincount(owners, weights=members, minlength=len(groups))
    return _sum(products * cost_function.coefficients, groups.coefficients * sums**2)


def _checked(cost_function: CostFunction, x: NDArray[np.generic]) -> I8:
    n = len(cost_function.variables)
    if x.ndim not in (1, 2) or x.shape[-1] != n:
        raise InvalidValue(f"configurations have shape {x.shape}, but the problem has {n} variables")
    if x.size == 0:
        return x.astype(np.int8)
    if x.dtype.kind not in "iub":
        raise WrongType(f"configurations must be integers, found {x.dtype}")
    is_ising = cost_function.problem_type.is_ising
    bad = (x != 1) & (x != (-1 if is_ising else 0))
    if bad.any():
        at = tuple(np.argwhere(bad)[0])
        domain = "-1 or 1" if is_ising else "0 or 1"
        raise InvalidValue(f"variable {cost_function.variables[at[-1]]}: value must be {domain}, found {x[at]}")
    return x.astype(np.int8, copy=False)


def _terms_by_locality(cost_function: CostFunction) -> list[tuple[F64, I64]]:
    """Coefficients (m,) and positions (m, d) of the terms with d ids, for every d that occurs."""
    degrees = np.diff(cost_function.indptr)
    classes = []
    for degree in np.unique(degrees).tolist():
        where = np.flatnonzero(degrees == degree)
        columns = rows_of(cost_function.positions, cost_function.indptr, where, degree)
        classes.append((cost_function.coefficients[where], columns))
    return classes


def _costs(cost_function: CostFunction, classes: list[tuple[F64, I64]], x: I8) -> F64:
    """(R,) costs of x (R, n)."""
    groups = _group_costs(cost_function, x)
    if _is_exact(cost_function.coefficients):
        total = np.zeros(len(x))
        for coefficients, columns in classes:
            total += _products(x, columns) @ coefficients
        if groups.shape[1] == 0:
            return total
        parts = [total[:, None], groups]
    else:
        parts = [_products(x, columns) * coefficients for coefficients, columns in classes]
        parts.append(groups)
    return np.array([_sum(*(part[r] for part in parts)) for r in range(len(x))])


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
        sums[:, g] = members.sum(axis=1) if _is_exact(groups.weights[span]) else [_sum(row) for row in members]
    with np.errstate(over="ignore"):
        return np.asarray(groups.coefficients * sums**2, np.float64)


def _is_exact(values: F64) -> bool:
    """Whether sums and differences of these values are exact in any order."""
    with np.errstate(over="ignore"):
        return float(np.abs(values).sum()) < _EXACT and bool(np.all(values == np.trunc(values)))


def _sum(*parts: F64) -> float:
    values = np.concatenate(parts) if len(parts) > 1 else parts[0]
    try:
        total = math.fsum(values.tolist())
    except OverflowError:
        total = math.inf
    if not math.isfinite(total):
        raise InvalidValue("the cost of a configuration is beyond the range of float64")
    return total

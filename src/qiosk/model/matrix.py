"""Conversion between terms and matrices: cost = x^T M x + h^T x + constant."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import InvalidValue, WrongType, extra
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import F64, I64, CostFunction
from qiosk.model.domain import flattened


class MatrixForm(NamedTuple):
    """A cost x^T M x + h^T x + constant; M is strictly upper triangular. Shapes: matrix (n, n), h (n,)."""

    matrix: Any
    h: F64
    constant: float


def matrix_form(cost_function: CostFunction, *, is_sparse: bool) -> MatrixForm:
    """A quadratic cost function as a matrix, a NumPy array or a SciPy CSR array; row k is its k-th variable.

    Raises InvalidValue for a term of more than two variables, MissingExtra without SciPy for ``is_sparse``.
    """
    problem = compile_problem(flattened(cost_function))
    if problem.locality > 2:
        raise InvalidValue(f"a matrix represents terms of at most 2 variables, found one of {problem.locality}")
    shape = (problem.n, problem.n)
    if is_sparse:
        matrix = _csr((problem.pair_values, (problem.pair_rows, problem.pair_cols)), shape)
    else:
        matrix = np.zeros(shape)
        matrix[problem.pair_rows, problem.pair_cols] = problem.pair_values
    return MatrixForm(matrix, problem.linear.copy(), problem.constant)


def _csr(entries: tuple[F64, tuple[NDArray[Any], NDArray[Any]]], shape: tuple[int, int]) -> Any:
    with extra("scipy", "sparse matrices"):
        from scipy.sparse import csr_array
    return csr_array(entries, shape=shape)


def terms_from_matrix(matrix: Any, h: Any, constant: float, is_ising: bool) -> tuple[F64, I64, I64]:
    """Coefficients (T,), indptr (T + 1,) and ids (nnz,) of the terms of a matrix.

    Entries (i, j) and (j, i) are one term. A variable without a nonzero entry gets the linear term 0, so that it is a
    variable. Raises InvalidValue for shapes that do not match, WrongType for values that are not real numbers.
    """
    n, rows, cols, values = _entries(matrix)
    linear = np.zeros(n)
    if h is not None:
        fields = _real(np.asarray(h), "h")
        if fields.shape != (n,):
            raise InvalidValue(f"`h` must have shape ({n},), found {fields.shape}")
        linear += fields
    on_diagonal = rows == cols
    if is_ising:
        constant += float(values[on_diagonal].sum())  # s**2 = 1
    else:
        np.add.at(linear, rows[on_diagonal], values[on_diagonal])  # x**2 = x
    low, high = np.minimum(rows, cols)[~on_diagonal], np.maximum(rows, cols)[~on_diagonal]
    is_used = np.zeros(n, np.bool_)
    is_used[low] = is_used[high] = True
    singles = np.flatnonzero((linear != 0) | ~is_used)
    constants = np.full(int(constant != 0), float(constant))
    coefficients = np.concatenate([constants, linear[singles], values[~on_diagonal]])
    sizes = np.repeat([0, 1, 2], [len(constants), len(singles), len(low)])
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    ids = np.concatenate([singles, np.stack([low, high], axis=1).ravel()]).astype(np.int64)
    return coefficients, indptr, ids


def _entries(matrix: Any) -> tuple[int, I64, I64, F64]:
    """Size, and rows, columns and values of the nonzero entries; of a dense matrix, (j, i) is added to (i, j)."""
    if hasattr(matrix, "tocoo"):
        sparse = matrix.tocoo()
        values = _real(np.asarray(sparse.data), "matrix")
        rows, cols = np.asarray(sparse.row, np.int64), np.asarray(sparse.col, np.int64)
        n = _size(sparse.shape)
    else:
        dense = _real(np.asarray(matrix), "matrix")
        n = _size(dense.shape)
        dense = np.triu(dense) + np.tril(dense, -1).T
        rows, cols = (axis.astype(np.int64) for axis in np.nonzero(dense))
        values = dense[rows, cols]
    is_entry = values != 0
    return n, rows[is_entry], cols[is_entry], values[is_entry]


def _size(shape: tuple[int, ...]) -> int:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidValue(f"the matrix must be square, found shape {shape}")
    return shape[0]


def _real(values: NDArray[Any], name: str) -> F64:
    if values.dtype.kind not in "iuf" and values.size:
        raise WrongType(f"`{name}` must contain real numbers, found {values.dtype}")
    return values.astype(np.float64)

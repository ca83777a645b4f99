"""Conversion between terms and matrices: cost = x^T M x + h^T x + constant."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import InvalidValue, WrongType, extra
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import F64, I64, CostFunction
from qiosk.model.transforms.domain import flattened

MANY_ENTRIES = 1 << 14
"""Entries of a dense matrix from which compiled passes are worth loading Numba."""


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
    is_sparse = hasattr(matrix, "tocoo")
    n, diagonal, pairs, values, is_used = _sparse_entries(matrix) if is_sparse else _dense_entries(matrix)
    linear = np.zeros(n)
    if h is not None:
        fields = _real(np.asarray(h), "h")
        if fields.shape != (n,):
            raise InvalidValue(f"`h` must have shape ({n},), found {fields.shape}")
        linear += fields
    if is_ising:
        constant += float(diagonal[diagonal != 0].sum())  # s**2 = 1
    else:
        linear += diagonal  # x**2 = x
    singles = np.flatnonzero((linear != 0) | ~is_used)
    constants = np.full(int(constant != 0), float(constant))
    coefficients = np.concatenate([constants, linear[singles], values])
    ends = [
        np.zeros(1 + len(constants)),
        np.arange(1, 1 + len(singles)),
        len(singles) + np.arange(2, 2 + len(pairs), 2),
    ]
    indptr = np.concatenate(ends, dtype=np.int64, casting="unsafe")
    return coefficients, indptr, np.concatenate([singles, pairs])


def _sparse_entries(matrix: Any) -> tuple[int, F64, I64, F64, NDArray[np.bool_]]:
    """Size; the diagonal (n,); ids (2P,) and values (P,) of the other nonzero entries; and which ids are in these."""
    sparse = matrix.tocoo()
    n = _size(sparse.shape)
    values = _real(np.asarray(sparse.data), "matrix")
    rows, cols = np.asarray(sparse.row, np.int64), np.asarray(sparse.col, np.int64)
    on_diagonal = rows == cols
    diagonal, is_used = np.zeros(n), np.zeros(n, np.bool_)
    np.add.at(diagonal, rows[on_diagonal], values[on_diagonal])
    is_pair = ~on_diagonal & (values != 0)
    low, high = np.minimum(rows, cols)[is_pair], np.maximum(rows, cols)[is_pair]
    is_used[low] = is_used[high] = True
    return n, diagonal, np.stack([low, high], axis=1).ravel(), values[is_pair], is_used


def _dense_entries(matrix: Any) -> tuple[int, F64, I64, F64, NDArray[np.bool_]]:
    """The same, where (j, i) is added to (i, j)."""
    given = np.asarray(matrix)
    n = _size(given.shape)
    if n * n < MANY_ENTRIES:
        dense = _real(given, "matrix")
        above = np.triu(dense, 1) + np.tril(dense, -1).T
        rows, cols = np.nonzero(above)
        is_used = np.zeros(n, np.bool_)
        is_used[rows] = is_used[cols] = True
        return n, dense.diagonal(), np.stack([rows, cols], axis=1).ravel(), above[rows, cols], is_used
    from qiosk.kernels.matrices import count_entries, place_entries  # here: small problems need no Numba

    _check_real(given, "matrix")
    if given.dtype.char not in np.typecodes["AllInteger"] + "fd":
        given = given.astype(np.float64)
    fill, is_used = np.zeros(n + 1, np.int64), np.zeros(n, np.bool_)
    count_entries()(given, fill[1:], is_used)
    np.cumsum(fill, out=fill)
    ids, values = np.empty(2 * int(fill[-1]), np.int64), np.empty(int(fill[-1]))
    place_entries()(given, fill[:-1], ids, values)
    return n, given.diagonal().astype(np.float64), ids, values, is_used


def _size(shape: tuple[int, ...]) -> int:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidValue(f"the matrix must be square, found shape {shape}")
    return shape[0]


def _real(values: NDArray[Any], name: str) -> F64:
    _check_real(values, name)
    return values.astype(np.float64)


def _check_real(values: NDArray[Any], name: str) -> None:
    if values.dtype.kind not in "iuf" and values.size:
        raise WrongType(f"`{name}` must contain real numbers, found {values.dtype}")

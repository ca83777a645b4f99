"""Terms of at most two ids into rows of pairs, by counting: the memory is that of the result.

Two passes over the terms, in blocks. The first counts the pairs of each row, the second puts them there; then each row
is sorted for itself unless it is already, and its like terms are added up, in the order in which they were given.
"""

from __future__ import annotations

import numpy as np

from qiosk.errors import RepeatedVariable
from qiosk.model.arrays.compact import narrowed
from qiosk.model.arrays.pairs import PairList, PairRows
from qiosk.model.cost_function import F64, I32, I64, CostFunction


def collect_rows(cost_function: CostFunction) -> tuple[PairRows, F64, float]:
    """Merged terms of a cost function in which none has more than two ids: pairs, linear (n,) and constant.

    Raises RepeatedVariable.
    """
    indptr, cols, values, linear, constant = _collected(cost_function)
    return PairRows(indptr, cols, narrowed(values)), linear, constant


def collect_list(cost_function: CostFunction) -> tuple[PairList, F64, float]:
    """As ``collect_rows``, with a list of the pairs."""
    indptr, cols, values, linear, constant = _collected(cost_function)
    rows = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
    return PairList(rows, cols, values), linear, constant


def _collected(cost_function: CostFunction) -> tuple[I64, I32, F64, F64, float]:
    """Rows of pairs: indptr (n + 1,), cols and values (P,); linear (n,) and constant."""
    from qiosk.kernels.pairs import merge_rows, place_terms  # here: small problems need no Numba

    n = len(cost_function.variables)
    indptr, linear, constant = _counted(cost_function, n)
    fill = indptr[:-1].copy()
    cols, values = np.empty(int(indptr[-1]), np.int32), np.empty(int(indptr[-1]))
    for block in cost_function.blocks(numbered=True):
        place_terms()(block.indptr, block.ids, block.coefficients, fill, cols, values, linear)
    longest = int(np.diff(indptr).max(initial=0))
    merge_rows()(indptr, cols, values, np.empty(longest, np.int64), np.empty(longest))
    cols.resize(int(indptr[-1]), refcheck=False)
    values.resize(int(indptr[-1]), refcheck=False)
    return indptr, cols, values, linear, constant


def _counted(cost_function: CostFunction, n: int) -> tuple[I64, F64, float]:
    """Where each row of pairs begins, (n + 1,); the sums of terms of one id, (n,), and of none."""
    from qiosk.kernels.pairs import count_terms

    indptr, linear, constant = np.zeros(n + 1, np.int64), np.zeros(n), np.zeros(1)
    for block in cost_function.blocks(numbered=True):
        square = count_terms()(block.indptr, block.ids, block.coefficients, indptr[1:], linear, constant)
        if square >= 0 and cost_function.problem_type.is_ising:
            variable = cost_function.variables[block.ids[block.indptr[square]]]
            raise RepeatedVariable(f"term {block.start + square}: variable {variable} occurs twice in an Ising term")
    np.cumsum(indptr, out=indptr)
    return indptr, linear, float(constant[0])

"""Terms of at most two ids into rows of pairs, by counting: the memory is that of the result.

Two passes over the terms, in blocks. The first counts the pairs of each row, the second puts them there; then each row
is sorted for itself and its like terms are added up, in the order in which they were given.
"""

from __future__ import annotations

import numpy as np

from qiosk.errors import RepeatedVariable
from qiosk.model.compact import narrowed
from qiosk.model.cost_function import F64, I64, Block, CostFunction
from qiosk.model.pairs import PairRows


def collect_rows(cost_function: CostFunction) -> tuple[PairRows, F64, float]:
    """Merged terms of a cost function in which none has more than two ids: pairs, linear (n,) and constant.

    Raises RepeatedVariable.
    """
    from qiosk.kernels.pairs import merge_rows, place_pairs  # here: small problems need no Numba

    n = len(cost_function.variables)
    indptr, linear, constant = _counted(cost_function, n)
    fill = indptr[:-1].copy()
    cols, values = np.empty(int(indptr[-1]), np.int32), np.empty(int(indptr[-1]))
    for block in cost_function.blocks(numbered=True):
        for degree, where, ids in block.by_degree():
            if degree == 2:
                place_pairs()(ids, block.coefficients[where], fill, cols, values, linear)
    longest = int(np.diff(indptr).max(initial=0))
    merge_rows()(indptr, cols, values, np.empty(longest, np.int64), np.empty(longest))
    cols.resize(int(indptr[-1]), refcheck=False)
    values.resize(int(indptr[-1]), refcheck=False)
    return PairRows(indptr, cols, narrowed(values)), linear, constant


def _counted(cost_function: CostFunction, n: int) -> tuple[I64, F64, float]:
    """Where each row of pairs begins, (n + 1,); the sums of terms of one id, (n,), and of none."""
    from qiosk.kernels.pairs import count_pairs

    indptr, linear, constant = np.zeros(n + 1, np.int64), np.zeros(n), np.zeros(1)
    for block in cost_function.blocks(numbered=True):
        for degree, where, ids in block.by_degree():
            if degree == 2:
                squares = count_pairs()(ids, indptr[1:])
                if squares and cost_function.problem_type.is_ising:
                    raise _repeated(cost_function, block, where, ids)
            elif degree == 1:
                np.add.at(linear, ids[:, 0], block.coefficients[where])
            else:
                np.add.at(constant, np.zeros(len(where), np.int64), block.coefficients[where])
    np.cumsum(indptr, out=indptr)
    return indptr, linear, float(constant[0])


def _repeated(cost_function: CostFunction, block: Block, where: I64, ids: I64) -> RepeatedVariable:
    row = int(np.argmax(ids[:, 0] == ids[:, 1]))
    term, variable = block.start + int(where[row]), cost_function.variables[ids[row, 0]]
    return RepeatedVariable(f"term {term}: variable {variable} occurs twice in an Ising term")

"""Conversion between cost functions and the tables of quadratic file formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qiosk.errors import InvalidValue, UnreadableInput
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import F64, I64, CostFunction, ProblemType
from qiosk.model.transforms.domain import flattened, to_bits, to_spins

MAX_VARIABLES = 1 << 27
"""Largest number of variables that a file may announce; each is stored, even if no term contains it."""
ALWAYS_ALLOWED = 1 << 20
"""Number of variables that even a short file may announce; longer ones as many as they have bytes."""


@dataclass(frozen=True, eq=False)
class Quadratic:
    """constant + sum linear[i] x_i + sum values[k] x_rows[k] x_cols[k], over variables 0..n-1.

    Shapes: linear (n,); rows, cols and values (P,) with rows < cols, in lexicographic order.
    """

    n: int
    constant: float
    linear: F64
    rows: I64
    cols: I64
    values: F64

    def pairs(self, first: int = 0) -> Iterator[tuple[int, int, float]]:
        """Rows, columns and values of the quadratic terms; variables are numbered from ``first`` on."""
        rows, cols = (self.rows + first).tolist(), (self.cols + first).tolist()
        return zip(rows, cols, self.values.tolist(), strict=True)


def check_size(form: str, n: int, content: int = MAX_VARIABLES) -> None:
    """Raises UnreadableInput if a header announces too many variables for a file with ``content`` bytes."""
    most = min(MAX_VARIABLES, max(ALWAYS_ALLOWED, content))
    if n > most:
        raise UnreadableInput(f"{form}: at most {most} variables are allowed in a file of this size, found {n}")


def from_entries(
    problem_type: ProblemType,
    n: int,
    rows: I64,
    cols: I64,
    values: F64,
    *,
    constant: float = 0.0,
    linear: F64 | None = None,
    name: str = "",
) -> CostFunction:
    """A cost function over variables 0..n-1 from matrix entries; entries on the diagonal are linear terms.

    Every variable gets a linear term, perhaps 0, so that it is a variable of the cost function. Shapes: rows, cols and
    values (P,); linear (n,).
    """
    is_linear = rows == cols
    fields = np.zeros(n) if linear is None else linear.copy()
    np.add.at(fields, rows[is_linear], values[is_linear])
    pairs = np.stack([rows, cols], axis=1)[~is_linear]
    constants = np.full(1 if constant else 0, constant)
    degrees = np.repeat([0, 1, 2], [len(constants), n, len(pairs)])
    return CostFunction(
        problem_type=problem_type,
        coefficients=np.concatenate([constants, fields, values[~is_linear]]),
        indptr=np.concatenate([np.zeros(1, np.int64), np.cumsum(degrees, dtype=np.int64)]),
        ids=np.concatenate([np.arange(n, dtype=np.int64), pairs.ravel()]),
        name=name,
        metadata={"name": name} if name else {},
    )


def to_entries(cost_function: CostFunction, form: str, domain: ProblemType) -> Quadratic:
    """A cost function as a table over the spins or bits of ``domain``, with like terms merged.

    Raises InvalidValue, naming the format ``form``, if it is not quadratic or its ids are not 0..n-1.
    """
    converted = to_spins(cost_function) if domain.is_ising else to_bits(cost_function)
    problem = compile_problem(flattened(converted))
    if problem.locality > 2:
        raise InvalidValue(f"{form}: terms have at most 2 variables in this format, found {problem.locality}")
    check_numbering(form, problem.variables)
    rows, cols = problem.pair_rows.astype(np.int64), problem.pair_cols.astype(np.int64)
    return Quadratic(problem.n, problem.constant, problem.linear, rows, cols, problem.pair_values)


def check_numbering(form: str, variables: I64) -> None:
    """Raises InvalidValue unless the ids of variables, in ascending order, are 0..n-1."""
    if len(variables) and variables[-1] != len(variables) - 1:
        raise InvalidValue(
            f"{form}: this format numbers variables without gaps, found {len(variables)} variables"
            f" with ids up to {variables[-1]}; renumber them first"
        )


def refuse(form: str, what: str, value: float) -> None:
    """Raises InvalidValue if ``value``, which the format cannot contain, is not 0."""
    if value:
        raise InvalidValue(f"{form}: this format has no place for {what}, found {value:g}")

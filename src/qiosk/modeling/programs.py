"""Models from mathematical programming files."""

from __future__ import annotations

from itertools import pairwise

from qiosk.errors import InvalidValue
from qiosk.formats.files import read_program
from qiosk.formats.text.programs import LinearConstraint, Program
from qiosk.modeling.expression import Condition, Expression, Sense
from qiosk.modeling.model import Model


def read_model(file: str, data: bytes, form: str | None, penalty: float | None) -> Model:
    """See :meth:`qiosk.modeling.Model.from_file`."""
    if penalty is not None and not 0 < penalty < float("inf"):
        raise InvalidValue(f"penalty: must be greater than 0, found {penalty}")
    program = read_program(file, data, form)
    model = Model(program.cost_function.name or "model")
    for name in program.names:
        model.bit(name)
    model.minimize(_objective(program))
    for constraint in program.constraints:
        model.add(_condition(constraint), constraint.name, penalty)
    return model


def _objective(program: Program) -> Expression:
    terms: dict[tuple[int, ...], float] = {}
    ids = program.cost_function.ids.tolist()
    bounds = pairwise(program.cost_function.indptr.tolist())
    for c, (start, stop) in zip(program.cost_function.coefficients.tolist(), bounds, strict=True):
        bits = tuple(sorted(ids[start:stop]))
        terms[bits] = terms.get(bits, 0.0) + c
    return Expression({bits: c for bits, c in terms.items() if c})


def _condition(constraint: LinearConstraint) -> Condition:
    terms: dict[tuple[int, ...], float] = {(i,): c for i, c in constraint.coefficients.items() if c}
    return Condition(Expression(terms), Sense(constraint.sense), constraint.bound)

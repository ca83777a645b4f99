"""OMMX: an adapter that solves OMMX instances. Needs ``pip install qiosk[ommx]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qiosk.errors import InvalidValue, extra
from qiosk.modeling import Expression, Model, Solution, total
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET

with extra("ommx", "qiosk.interop.ommx"):
    from ommx.adapter import SolverAdapter
    from ommx.v1 import Constraint, DecisionVariable, Instance


class QioskAdapter(SolverAdapter):  # type: ignore[misc]
    """Converts an instance of binary and bounded integer variables to a :class:`qiosk.modeling.Model`, and solutions
    to OMMX's.

    ``penalty_weight`` is the weight of every constraint; automatic by default, as in the model. Raises InvalidValue for
    variables of other kinds.

    >>> from ommx.v1 import DecisionVariable, Instance
    >>> from qiosk.interop.ommx import QioskAdapter
    >>> x = [DecisionVariable.binary(i, name="x", subscripts=[i]) for i in range(3)]
    >>> instance = Instance.from_components(
    ...     decision_variables=x,
    ...     objective=3 * x[0] + 2 * x[1] + 4 * x[2],
    ...     constraints=[x[0] + x[1] + x[2] == 2],
    ...     sense=Instance.MAXIMIZE,
    ... )
    >>> solution = QioskAdapter.solve(instance, timeout=1)
    >>> solution.objective, solution.feasible
    (7.0, True)
    """

    def __init__(self, instance: Any, penalty_weight: float | None = None) -> None:
        self._instance = instance
        self._model = _model(instance, penalty_weight)

    @classmethod
    def solve(cls, ommx_instance: Any, solver: str = DEFAULT_TARGET, **parameters: Any) -> Any:
        """The best solution, evaluated by OMMX; ``parameters`` are those of :func:`qiosk.solve`."""
        adapter = cls(ommx_instance)
        return adapter._evaluated(adapter.solver_input.solve(solver, **parameters))

    @property
    def solver_input(self) -> Model:
        """The converted model, whose variables are called by their ids."""
        return self._model

    def decode(self, data: Any) -> Any:
        """The OMMX Solution of a configuration, or of the best one of results."""
        return self._evaluated(self._model.decode(data))

    def _evaluated(self, solution: Solution) -> Any:
        """A variable that occurs nowhere gets the value next to 0."""
        values = {}
        for variable in self._instance.decision_variables:
            free = min(max(0.0, variable.bound.lower), variable.bound.upper)
            values[variable.id] = float(solution.values.get(str(variable.id), free))
        return self._instance.evaluate(values)


def _model(instance: Any, weight: float | None) -> Model:
    model, variables = Model("ommx"), dict[int, Expression]()
    for variable in instance.used_decision_variables:
        name, bound = str(variable.id), variable.bound
        if variable.kind == DecisionVariable.BINARY and (bound.lower, bound.upper) == (0.0, 1.0):
            variables[variable.id] = model.bit(name)
        elif variable.kind in (DecisionVariable.BINARY, DecisionVariable.INTEGER):
            variables[variable.id] = model.integer(name, bound.lower, bound.upper)
        else:
            raise InvalidValue(f"variable {variable.id}: must be binary or a bounded integer, found {variable.kind}")
    for constraint in instance.constraints:
        side = _expression(constraint.function.terms, variables)
        is_equality = constraint.equality == Constraint.EQUAL_TO_ZERO
        model.add(side == 0 if is_equality else side <= 0, f"constraint {constraint.id}", weight)
    objective = _expression(instance.objective.terms, variables)
    if instance.sense == Instance.MAXIMIZE:
        model.maximize(objective)
    else:
        model.minimize(objective)
    return model


def _expression(terms: Mapping[tuple[int, ...], float], variables: Mapping[int, Expression]) -> Expression:
    parts = []
    for ids, coefficient in terms.items():
        part = Expression({(): float(coefficient)} if coefficient else {})
        for i in ids:
            part = part * variables[i]
        parts.append(part)
    return total(parts)

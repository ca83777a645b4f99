"""OMMX: an adapter that solves OMMX instances. Needs ``pip install qiosk[ommx]``."""

from __future__ import annotations

from typing import Any

from qiosk.errors import extra
from qiosk.interop.labels import Encoded, from_polynomial
from qiosk.modeling import Expression
from qiosk.modeling.weights import automatic_weight
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET

with extra("ommx", "qiosk.interop.ommx"):
    from ommx.adapter import SolverAdapter


class QioskAdapter(SolverAdapter):  # type: ignore[misc]
    """Converts an instance to a problem over bits, by OMMX's own penalty method, and results to OMMX's Solution.

    ``penalty_weight`` is the weight of every constraint; automatic by default, as in :class:`qiosk.modeling.Model`.

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
        # to_hubo changes the instance, so a copy is converted
        self._converted = type(instance).from_bytes(instance.to_bytes())
        if penalty_weight is None:
            objective = {tuple(sorted(set(ids))): c for ids, c in instance.objective.terms.items()}
            penalty_weight = automatic_weight(Expression(objective))
        terms, offset = self._converted.to_hubo(uniform_penalty_weight=penalty_weight)
        bits = [variable.id for variable in self._converted.used_decision_variables]
        polynomial = {**{tuple(ids): c for ids, c in terms.items()}, (): offset}
        self._encoded = from_polynomial(polynomial, is_ising=False, name="ommx", labels=bits)

    @classmethod
    def solve(cls, ommx_instance: Any, solver: str = DEFAULT_TARGET, **parameters: Any) -> Any:
        """The best solution, evaluated by OMMX; ``parameters`` are those of :func:`qiosk.solve`."""
        adapter = cls(ommx_instance)
        return adapter.decode(solve(adapter.solver_input, solver, **parameters))

    @property
    def solver_input(self) -> Encoded[dict[Any, int]]:
        """The converted problem."""
        return self._encoded

    def decode(self, data: Any) -> Any:
        """The OMMX Solution of a configuration, or of the best one of results."""
        bits = {label: float(value) for label, value in self._encoded.decode(data).items()}
        values = self._converted.evaluate(bits).state.entries
        own = {variable.id: values[variable.id] for variable in self._instance.decision_variables}
        return self._instance.evaluate(own)

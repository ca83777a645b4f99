"""OMMX: an adapter that solves its instances. Needs ``pip install qiosk[ommx]``."""

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
    """Turns an instance into a problem over bits, by OMMX's own penalty method, and results into its Solution.

    ``penalty_weight`` is that of every constraint; automatic unless given, as in :class:`qiosk.modeling.Model`.
    """

    def __init__(self, instance: Any, penalty_weight: float | None = None) -> None:
        self._instance = instance
        # a copy: to_hubo changes the instance it is called on
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
        """The best solution found, evaluated by OMMX; ``parameters`` are those of ``qiosk.solve``."""
        adapter = cls(ommx_instance)
        return adapter.decode(solve(adapter.solver_input, solver, **parameters))

    @property
    def solver_input(self) -> Encoded[dict[Any, int]]:
        """The problem."""
        return self._encoded

    def decode(self, data: Any) -> Any:
        """The OMMX Solution of a configuration, or of results that have one."""
        bits = {label: float(value) for label, value in self._encoded.decode(data).items()}
        values = self._converted.evaluate(bits).state.entries
        own = {variable.id: values[variable.id] for variable in self._instance.decision_variables}
        return self._instance.evaluate(own)

"""``Model``: named variables, an objective and constraints, which become a ``Problem`` and decode its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

from qiosk.contract.jobs import JobProgress
from qiosk.errors import InvalidValue, MissingValue, QioskError
from qiosk.formats.files import read_program
from qiosk.model.check import by_id
from qiosk.modeling.answer import Answer
from qiosk.modeling.document import ModelContent, read_document, write_document
from qiosk.modeling.expression import Constraint, Expression
from qiosk.modeling.penalties.assembly import assemble
from qiosk.modeling.penalties.conditions import are_kept_by_moves, check_exact, exact_row, one_hot_groups
from qiosk.modeling.penalties.weights import automatic_weight
from qiosk.modeling.programs import fill
from qiosk.modeling.propagation.turns import Propagation
from qiosk.modeling.rounds.adaptive import solve_here
from qiosk.modeling.rows import Row, hard_constraints, row_of
from qiosk.modeling.solution import Solution, report
from qiosk.modeling.statement import Statement
from qiosk.problem import Problem
from qiosk.solvers.exact.exhaustive import MAX_VARIABLES
from qiosk.solvers.solve import HasTarget, set_up
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET


@final
class Model(Statement):
    """Named variables, an objective, and constraints that become penalties.

    ``name`` becomes that of the problem. Methods that add variables return expressions; their names must be distinct
    (InvalidValue). Without an objective, the model only has to satisfy its constraints.

    >>> import qiosk
    >>> from qiosk.modeling import Model
    >>> model = Model("knapsack")
    >>> take = model.bits("take", ["lamp", "rope", "tent"])
    >>> model.maximize(6 * take["lamp"] + 5 * take["rope"] + 9 * take["tent"])
    >>> model.add(2 * take["lamp"] + 3 * take["rope"] + 4 * take["tent"] <= 6, "capacity")
    >>> solution = model.decode(qiosk.solve(model.problem(), timeout=1))
    >>> solution["take"], solution.objective, solution.is_feasible
    ({'lamp': 1, 'rope': 0, 'tent': 1}, 15.0, True)
    """

    def __init__(self, name: str = "model") -> None:
        super().__init__(name)
        self._rows: dict[str, Row | None] = {}  # of constraints, as they are asked for

    def problem(
        self,
        *,
        scale: float = 1.0,
        weights: Mapping[str, float] | None = None,
        initial: Mapping[int, int] | None = None,
    ) -> Problem:
        """The problem for solvers. Its metadata contains the model and the weights, so that results can be decoded
        elsewhere, and a job can change the weights as :meth:`solve` does.

        ``scale`` multiplies all automatic weights: increase it if solutions violate constraints, decrease it if the
        search gets stuck. ``weights`` are those of single constraints by name, instead of automatic ones;
        :meth:`solve` chooses them. ``initial`` are the bits of a solution from which searches begin, as
        ``solution.bits`` or :meth:`configuration` has them; slack is added. Raises InvalidValue for a constraint that
        can never hold, and for one whose penalty would not be exact.
        """
        if not 0 < scale < float("inf"):
            raise InvalidValue(f"scale: must be greater than 0, found {scale}")
        chosen = self.weights(scale) | dict(weights or {})
        problem = self.penalized(chosen, initial)
        problem.metadata |= hard_constraints({c.name: self._exact_row(c) for c in self.constraints})
        problem.metadata |= {"model": self.to_document(), "weights": chosen}
        return problem

    def penalized(self, weights: Mapping[str, float], initial: Mapping[int, int] | None = None) -> Problem:
        """As :meth:`problem`, with the weights of all constraints, and without the constraints in its metadata."""
        rows = {name: self._exact_row(constraint) for name, constraint in self._constraints.items()}
        problem = assemble(self.name, self.cost, rows.items(), weights, self._n_bits, initial)
        hard = [row for name, row in rows.items() if self._constraints[name].weight is None]
        for bits, is_exact in one_hot_groups(hard):
            problem.add_one_hot(bits, at_most=not is_exact)
        return problem

    @property
    def cost(self) -> Expression:
        """The objective as it is minimized. Raises InvalidValue if sums of its integers are not exact."""
        check_exact(self.objective)
        return -self.objective if self.is_maximized else self.objective

    def weights(self, scale: float = 1.0) -> dict[str, float]:
        """The weights of the constraints by name: their own, or ``scale`` times the automatic one."""
        automatic = scale * automatic_weight(self.cost, map(self._exact_row, self._constraints.values()))
        return dict.fromkeys(self._constraints, automatic) | self.fixed_weights()

    def fixed_weights(self) -> dict[str, float]:
        """The weights that were given with constraints, by their names."""
        return {name: float(c.weight) for name, c in self._constraints.items() if c.weight is not None}

    def solve(
        self,
        solver: str | type | HasTarget = DEFAULT_TARGET,
        *,
        timeout: float | None = None,
        seed: int | None = None,
        threads: int | None = None,
        progress: bool | Callable[[JobProgress], bool | None] | None = None,
        kernel: str | None = None,
        **params: Any,
    ) -> Answer:
        """Find the best solution that satisfies all constraints, in this process.

        The arguments are those of :func:`qiosk.solve`. The search is repeated within the time limit: weights of
        constraints that were violated are raised, and weights that no solution needed are lowered, unless they were
        given with the constraint. The :class:`Answer` contains what was done in each round, and whether the solution
        is optimal, feasible, proven infeasible, or none was found. Raises as :func:`qiosk.solve` and :meth:`problem`.

        >>> from qiosk.modeling import Model, total
        >>> model = Model("subset sum")
        >>> take = model.bits("take", [332882804, 119036466, 295734885, 747654155])
        >>> model.add(total(size * bit for size, bit in take.items()) == 747654155, "exactly")
        >>> model.minimize(total(take.values()))
        >>> answer = model.solve(seed=1)
        >>> answer.status.value, answer.objective
        ('optimal', 1.0)
        """
        given = {"timeout": timeout, "seed": seed, "threads": threads, "kernel": kernel}
        return solve_here(self, set_up(solver, given, params), progress)

    def propagation(self) -> Propagation | None:
        """The search for solutions by propagation of the constraints, which :meth:`solve` begins with.

        None where it would be of no use: where moves of other searches keep all constraints, or all configurations can
        be tried. Raises as :meth:`problem`.
        """
        rows = self._exact_rows()
        if are_kept_by_moves(rows):
            return None
        if (
            self._n_bits <= MAX_VARIABLES
            and len(self.penalized(self.weights()).cost_function().variables) <= MAX_VARIABLES
        ):
            return None
        return Propagation(rows, self.cost, self._n_bits)

    @property
    def is_kept_by_moves(self) -> bool:
        """Whether searches that keep one-hot groups violate none of the constraints. Raises as :meth:`problem`."""
        return not self.fixed_weights() and are_kept_by_moves(self._exact_rows())

    def decode(self, source: Any) -> Solution:
        """A configuration as values by name.

        ``source`` is a configuration (variable id, int or str, to value), or an object with a ``configuration``, such
        as the results of ``qiosk.solve`` and of jobs. Raises MissingValue if a bit has no value.
        """
        configuration = getattr(source, "configuration", source)
        bits = {bit: int(value) for bit, value in by_id(configuration).items()}
        for bit in range(self._n_bits):
            if bit not in bits:
                raise MissingValue(f"configuration: variable {bit} has no value")
        return Solution(
            values={name: variable.value(bits) for name, variable in self.variables.items()},
            objective=self.objective.value(bits),
            constraints=tuple(report(c.name, c.condition, self._row(c), bits) for c in self.constraints),
            families=self.families,
            bits=bits,
        )

    def configuration(self, values: Mapping[str, Any]) -> dict[int, int]:
        """The bits, except slack, that encode values of all variables by name. Raises MissingValue, InvalidValue."""
        bits: dict[int, int] = {}
        for name, variable in self.variables.items():
            if name not in values:
                raise MissingValue(f"variable `{name}`: has no value")
            bits |= variable.bits_for(values[name])
        return bits

    def to_document(self) -> dict[str, Any]:
        """The model as JSON values: variables, objective and constraints."""
        return write_document(
            ModelContent(
                self.name,
                tuple(self.variables.values()),
                self.families,
                self.objective,
                self.is_maximized,
                self.constraints,
            )
        )

    @classmethod
    def from_document(cls, document: Any) -> Model:
        """The model of a document that :meth:`to_document` returned. Raises InvalidValue for anything else."""
        try:
            content = read_document(document)
            model = cls(content.name)
            for variable in content.variables:
                model._add(variable)
            model.families = {name: dict(members) for name, members in content.families.items()}
            model.objective, model.is_maximized = model._own(content.objective), content.is_maximized
            for constraint in content.constraints:
                model._own(constraint.condition.expression)
                model._constraints[constraint.name] = constraint
        except (QioskError, TypeError) as error:
            raise InvalidValue(f"model: not the document of a model: {error}") from error
        return model

    @classmethod
    def from_file(
        cls,
        file: str,
        data: bytes,
        *,
        format: str | None = None,
        penalty: float | None = None,
        grid: float | None = None,
    ) -> Model:
        """The model of an ``lp``, ``mps`` or ``qplib`` file, with its constraints.

        Columns from 0 to 1 become bits, other integers integers; continuous ones are put on a grid with the step
        ``grid``, and refused by default. ``format`` names the format; by default the suffix of ``file`` determines it,
        or else the content. ``penalty`` is the weight of every constraint; automatic by default. Raises InvalidInput;
        MissingExtra without ``qiosk[lp]``.

        >>> from qiosk.modeling import Model
        >>> lines = ["maximize", "3 x + y", "subject to", "2 x + y <= 7", "bounds", "x <= 5", "y <= 2"]
        >>> lines += ["general", "x y", "end"]
        >>> Model.from_file("small.lp", "\\n".join(lines).encode()).solve(seed=1).values
        {'x': 3, 'y': 1}
        """
        for name, value in (("penalty", penalty), ("grid", grid)):
            if value is not None and not 0 < value < float("inf"):
                raise InvalidValue(f"{name}: must be greater than 0, found {value}")
        program = read_program(file, data, format)
        model = cls(program.name or "model")
        fill(model, program, penalty, grid)
        return model

    def _row(self, constraint: Constraint) -> Row | None:
        """The constraint in whole numbers; None if there are none."""
        if constraint.name not in self._rows:
            self._rows[constraint.name] = row_of(constraint.condition)
        return self._rows[constraint.name]

    def _exact_rows(self) -> list[Row]:
        return [self._exact_row(constraint) for constraint in self._constraints.values()]

    def _exact_row(self, constraint: Constraint) -> Row:
        return self._row(constraint) or exact_row(constraint.name, constraint.condition)

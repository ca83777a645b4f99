"""Problems whose variables have labels in another library, and decoding of results to those labels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np

from qiosk.errors import MissingValue
from qiosk.model.check import by_id
from qiosk.model.cost_function import CostFunction
from qiosk.model.transforms.domain import flattened
from qiosk.problem import Problem, ProblemType

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Encoded(Generic[T]):
    """A problem from another library. ``qiosk.solve`` accepts it; ``decode`` converts results for that library.

    >>> import networkx, qiosk
    >>> from qiosk.interop.networkx import max_cut
    >>> encoded = max_cut(networkx.path_graph(2))
    >>> encoded.problem, encoded.decode(qiosk.solve(encoded, timeout=1)).weight
    (Problem('max-cut', ising, 3 terms), 1.0)
    """

    problem: Problem
    read: Callable[[Mapping[int, int]], T]

    def cost_function(self) -> CostFunction:
        """The cost function of the problem, which ``qiosk.solve`` needs."""
        return self.problem.cost_function()

    def decode(self, source: Any) -> T:
        """A configuration (id, int or str, to value), or the best one of results, decoded. Raises MissingValue."""
        return self.read(configuration_of(source))


def configuration_of(source: Any) -> dict[int, int]:
    """A configuration by integer id, from a configuration by int or str, or from results."""
    given = getattr(source, "configuration", source)
    return {variable: int(value) for variable, value in by_id(given).items()}


def labeled(problem: Problem, labels: Sequence[Hashable]) -> Encoded[dict[Any, int]]:
    """A problem whose variable i has the label ``labels[i]``; ``decode`` returns values by label."""

    def read(configuration: Mapping[int, int]) -> dict[Any, int]:
        for i, label in enumerate(labels):
            if i not in configuration:
                raise MissingValue(f"configuration: variable {i} ({label!r}) has no value")
        return {label: configuration[i] for i, label in enumerate(labels)}

    return Encoded(problem, read)


def names_of(labels: Iterable[Hashable]) -> dict[Hashable, str]:
    """A name for each label, all distinct: strings stay as they are, unless empty; others become their ``repr``."""
    some = list(labels)
    names: dict[Hashable, str] = {label: label for label in some if isinstance(label, str) and label}
    taken = set(names.values())
    for label in some:
        if label not in names:
            name = repr(label)
            while name in taken:
                name += "'"
            taken.add(name)
            names[label] = name
    return names


def from_polynomial(
    terms: Mapping[Any, Any], *, is_ising: bool, name: str, labels: Sequence[Hashable] | None = None
) -> Encoded[dict[Any, int]]:
    """A problem from a polynomial {(label, …): coefficient}; ``()`` is the constant.

    Variables are numbered as in ``labels``, by default in order of occurrence. Repeated labels in a product cancel for
    spins (s² = 1) and merge for bits (x² = x).
    """
    numbers: dict[Hashable, int] = {label: i for i, label in enumerate(labels or ())}
    members: list[list[int]] = []
    for key in terms:
        some = [numbers.setdefault(label, len(numbers)) for label in key]
        members.append([i for i in dict.fromkeys(some) if not is_ising or some.count(i) % 2])
    members += [[i] for i in range(len(numbers))]  # with coefficient 0, so that every label is a variable
    problem = Problem(name, problem_type=ProblemType.ising if is_ising else ProblemType.pubo)
    problem.add_terms(
        coefficients=np.array([*map(float, terms.values()), *[0.0] * len(numbers)]),
        ids=np.array([i for some in members for i in some], np.int64),
        indptr=np.cumsum([0, *map(len, members)], dtype=np.int64),
    )
    return labeled(problem, list(numbers))


def to_polynomial(problem: Problem | CostFunction) -> tuple[dict[tuple[int, ...], float], bool]:
    """{ids: coefficient} of a problem, with like terms merged and squares expanded; and whether it is Ising."""

    flat = flattened(problem if isinstance(problem, CostFunction) else problem.cost_function())
    ids, indptr = flat.ids.tolist(), flat.indptr.tolist()
    members = [tuple(ids[start:stop]) for start, stop in pairwise(indptr)]
    return dict(zip(members, flat.coefficients.tolist(), strict=True)), flat.problem_type.is_ising

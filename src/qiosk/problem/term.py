"""Single terms, which programs add to a problem or read from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np

from qiosk.errors import InvalidCoefficient, InvalidValue, MissingValue, RepeatedVariable, WrongType

Number = int | float


class GroupType(StrEnum):
    """How ``add_terms`` combines terms: as separate terms, or as the square of their sum.

    >>> from qiosk.optimization import GroupType, Problem, Term
    >>> problem = Problem("squared sum")
    >>> terms = [Term(c=1, indices=[0]), Term(c=-2, indices=[1])]
    >>> problem.add_terms(terms, term_type=GroupType.squared_linear_combination, c=3)
    >>> problem.terms_slc
    [{'c': 3, 'terms': [{'c': 1, 'ids': [0]}, {'c': -2, 'ids': [1]}]}]
    """

    combination = "na"
    squared_linear_combination = "slc"


def coefficient(c: Any) -> Number:
    """``c`` as an int or a float; NumPy numbers are converted. Raises InvalidCoefficient."""
    if type(c) is int or type(c) is float:
        return c
    if c is None:
        raise InvalidCoefficient("a term needs a coefficient `c`")
    if isinstance(c, np.ndarray | np.generic) and c.size == 1:
        c = c.item()
    if isinstance(c, int | float) and not isinstance(c, bool):
        return float(c) if isinstance(c, float) else int(c)
    raise InvalidCoefficient(f"`c` must be an int, a float or a NumPy number, found {type(c).__name__} {c!r}")


class Term:
    """A coefficient times a product of variables: ``c * x_i * x_j * ...``; a constant if ``indices`` is empty.

    ``c`` is an int or a float, ``ids`` the list of variable ids. ``w`` is an older name of ``c``; if both are given,
    ``w`` is used. Raises InvalidCoefficient.

    >>> from qiosk.optimization import Term
    >>> term = Term(c=3, indices=[0, 2])
    >>> term.evaluate({0: 1, 2: -1})
    -3
    """

    __slots__ = ("c", "ids")
    __hash__ = None  # type: ignore[assignment]  # terms are mutable

    c: Number
    ids: Any

    def __init__(self, indices: Sequence[int] | None = None, w: Any = None, c: Any = None) -> None:
        self.c = coefficient(c if w is None else w)
        self.ids = indices

    def to_dict(self) -> dict[str, Any]:
        """The term as a JSON object: ``c`` and ``ids``."""
        return {"c": self.c, "ids": self.ids}

    @classmethod
    def from_dict(cls, obj: Mapping[str, Any]) -> Term:
        """The term of a JSON object ``{"c": ..., "ids": [...]}``."""
        return Term(c=obj.get("c"), indices=obj.get("ids"))

    def evaluate(self, configuration: Mapping[int, Number]) -> float:
        """Value of the term for a configuration by integer id. Raises MissingValue."""
        product: float = self.c
        for i in self.ids:
            if i not in configuration:
                raise MissingValue(f"the configuration has no value for variable {i} of term {self.ids}")
            product *= configuration[i]
        return product

    def reduce_by_variable_state(self, fixed_variables: Mapping[int, Number]) -> Term | None:
        """The term after some variables are replaced by their values; None if it becomes 0."""
        c: Number = self.c
        for i in self.ids:
            c *= fixed_variables.get(i, 1)
        return Term(c=c, indices=[i for i in self.ids if i not in fixed_variables]) if c != 0 else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Term):
            return NotImplemented
        return self.c == other.c and list(self.ids or ()) == list(other.ids or ())

    def __repr__(self) -> str:
        return repr(self.to_dict())


class SlcTerm:
    """A squared linear combination ``c * (sum of terms)**2``; each term has at most one variable.

    ``terms`` are ``Term`` objects, ``c`` is 1 by default. Raises InvalidValue for a term of several variables, and
    RepeatedVariable if two terms have the same variable or both are constants.

    >>> from qiosk.optimization import SlcTerm, Term
    >>> group = SlcTerm([Term(c=1, indices=[0]), Term(c=2, indices=[1]), Term(c=-2, indices=[])], c=5)
    >>> group.evaluate({0: 1, 1: 1})
    5.0
    """

    __slots__ = ("c", "terms")
    __hash__ = None  # type: ignore[assignment]

    c: Number
    terms: list[Term]

    def __init__(self, terms: Iterable[Term], c: Any = 1.0) -> None:
        self.c = coefficient(c)
        self.terms = list(terms)
        self.validate()

    def validate(self) -> None:
        """Check the terms again after a change to the list. Raises WrongType, InvalidValue, RepeatedVariable."""
        _check_linear(self.terms)

    def to_dict(self) -> dict[str, Any]:
        """The group as a JSON object: ``c`` and ``terms``."""
        return {"c": self.c, "terms": [term.to_dict() for term in self.terms]}

    @classmethod
    def from_dict(cls, obj: Mapping[str, Any]) -> SlcTerm:
        """The group of a JSON object ``{"c": ..., "terms": [{"c": ..., "ids": [...]}, ...]}``."""
        return cls([Term.from_dict(term) for term in obj.get("terms", ())], c=obj.get("c"))

    def evaluate(self, configuration: Mapping[int, Number]) -> float:
        """Value of the group for a configuration by integer id. Raises MissingValue."""
        return self.c * float(sum(term.evaluate(configuration) for term in self.terms)) ** 2

    def reduce_by_variable_state(self, fixed_variables: Mapping[int, Number]) -> SlcTerm | Term | None:
        """The group after some variables are replaced; a constant Term if none is left, None if it becomes 0."""
        reduced = [term.reduce_by_variable_state(fixed_variables) for term in self.terms]
        free = [term for term in reduced if term is not None and len(term.ids)]
        constant = sum(term.c for term in reduced if term is not None and not len(term.ids))
        if free:
            return SlcTerm([Term(c=constant, indices=[])] * (constant != 0) + free, c=self.c)
        value = self.c * constant**2
        return Term(c=value, indices=[]) if value != 0 else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SlcTerm):
            return NotImplemented
        return self.c == other.c and self.terms == other.terms

    def __repr__(self) -> str:
        return repr(self.to_dict())


def _check_linear(terms: list[Term]) -> None:
    seen = set()
    for m, term in enumerate(terms):
        if not isinstance(term, Term):
            raise WrongType(f"member {m} of a squared linear combination must be a Term, found {type(term).__name__}")
        ids = () if term.ids is None else tuple(term.ids)
        if len(ids) > 1:
            raise InvalidValue(
                f"member {m}: terms of a squared linear combination must be linear, found ids {list(ids)}"
            )
        if ids in seen:
            which = f"variable {ids[0]}" if ids else "the constant"
            raise RepeatedVariable(f"member {m}: {which} occurs twice in a squared linear combination")
        seen.add(ids)

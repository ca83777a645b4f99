"""The terms of a problem while a program builds it."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence, Sequence
from typing import Any

from numpy.typing import ArrayLike

from qiosk.errors import InvalidValue, MissingSection, WrongType
from qiosk.model.cost_function import ProblemType
from qiosk.problem.columns import GroupColumns, TermColumns, checked_arrays
from qiosk.problem.term import GroupType, Number, SlcTerm, Term
from qiosk.problem.views import GroupsView, TermsView


class TermCollection:
    """Terms and squared linear combinations, stored by column, over variables of one domain."""

    def __init__(self, problem_type: ProblemType, terms: Iterable[Term | SlcTerm] | None = None) -> None:
        self._terms = TermColumns()
        self._groups = GroupColumns()
        self.problem_type = problem_type
        if terms is not None:
            self._add(terms)

    @property
    def problem_type(self) -> ProblemType:
        """Domain of the variables, and whether squared linear combinations are allowed."""
        return self._problem_type

    @problem_type.setter
    def problem_type(self, value: ProblemType | str) -> None:
        try:
            self._problem_type = ProblemType(value)
        except ValueError as e:
            raise InvalidValue(f"problem type must be one of {', '.join(ProblemType)}, found {value!r}") from e

    @property
    def terms(self) -> MutableSequence[Term]:
        """The terms as a list; a change to the list or to one of its terms changes the problem."""
        return TermsView(self._terms)

    @terms.setter
    def terms(self, terms: Iterable[Term]) -> None:
        TermsView(self._terms)[:] = list(terms)

    @property
    def terms_slc(self) -> MutableSequence[SlcTerm]:
        """The squared linear combinations as a list; a change to the list changes the problem."""
        return GroupsView(self._groups)

    @terms_slc.setter
    def terms_slc(self, groups: Iterable[SlcTerm]) -> None:
        GroupsView(self._groups)[:] = list(groups)

    def add_term(self, c: Number, indices: Sequence[int]) -> None:
        """Add ``c`` times the product of the variables ``indices``. Raises InvalidCoefficient, WrongType."""
        self._terms.append(c, indices)

    def add_terms(
        self,
        terms: Iterable[Term] | None = None,
        term_type: GroupType = GroupType.combination,
        c: Number = 1,
        *,
        coefficients: ArrayLike | None = None,
        ids: ArrayLike | None = None,
        indptr: ArrayLike | None = None,
    ) -> None:
        """Add many terms one by one, or the square of their sum, or terms from arrays.

        Give either ``terms``, with ``term_type`` (``combination``, or ``squared_linear_combination`` for ``c`` times
        the square of their sum); or arrays as for ``from_arrays``. Raises InvalidInput; terms before a wrong one stay
        added.
        """
        if terms is None:
            if coefficients is None or ids is None:
                raise MissingSection("give `terms`, or `coefficients` and `ids`")
            self._terms.extend(*checked_arrays(coefficients, ids, indptr))
        elif coefficients is not None or ids is not None or indptr is not None:
            raise InvalidValue("give `terms` or arrays, not both")
        elif GroupType(term_type) is GroupType.combination:
            self._add(terms)
        else:
            self._add_group(SlcTerm(terms, c=c))

    def add_slc_term(self, terms: Iterable[Term] | Iterable[tuple[Number, int | None]], c: Number = 1) -> None:
        """Add a squared linear combination ``c * (sum of terms)**2``.

        ``terms`` are ``Term`` objects of at most one variable, or tuples ``(coefficient, id)`` with id None for a
        constant. The problem type becomes the grouped one. Raises InvalidInput.
        """
        self._add_group(SlcTerm([_member(m, item) for m, item in enumerate(terms)], c=c))

    def problem_type_to_grouped(self) -> None:
        """Change the problem type to the one of the same domain that allows squared linear combinations."""
        self.problem_type = self.problem_type.grouped

    def check_for_grouped_term(self) -> None:
        """Change the problem type to a grouped one if there are squared linear combinations."""
        if len(self._groups):
            self.problem_type_to_grouped()

    def get_terms(self, id: int) -> list[Term | SlcTerm]:
        """The terms and squared linear combinations that contain a variable.

        Raises MissingSection if the problem is empty.
        """
        if not len(self._terms) and not len(self._groups):
            raise MissingSection("the problem has no terms")
        found: list[Term | SlcTerm] = [self.terms[t] for t in self._terms.rows_with(id)]
        return found + [self._groups.group(g) for g in self._groups.rows_with(id)]

    def _add(self, terms: Iterable[Term | SlcTerm]) -> None:
        for term in terms:
            if isinstance(term, Term):
                self._terms.append(term.c, term.ids)
            elif isinstance(term, SlcTerm):
                self._add_group(term)
            else:
                raise WrongType(f"term {len(self._terms)} must be a Term or SlcTerm, found {type(term).__name__}")

    def _add_group(self, group: SlcTerm) -> None:
        self._groups.append(group)
        self.problem_type_to_grouped()


def _member(m: int, item: Any) -> Term:
    """A member of a squared linear combination, given as a Term or as a pair of a coefficient and an id or None."""
    if isinstance(item, Term):
        return item
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise InvalidValue(f"member {m} must be a Term or a pair (coefficient, id or None), found {item!r}")
    c, i = item
    return Term(c=c, indices=[] if i is None else [i])

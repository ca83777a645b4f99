"""Problems as programs build them, stored as columns of coefficients and ids."""

from qiosk.model.cost_function import ProblemType
from qiosk.problem.problem import ContentType, Problem
from qiosk.problem.term import GroupType, SlcTerm, Term

__all__ = ["ContentType", "GroupType", "Problem", "ProblemType", "SlcTerm", "Term"]

"""Models with named variables and constraints, which are converted to problems.

See :class:`Model`. Constraints become penalties, integers and choices become bits; ``decode`` converts a configuration
back to values by name.
"""

from __future__ import annotations

from qiosk.modeling.answer import Answer, JobAnswer, Round, Status
from qiosk.modeling.expression import Condition, Constraint, Expression, total
from qiosk.modeling.model import Model
from qiosk.modeling.solution import ConstraintReport, Solution
from qiosk.modeling.variables import Choice, Encoding

__all__ = [
    "Answer",
    "Choice",
    "Condition",
    "Constraint",
    "ConstraintReport",
    "Encoding",
    "Expression",
    "JobAnswer",
    "Model",
    "Round",
    "Solution",
    "Status",
    "total",
]

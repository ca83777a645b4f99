"""Lower bounds on the cost of all configurations, with what proves them."""

from qiosk.bounds.bound import Bound
from qiosk.bounds.choice import METHODS, bound

__all__ = ["METHODS", "Bound", "bound"]

"""Smaller problems with the same minimum: spins that can be decided beforehand are taken out, and put back later."""

from qiosk.presolve.reduced import Reduced
from qiosk.presolve.reduction import reduce

__all__ = ["Reduced", "reduce"]

"""What is left of a problem, and the way back to configurations of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8, I32, I64


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """How r spins that were taken out follow from others, in the order in which they were; number n is the ghost, +1.

    Spin ``removed[k]`` is -sign(sum_q couplings[k, q] s_{partners[k, q]}), either value where that sum is 0.
    """

    removed: I32  # (r,)
    partners: I32  # (r, 3) -1: none
    couplings: I64  # (r, 3)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduced:
    """A problem of spins with the minimum of a larger one.

    ``problem`` has the variables that are left, under their ids, as spins -1/+1, and costs as the larger problem has
    them: a configuration costs as much as the best configuration of the larger problem that :meth:`lift` makes of it.
    ``counts`` is how many variables each rule took out. With ``is_strict`` every optimum of the larger problem is
    among what :meth:`lift_all` makes of the optima of the smaller one. ``is_exact``: the coefficients are whole
    multiples of a unit, decimal fractions as what they round to; else the least of them were rounded, to some 1e-17
    of the sum of all.

    >>> import qiosk
    >>> from qiosk.presolve import reduce
    >>> ring = qiosk.Problem("ring")
    >>> ring.add_terms(coefficients=[1, 1, -1], ids=[[0, 1], [1, 2], [0, 2]])
    >>> reduced = reduce(ring)
    >>> reduced.problem.n, reduced.problem.constant
    (0, -3.0)
    >>> float(ring.evaluate(dict(zip([0, 1, 2], reduced.lift([]).tolist()))))
    -3.0
    """

    problem: CompiledProblem
    original: CompiledProblem
    counts: Mapping[str, int]
    is_strict: bool
    is_exact: bool
    records: Records

    def forget(self) -> None:
        """Let go of what was derived from what is left."""
        self.problem.forget()

    @property
    def n_removed(self) -> int:
        """Number of variables that were taken out."""
        return self.original.n - self.problem.n

    @cached_property
    def places(self) -> I64:
        """(problem.n,) numbers of the variables that are left in the larger problem."""
        is_left = np.ones(self.original.n, np.bool_)
        is_left[self.records.removed] = False
        return np.flatnonzero(is_left)

    def lift(self, spins: I8 | NDArray[np.int64] | list[int]) -> I8:
        """(original.n,) a best configuration of the larger problem, in its values, with these spins (problem.n,)."""
        found = self._with_ghost(spins)
        self._lift(found, len(self.records.removed), stops_at_ties=False)
        return self._in_own_values(found)

    def lift_all(self, left: I8 | NDArray[np.int64] | list[int], most: int) -> list[I8]:
        """All best configurations of the larger problem with these spins, at most ``most`` of them.

        The first is what :meth:`lift` returns.
        """
        found, waiting = list[I8](), [(self._with_ghost(left), len(self.records.removed))]
        while waiting and len(found) < most:
            spins, place = waiting.pop()
            place = self._lift(spins, place, stops_at_ties=True)
            if place < 0:
                found.append(self._in_own_values(spins))
                continue
            other = spins.copy()
            other[self.records.removed[place]] = -1
            waiting += [(other, place), (spins, place)]
        return found

    def restrict(self, values: I8) -> I8:
        """(problem.n,) the spins that are left in a configuration (original.n,) of the larger problem."""
        left: I8 = np.asarray(values, np.int8)[self.places]
        return left if self.original.is_spin else (1 - 2 * left).astype(np.int8)

    def _with_ghost(self, spins: I8 | NDArray[np.int64] | list[int]) -> I8:
        found = np.ones(self.original.n + 1, np.int8)
        found[self.places] = spins
        return found

    def _in_own_values(self, spins: I8) -> I8:
        values = spins[:-1]
        return values if self.original.is_spin else ((1 - values) // 2).astype(np.int8)

    def _lift(self, spins: I8, place: int, *, stops_at_ties: bool) -> int:
        from qiosk.kernels.presolve.lift import lift_spins

        r = self.records
        return int(lift_spins()(r.removed, r.partners, r.couplings, spins, place, stops_at_ties))

"""The one-hot groups of a problem while a program builds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from qiosk.model.constraints.one_hot import ONE_HOT, OneHot, read_one_hot
from qiosk.model.cost_function import ProblemType


class OneHotGroups:
    """Groups of variables of which exactly one, or at most one, is set; and variables that are never set."""

    def __init__(self) -> None:
        self._groups: list[tuple[Sequence[int], bool]] = []
        self._never: list[int] = []
        self._metadata: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def append(self, ids: Sequence[int], *, is_exact: bool) -> None:
        """Add one group of checked ids."""
        self._groups.append((ids, is_exact))
        self._metadata = {}

    def groups(self) -> tuple[tuple[tuple[int, ...], bool], ...]:
        """Pairs: the ids of a group, and whether exactly one of them is set."""
        return tuple((tuple(ids), is_exact) for ids, is_exact in self._groups)

    def read(self, metadata: Mapping[str, Any]) -> None:
        """Replace all groups by those in the metadata of a problem. Raises WrongType or InvalidValue."""
        found = read_one_hot(metadata)
        self._groups = list(found.groups()) if found is not None else []
        self._never = found.never.tolist() if found is not None else []
        self._metadata = {}

    def metadata(self) -> Mapping[str, Any]:
        """The member of the metadata in which they are carried, if there are any; the same object until they change."""
        if not self._metadata and (self._groups or self._never):
            self._metadata = {ONE_HOT: OneHot.of(self._groups, self._never).to_metadata()}
        return self._metadata


def penalty_terms(
    ids: Sequence[int], at_most: bool, penalty: float, problem_type: ProblemType
) -> tuple[list[list[int]], list[float]]:
    """Ids and coefficients of terms that cost ``penalty`` times the squared excess over one set variable.

    With k of them set these cost ``penalty`` (k - 1)**2; or ``penalty`` k (k - 1) / 2 if ``at_most``.
    """
    # in k = sum of bits: square k**2 + slope k + constant; bits are (1 + s) / 2
    square, slope, constant = (penalty / 2, -penalty / 2, 0.0) if at_most else (penalty, -2 * penalty, penalty)
    n = len(ids)
    if problem_type.is_ising:
        # k = n / 2 + sum s / 2, and (sum s)**2 = n + twice the pairs
        constant += square * (n * n + n) / 4 + slope * n / 2
        linear, pair = (square * n + slope) / 2, square / 2
    else:
        linear, pair = square + slope, 2 * square
    pairs = [list(some) for some in combinations(ids, 2)]
    indices = [[], *([i] for i in ids), *pairs]
    return indices, [constant, *([linear] * n), *([pair] * len(pairs))]

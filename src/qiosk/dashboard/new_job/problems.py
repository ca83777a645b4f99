"""What a problem is, in numbers, and what will go wrong with it: for the page of a new job."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qiosk.model.constraints.hard_constraints import HARD_CONSTRAINTS
from qiosk.model.constraints.one_hot import read_one_hot
from qiosk.model.cost_function import CONSTANT, F64, I64, CostFunction

MOST_TERMS: Final = 4_000_000
"""Terms, and ids in them divided by eight, of the largest problem that is described: it takes some seconds."""
BASE_BYTES: Final = 300_000_000
"""About what a job's process takes without a problem."""
VARIABLE_BYTES, PAIR_BYTES, ID_BYTES = 400, 110, 100
"""About what a variable takes with its replicas, what a coupling, and what a variable in a larger term or a square."""
EXACT: Final = 2.0**53
_MANY_COLUMNS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A problem in numbers. Like terms are added up: what follows ``n_terms`` is about the terms that are left then.

    ``localities`` has the number of terms by how many variables they have; ``least`` and ``largest`` are the ends of
    the range of the coefficients, ``smallest`` is the smallest size of one; None without terms. ``magnitude`` is a cost
    that no cost is larger than in size. ``parts`` are the numbers of variables of the connected components, largest
    first, without the ``unused`` variables, which have no influence on the cost.
    """

    is_spin: bool
    n_variables: int
    n_terms: int
    n_squares: int
    n_repeated: int
    localities: Mapping[int, int]
    constant: float
    least: float | None
    largest: float | None
    smallest: float | None
    magnitude: float
    is_whole: bool
    parts: Sequence[int]
    unused: int
    one_hot_groups: int
    constraints: int
    has_initial: bool
    memory_bytes: int

    @property
    def locality(self) -> int:
        """Variables of the largest term; a square counts as 2."""
        return max((*self.localities, 2 if self.n_squares else 0), default=0)

    @property
    def density(self) -> float | None:
        """Share of all pairs of variables that have a coupling; None if there are no pairs."""
        n = self.n_variables
        return None if n < 2 else self.localities.get(2, 0) / (n * (n - 1) / 2)

    @property
    def is_constant(self) -> bool:
        """Whether every configuration has the same cost."""
        return not self.localities and not self.n_squares


def is_describable(problem: CostFunction) -> bool:
    """Whether a problem is small enough to be described while a page waits."""
    coefficients, _, ids = problem.columns
    return len(coefficients) <= MOST_TERMS and max(len(ids), len(problem.groups.ids)) <= 8 * MOST_TERMS


def describe(problem: CostFunction) -> Description:
    """The description of a problem that ``is_describable``."""
    n, groups = len(problem.variables), problem.groups
    values, left = [np.empty(0)], list(_merged(problem))
    localities, constant, links = Counter[int](), 0.0, [np.empty((0, 2), np.int64)]
    used = np.zeros(n, np.bool_)
    n_merged = 0
    for rows, sums in left:
        is_kept = sums != 0
        n_merged += len(sums)
        if rows.shape[1] == 0:
            constant = float(sums.sum())
            continue
        if is_kept.any():
            localities[rows.shape[1]] += int(is_kept.sum())
            values.append(sums[is_kept])
            used[rows[is_kept].ravel()] = True
            links += [rows[is_kept][:, [0, k]] for k in range(1, rows.shape[1])]
    members = _members(problem)
    used[members[:, 1]] = True
    found = np.concatenate(values)
    sizes = _component_sizes(n, np.concatenate([*links, _chained(members)]), used)
    one_hot = read_one_hot(problem.metadata)
    pairs = localities.get(2, 0)
    others = sum(d * count for d, count in localities.items() if d > 2) + len(groups.ids)
    return Description(
        is_spin=problem.problem_type.is_ising,
        n_variables=n,
        n_terms=len(problem.columns[0]),
        n_squares=len(np.unique(members[:, 0])),
        n_repeated=len(problem.columns[0]) - n_merged,
        localities=dict(sorted(localities.items())),
        constant=constant,
        least=float(found.min()) if len(found) else None,
        largest=float(found.max()) if len(found) else None,
        smallest=float(np.abs(found).min()) if len(found) else None,
        magnitude=_magnitude(problem),
        is_whole=_is_whole(problem),
        parts=sizes,
        unused=n - int(used.sum()),
        one_hot_groups=0 if one_hot is None else len(one_hot.is_exact),
        constraints=_count(problem.metadata.get(HARD_CONSTRAINTS)),
        has_initial=problem.initial_configuration is not None,
        memory_bytes=BASE_BYTES + VARIABLE_BYTES * n + PAIR_BYTES * pairs + ID_BYTES * others,
    )


def warnings_of(found: Description, *, memory_limit: int) -> Iterator[str]:
    """What will go wrong with a problem, as sentences. ``memory_limit`` is in bytes; 0: none."""
    if found.is_constant:
        yield "The cost is constant: every configuration is as good as any other."
    if not math.isfinite(found.magnitude):
        yield "The coefficients add up to more than float64 can represent: the job will fail."
    elif found.is_whole and found.magnitude >= EXACT:
        yield "Costs may be 2⁵³ or more in size, where float64 represents no longer every integer: they are rounded."
    if found.smallest is not None and found.largest is not None and found.least is not None:
        widest = max(abs(found.largest), abs(found.least))
        if widest / found.smallest >= EXACT:
            yield "The smallest coefficients are lost beside the largest, which are more than 2⁵³ times as large."
    if 0 < memory_limit < found.memory_bytes:
        yield "The job may need more memory than a job of this server may use."


def remarks_on(found: Description) -> Iterator[str]:
    """What may surprise about a problem, as sentences."""
    if len(found.parts) > 1:
        yield (
            f"The problem falls into {len(found.parts)} parts without a term in common, the largest of "
            f"{found.parts[0]} variables. Solved one by one they are easier: no part influences another."
        )
    if found.unused:
        yield f"{_counted(found.unused, 'variable has', 'variables have')} no influence on the cost."
    if found.n_repeated:
        has = _counted(found.n_repeated, "term has", "terms have")
        yield f"{has} the same variables as an earlier one: their coefficients are added up."
    if found.constraints:
        held = _counted(found.constraints, "constraint is", "constraints are")
        yield f"{held} held by penalties: the results say whether a solution satisfies them."


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _count(entries: object) -> int:
    return len(entries) if isinstance(entries, list) else 0


def _merged(problem: CostFunction) -> Iterator[tuple[I64, F64]]:
    """For every number d of distinct variables: those of each set of them (m, d), and the sums of coefficients (m,)."""
    parts: dict[int, list[tuple[I64, F64]]] = {}
    for block in problem.blocks(numbered=True):
        for _, where, rows in block.by_degree():
            values = block.coefficients[where]
            rows = np.sort(rows, axis=1)
            is_first = np.ones(rows.shape, np.bool_)
            is_first[:, 1:] = rows[:, 1:] != rows[:, :-1]
            sizes = is_first.sum(axis=1)
            for size in np.unique(sizes).tolist():
                has_size = sizes == size
                distinct = rows[has_size][is_first[has_size]].reshape(int(has_size.sum()), size)
                parts.setdefault(size, []).append((distinct, values[has_size]))
    for some in parts.values():
        rows, values = np.concatenate([rows for rows, _ in some]), np.concatenate([values for _, values in some])
        _, first, which = np.unique(_keys(rows, len(problem.variables)), return_index=True, return_inverse=True)
        with np.errstate(over="ignore"):
            yield rows[first], np.bincount(which, weights=values).astype(np.float64)


def _keys(rows: I64, n: int) -> I64:
    """(m,) numbers that are equal where the rows (m, d) of variables below n are."""
    if rows.shape[1] > _MANY_COLUMNS:
        numbers: dict[bytes, int] = {}
        return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], np.int64)
    keys = np.zeros(len(rows), np.int64)
    for column in rows.T:
        keys = np.unique(keys * n + column, return_inverse=True)[1].astype(np.int64)
    return keys


def _members(problem: CostFunction) -> I64:
    """(m, 2) the square and the variable of every member of a square that has influence, by squares."""
    groups = problem.groups
    owners = np.repeat(np.arange(len(groups)), np.diff(groups.indptr))
    has_influence = (groups.ids != CONSTANT) & (groups.weights != 0) & (groups.coefficients[owners] != 0)
    members: I64 = np.stack([owners, problem.group_positions], axis=1)[has_influence]
    return members


def _chained(members: I64) -> I64:
    """(k, 2) pairs of variables that link all members of every square."""
    is_same = members[1:, 0] == members[:-1, 0]
    pairs: I64 = np.stack([members[:-1, 1], members[1:, 1]], axis=1)[is_same]
    return pairs


def _component_sizes(n: int, links: I64, used: NDArray[np.bool_]) -> Sequence[int]:
    """The numbers of variables of the connected components of the used ones, largest first. ``links`` is (k, 2)."""
    root = np.arange(n)
    while len(links):
        ends = root[links]
        links = links[ends[:, 0] != ends[:, 1]]
        low, high = np.sort(root[links], axis=1).T
        np.minimum.at(root, high, low)
        while not np.array_equal(shorter := root[root], root):
            root = shorter
    sizes = np.bincount(root[used], minlength=1)
    return sorted(sizes[sizes > 0].tolist(), reverse=True)


def _magnitude(problem: CostFunction) -> float:
    groups = problem.groups
    with np.errstate(over="ignore", invalid="ignore"):
        total = sum(float(np.abs(block.coefficients).sum()) for block in problem.blocks())
        if len(groups):
            sums = np.add.reduceat(np.abs(np.append(groups.weights, 0.0)), groups.indptr[:-1])
            sums[np.diff(groups.indptr) == 0] = 0.0
            total += float((np.abs(groups.coefficients) * sums**2).sum())
    return total if not math.isnan(total) else math.inf


def _is_whole(problem: CostFunction) -> bool:
    groups = problem.groups
    columns = [groups.coefficients, groups.weights, *(block.coefficients for block in problem.blocks())]
    return all(bool(np.array_equal(values, np.trunc(values))) for values in columns)

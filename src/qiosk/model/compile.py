"""From terms as they were given to the arrays that solvers work on.

Terms are taken locality by locality. The ids of a PUBO term are first reduced by x**2 = x, which may lower
its locality; then like terms are found by sorting keys that pack a term's variables into one integer, or many terms
by counting. Sums are taken in float64, in an order that depends only on the order of the terms: exact for integers up
to 2**53.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from qiosk.errors import InvalidValue, NotEnoughMemory, RepeatedVariable
from qiosk.model.arrays.compact import LARGE_TERMS
from qiosk.model.arrays.pairs import PairList, Pairs
from qiosk.model.arrays.rows import collect_list, collect_rows
from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.one_hot import read_one_hot
from qiosk.model.constraints.slack import read_slack
from qiosk.model.cost_function import CONSTANT, F64, I32, I64, CostFunction, distinct_degrees, rows_of

MANY_TERMS = 1 << 14
"""Terms, none of three or more ids, from which counting is worth loading Numba."""
_KEY_LIMIT = 2**62
_MAX_PACKED = 64  # ids in a term; longer ones are rare and compared as bytes, without a pass per id


@dataclass(slots=True)
class _Like:
    """Terms of one locality d: columns (m, d) with sorted rows, values (m,)."""

    columns: I64 | I32
    values: F64


@dataclass(slots=True)
class _Groups:
    """Groups as in CompiledProblem, and what those of fewer than two variables expand to."""

    indptr: I64
    variables: I64
    weights: F64
    values: F64
    offsets: F64
    linear: F64
    constant: float


def compile_problem(cost_function: CostFunction) -> CompiledProblem:
    """Number the variables, merge like terms and split off constants.

    Terms of three and more variables come out by locality, then by variables. A group of one variable is expanded into
    a linear term and a constant, which is exact up to rounding; members of a group that share a variable are added up.
    Raises RepeatedVariable if a variable occurs twice in an Ising term, InvalidValue if a merged coefficient leaves the
    range of float64, and NotEnoughMemory for more than 2**31 - 1 variables.
    """
    n, one_hot = len(cost_function.variables), read_one_hot(cost_function.metadata)
    if n >= 2**31:
        raise NotEnoughMemory(f"the problem has {n} variables, more than {2**31 - 1}")
    larger: list[_Like] = []
    pairs: Pairs
    with np.errstate(over="ignore", invalid="ignore"):  # _check_finite has the better message
        groups = _compile_groups(cost_function, n)
        if is_large(cost_function):
            pairs, linear, constant = collect_rows(cost_function)
        elif cost_function.n_terms >= MANY_TERMS and _is_of_pairs(cost_function):
            pairs, linear, constant = collect_list(cost_function)
        else:
            pairs, linear, constant, larger = _merged_terms(cost_function, n)
        linear, constant = groups.linear + linear, groups.constant + constant
    problem = CompiledProblem(
        is_spin=cost_function.problem_type.is_ising,
        variables=cost_function.variables,
        constant=constant,
        linear=linear,
        pairs=pairs,
        term_indptr=_indptr(_joined([np.full(*terms.columns.shape) for terms in larger])),
        term_variables=np.concatenate(
            [np.empty(0, np.int32), *(terms.columns.ravel() for terms in larger)], dtype=np.int32
        ),
        term_values=np.concatenate([np.empty(0), *(terms.values for terms in larger)]),
        group_indptr=groups.indptr,
        group_variables=groups.variables.astype(np.int32),
        group_weights=groups.weights,
        group_values=groups.values,
        group_offsets=groups.offsets,
        one_hot=None if one_hot is None else one_hot.numbered(cost_function.variables),
        slack=tuple(row.numbered(cost_function.variables) for row in read_slack(cost_function.metadata)),
    )
    _check_finite(problem)
    return problem


def _merged_terms(cost_function: CostFunction, n: int) -> tuple[PairList, F64, float, list[_Like]]:
    """Pairs, linear (n,), constant, and terms of three and more variables, by locality."""
    merged = {d: _merge(terms, n) for d, terms in sorted(_reduced(cost_function).items())}
    linear, constant = np.zeros(n), float(merged[0].values.sum()) if 0 in merged else 0.0
    if 1 in merged:
        linear[merged[1].columns[:, 0]] += merged[1].values
    two = merged.get(2) or _Like(np.empty((0, 2), np.int32), np.empty(0))
    pairs = PairList(two.columns[:, 0].astype(np.int32), two.columns[:, 1].astype(np.int32), two.values)
    return pairs, linear, constant, [terms for d, terms in merged.items() if d > 2 and len(terms.values)]


def is_large(cost_function: CostFunction) -> bool:
    """Whether a problem is better sorted by counting: it has many terms, and none of three or more ids."""
    return cost_function.n_terms >= LARGE_TERMS and _is_of_pairs(cost_function)


def _is_of_pairs(cost_function: CostFunction) -> bool:
    """Whether no term has three or more ids."""
    return all(int(np.diff(block.indptr).max(initial=0)) <= 2 for block in cost_function.blocks())


def _reduced(cost_function: CostFunction) -> dict[int, _Like]:
    """All terms, by locality after reduction."""
    indptr, positions, coefficients = cost_function.indptr, cost_function.positions, cost_function.coefficients
    degrees = np.diff(indptr)
    parts: dict[int, list[_Like]] = defaultdict(list)
    for degree in distinct_degrees(degrees):
        where = np.flatnonzero(degrees == degree)
        rows = rows_of(positions, indptr, where, degree)
        values: F64 = coefficients[where]
        if len(where) >= MANY_TERMS and degree > 1:
            columns, sizes = _sorted_members(rows)
            if (sizes == degree).all():
                parts[degree].append(_Like(columns, values))
                continue
        columns = np.sort(rows, axis=1)
        first = np.ones(columns.shape, np.bool_)
        first[:, 1:] = columns[:, 1:] != columns[:, :-1]
        is_plain = first.all(axis=1)
        if is_plain.all():
            parts[degree].append(_Like(columns, values))
            continue
        if cost_function.problem_type.is_ising:
            row = int(np.argmin(is_plain))
            variable = cost_function.variables[columns[row, np.argmin(first[row])]]
            raise RepeatedVariable(f"term {where[row]}: variable {variable} occurs twice in an Ising term")
        sizes = first.sum(axis=1)
        for size in np.unique(sizes).tolist():
            of_size = sizes == size
            reduced = columns[of_size][first[of_size]].reshape(-1, size)
            parts[size].append(_Like(reduced, values[of_size]))
    return {degree: _concatenate(some) for degree, some in parts.items()}


def _concatenate(parts: list[_Like]) -> _Like:
    if len(parts) == 1:
        return parts[0]
    return _Like(np.concatenate([p.columns for p in parts]), np.concatenate([p.values for p in parts]))


def _merge(terms: _Like, base: int) -> _Like:
    """Like terms added up, zeros left out, rows in lexicographic order. Columns are in 0..base-1."""
    if len(terms.values) >= MANY_TERMS and terms.columns.shape[1] > 0:
        return _merged_by_counting(terms, base)
    keys = _keys(terms.columns.astype(np.int64, copy=False), base)
    values: F64 = terms.values
    columns = terms.columns
    if not np.all(keys[1:] > keys[:-1]):
        order = _stable_order(keys)
        keys = keys[order]
        is_first = np.ones(len(keys), np.bool_)
        is_first[1:] = keys[1:] != keys[:-1]
        values = np.bincount(np.cumsum(is_first) - 1, weights=values[order]).astype(np.float64, copy=False)
        columns = columns[order[is_first]]
    is_kept = values != 0
    if is_kept.all():
        return _Like(columns, values)
    return _Like(columns[is_kept], values[is_kept])


def _sorted_members(rows: I64) -> tuple[I32, I32]:
    """(m, d) the distinct variables of each term, ascending, first; and (m,) how many these are."""
    from qiosk.kernels.like_terms import sort_members  # here: small problems need no Numba

    members, sizes = rows.astype(np.int32), np.empty(len(rows), np.int32)
    sort_members()(members, sizes)
    return members, sizes


def _merged_by_counting(terms: _Like, base: int) -> _Like:
    """As ``_merge``."""
    from qiosk.kernels.like_terms import merge_terms

    members, values = terms.columns.astype(np.int32, copy=False), terms.values
    counts = np.bincount(members[:, 0], minlength=base)
    fill = _indptr(counts)[:-1]
    bucket, bucket_values = np.empty_like(members), np.empty_like(values)
    order, spare = (np.empty(int(counts.max(initial=0)), np.int32) for _ in range(2))
    out, out_values = np.empty_like(members), np.empty_like(values)
    left = merge_terms()(members, values, fill, bucket, bucket_values, order, spare, out, out_values)
    return _Like(out[:left], out_values[:left])


def _keys(columns: I64, base: int) -> I64:
    """(m,) integers >= 0 that compare as the rows of columns (m, d) do."""
    m, d = columns.shape
    if d == 0:
        return np.zeros(m, np.int64)
    if d > _MAX_PACKED:
        rows = [row.tobytes() for row in columns.astype(">i4")]  # big endian: bytes compare as the numbers do
        rank = {row: k for k, row in enumerate(sorted(set(rows)))}
        return np.array([rank[row] for row in rows], np.int64)
    keys, size = columns[:, 0], base
    for k in range(1, d):
        if size * base > _KEY_LIMIT:
            distinct, keys = np.unique(keys, return_inverse=True)
            size = len(distinct)
        keys, size = keys * base + columns[:, k], size * base
    return keys


def _stable_order(keys: I64) -> I64:
    """A stable argsort; if key and index fit one integer together, by a plain sort, which is much faster."""
    shift = len(keys).bit_length()
    if int(keys.max(initial=0)) >= _KEY_LIMIT >> shift:
        return np.argsort(keys, kind="stable")
    packed = (keys << shift) | np.arange(len(keys))
    packed.sort()
    return packed & ((1 << shift) - 1)


def _compile_groups(cost_function: CostFunction, n: int) -> _Groups:
    groups = cost_function.groups
    G = len(groups)
    owners = np.repeat(np.arange(G), np.diff(groups.indptr))
    positions = cost_function.group_positions
    is_constant = groups.ids == CONSTANT
    # without any constant, bincount counts: integers
    offsets = np.bincount(owners[is_constant], groups.weights[is_constant], G).astype(np.float64)
    columns = np.stack([owners, positions], axis=1)[~is_constant]
    members = _merge(_Like(columns, groups.weights[~is_constant]), max(n, G, 1))
    sizes = np.bincount(members.columns[:, 0], minlength=G)
    values = groups.coefficients
    kept = (sizes > 1) & (values != 0)
    is_folded = (~kept & (sizes == 1) & (values != 0))[members.columns[:, 0]]
    owner, variable = members.columns[is_folded].T
    weight, value, offset = members.values[is_folded], values[owner], offsets[owner]
    # value (w x + k)^2 = value (w^2 x^2 + k^2) + 2 value w k x, and x^2 is 1 (spins) or x (bits).
    square = value * weight * weight
    linear = 2.0 * value * weight * offset
    constant = float((values[~kept] * offsets[~kept] ** 2).sum())
    if cost_function.problem_type.is_ising:
        constant += float(square.sum())
    else:
        linear = linear + square
    is_kept = kept[members.columns[:, 0]]
    return _Groups(
        indptr=_indptr(sizes[kept]),
        variables=members.columns[is_kept, 1],
        weights=members.values[is_kept],
        values=values[kept],
        offsets=offsets[kept],
        linear=np.bincount(variable, weights=linear, minlength=n).astype(np.float64, copy=False),
        constant=constant,
    )


def _joined(parts: list[I64]) -> I64:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _indptr(sizes: I64) -> I64:
    indptr = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=indptr[1:])
    return indptr


def _check_finite(problem: CompiledProblem) -> None:
    for name in ("constant", "linear", "pair_values", "term_values", "group_weights", "group_offsets"):
        if name == "pair_values":
            is_finite = all(bool(np.isfinite(values).all()) for _, _, values in problem.pair_blocks())
        else:
            is_finite = bool(np.isfinite(getattr(problem, name)).all())
        if not is_finite:
            what = name.replace("_", " ")
            raise InvalidValue(f"{what}: like terms add up to a value beyond the range of float64")

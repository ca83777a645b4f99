"""Small problems with rows that have slack, and their least costs by enumeration."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from one_hot_problems import exactly
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.one_hot import OneHot
from qiosk.model.constraints.slack import SLACK, SlackRow
from qiosk.model.cost_function import CostFunction
from qiosk.solvers.exact.slack import proven_rows
from strategies import cost_function

FORMS = ["squares", "multiplied out", "both"]


def slack_rows(rng: np.random.Generator, n: int, unit: float = 1.0) -> list[SlackRow]:
    """Three rows over ``n`` bits, whose slack are the variables from n on, some of negative weight."""
    rows, first = list[SlackRow](), n
    for number, sizes in enumerate(([1, 2, 3], [1, -1, -2], [2, 4])):
        step = 2 if number == 2 else 1
        others = np.sort(rng.choice(n, min(n, 4), replace=False))
        weights = step * rng.choice([-3, -2, -1, 1, 2, 3], len(others))
        members = np.concatenate([others, np.arange(first, first + len(sizes))])
        offset = float(step * rng.integers(-6, 3))
        penalty = float(rng.integers(1, 4))
        row = SlackRow(penalty, members, unit * np.append(weights, sizes), unit * offset, len(sizes))
        rows.append(row)
        first += len(sizes)
    return rows


def slack_cost_function(form: str, *, seed: int = 0, integers: bool = True, n: int = 5) -> CostFunction:
    """Random terms over 5 bits, of which the first three may be a group, and three rows; declared in the metadata."""
    rng = np.random.default_rng([seed, FORMS.index(form)])
    rows = slack_rows(rng, n, 1.0 if integers else 0.25)

    def coefficient() -> float:
        return float(rng.integers(-3, 4)) if integers else float(rng.normal())

    terms = [(coefficient(), []), *((coefficient(), [i]) for i in range(n))]
    terms += [(coefficient(), list(pair)) for pair in itertools.combinations(range(n), 2)]
    terms += [(coefficient(), [0, 1, 3])]
    squares = [(0.5, [(1.0, 0), (2.0, 3), (-2.0, None)])]
    for number, row in enumerate(rows):
        members = [*zip(row.weights.tolist(), row.members.tolist(), strict=True), (row.offset, None)]
        if form == "squares" or (form == "both" and number == 0):
            squares.append((row.penalty, members))
            continue
        for (a, i), (b, j) in itertools.product(members, members):
            terms.append((row.penalty * a * b, [k for k in (i, j) if k is not None]))
    found = cost_function("pubo_grouped", terms, squares)
    return replace(found, metadata={SLACK: [row.to_metadata() for row in rows]})


def slack_problem(form: str, *, groups: bool = False, **changes) -> CompiledProblem:
    """The problem as searches see it: with proven rows."""
    problem = compile_problem(slack_cost_function(form, **changes))
    one_hot = OneHot.of(exactly([[0, 1, 2]]) if groups else [])
    problem = replace(problem, one_hot=one_hot)
    return replace(problem, slack=proven_rows(problem, is_sought=False))


def least_costs(problem: CompiledProblem, n: int = 5) -> dict[bytes, float]:
    """The least cost over all slack, by the first n bits of a configuration that keeps the groups."""
    x = np.array(list(itertools.product([0, 1], repeat=problem.n)), np.int8)
    x = x[problem.one_hot.is_kept_by(x > 0)]
    found: dict[bytes, float] = {}
    for row, cost in zip(x, costs(problem, x), strict=True):
        key = row[:n].tobytes()
        found[key] = min(found.get(key, np.inf), float(cost))
    return found


def costs(problem: CompiledProblem, x: np.ndarray) -> np.ndarray:
    """(m,) costs of configurations (m, n) of bits, from the definition."""
    x = x.astype(np.float64)
    pairs = x[:, problem.pair_rows] * x[:, problem.pair_cols]
    total = problem.constant + x @ problem.linear + pairs @ problem.pair_values
    for t, value in enumerate(problem.term_values):
        members = problem.term_variables[problem.term_indptr[t] : problem.term_indptr[t + 1]]
        total += value * x[:, members].prod(axis=1)
    for g, value in enumerate(problem.group_values):
        own = slice(problem.group_indptr[g], problem.group_indptr[g + 1])
        sums = problem.group_offsets[g] + x[:, problem.group_variables[own]] @ problem.group_weights[own]
        total += value * sums**2
    return total

"""What a page says of a problem, compared with slow counting."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

from qiosk.dashboard.new_job.problems import describe, is_describable, remarks_on, warnings_of
from qiosk.model.cost_function import CONSTANT, CostFunction
from strategies import cost_function, cost_functions, integers


def merged(problem: CostFunction) -> dict[frozenset[int], float]:
    sums: dict[frozenset[int], float] = defaultdict(float)
    bounds, ids = problem.indptr.tolist(), problem.ids.tolist()
    for t, coefficient in enumerate(problem.coefficients.tolist()):
        sums[frozenset(ids[bounds[t] : bounds[t + 1]])] += coefficient
    return sums


def squares(problem: CostFunction) -> list[set[int]]:
    groups = problem.groups
    bounds, found = groups.indptr.tolist(), []
    for g, coefficient in enumerate(groups.coefficients.tolist()):
        members = range(bounds[g], bounds[g + 1])
        found.append({int(groups.ids[m]) for m in members if groups.weights[m] and coefficient} - {CONSTANT})
    return [members for members in found if members]


def parts(linked: list[set[int]]) -> list[int]:
    found: list[set[int]] = []
    for members in linked:
        touched = [part for part in found if part & members]
        found = [part for part in found if not part & members] + [members.union(*touched)]
    return sorted(map(len, found), reverse=True)


@given(cost_functions(integers))
def test_a_description_is_what_slow_counting_finds(problem: CostFunction) -> None:
    found = describe(problem)
    sums = merged(problem)
    left = {members: value for members, value in sums.items() if value and members}
    linked = [set(members) for members in left] + squares(problem)
    assert found.localities == Counter(map(len, left))
    assert found.n_repeated == len(problem.coefficients) - len(sums)
    assert found.constant == sums.get(frozenset(), 0.0)
    assert found.n_squares == len(squares(problem))
    assert found.parts == parts(linked)
    assert found.unused == len(set(problem.variables.tolist()) - set().union(*linked))
    assert found.least == min(left.values(), default=None)
    assert found.largest == max(left.values(), default=None)
    assert found.smallest == min(map(abs, left.values()), default=None)
    assert found.is_constant == (not linked)
    assert found.is_whole
    assert found.locality == max([*map(len, left), *(2 for _ in squares(problem))], default=0)


def test_long_chains_and_long_terms_are_one_part() -> None:
    order = np.random.default_rng(1).permutation(5000).tolist()
    chain = describe(cost_function("ising", [(1.0, list(pair)) for pair in pairwise(order)]))
    assert chain.parts == [5000]
    long = describe(cost_function("pubo", [(2.0, list(range(300))), (3.0, list(range(300))), (1.0, [300, 300])]))
    assert (long.localities, long.n_repeated, long.parts) == ({1: 1, 300: 1}, 1, [300, 1])


def test_nothing_is_a_problem_too() -> None:
    found = describe(cost_function("pubo", []))
    assert (found.n_variables, found.density, found.parts, found.locality) == (0, None, [], 0)
    assert "constant" in " ".join(warnings_of(found, memory_limit=0))


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([(0.0, [0, 1]), (3.0, [])], ["constant", "2 variables have no influence"]),
        ([(1e308, [0]), (1e308, [1])], ["more than float64 can represent", "2 parts"]),
        ([(2.0**52, [0]), (2.0**52, [0, 1])], ["every integer"]),
        ([(1e-9, [0]), (1e9, [0, 1])], ["lost beside the largest"]),
        ([(1.0, [0, 1]), (1.0, [2, 3])], ["2 parts", "of 2 variables"]),
        ([(1.0, [0, 1]), (1.0, [1, 0])], ["1 term has the same variables"]),
        ([(1.0, [0, 1])], []),
    ],
)
def test_warnings_name_what_will_go_wrong(terms, expected) -> None:
    found = describe(cost_function("ising", terms))
    text = " ".join([*warnings_of(found, memory_limit=0), *remarks_on(found)])
    for part in expected:
        assert part in text
    assert bool(text) == bool(expected)


def test_squares_count_in_what_costs_may_be() -> None:
    square = (4.0, [(1e200, 0), (1e200, 1)])
    found = describe(cost_function("pubo_grouped", [], [(1.0, []), square, (2.0, [(3.0, None)])]))
    assert found.magnitude == np.inf
    assert describe(cost_function("pubo_grouped", [], [(4.0, [(3.0, 0), (2.0, None)])])).magnitude == 100.0


def test_memory_is_compared_with_what_a_job_may_use() -> None:
    found = describe(cost_function("ising", [(1.0, [0, 1])]))
    assert any("memory" in text for text in warnings_of(found, memory_limit=1))
    assert not any("memory" in text for text in warnings_of(found, memory_limit=10**12))


def test_constraints_and_groups_of_the_metadata_are_counted() -> None:
    from qiosk.modeling import Model

    text = b"maximize\n 6 x + 5 y\nsubject to\n 2 x + 3 y <= 4\nbinary\n x y\nend\n"
    found = describe(Model.from_file("a.lp", text).problem().cost_function())
    assert found.constraints == 1
    assert any("penalties" in warning for warning in remarks_on(found))
    assert is_describable(cost_function("ising", []))

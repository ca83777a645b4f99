"""No bound is above the least cost, whatever the method, the coefficients and the time."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from patience import HANG_S
from qiosk.bounds import METHODS, bound
from qiosk.bounds.bound import rounded_down
from qiosk.bounds.choice import Bounder
from qiosk.bounds.elimination import Effort, is_wide, planned
from qiosk.bounds.factors import factors_of
from qiosk.bounds.graph import spin_graph
from qiosk.bounds.polynomial import polynomial
from qiosk.bounds.quick import quick_bound
from qiosk.bounds.semidefinite import is_proved
from qiosk.errors import InvalidValue
from qiosk.kernels.bounds.factor import factor_rows
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.problem.problem import Problem
from small_problems import least_cost, problems
from strategies import cost_function, cost_functions, reals

pytestmark = pytest.mark.slow

ANY_SIZE = ("trivial", "elimination", "diffusion", "mini-buckets", "auto")
QUADRATIC = ("cycles", "cycles-lp", "sdp", "sdp-triangles")


def assert_sound(function, method, seed=1):
    least, problem = least_cost(function), compile_problem(function)
    bounder = Bounder(problem, method, seed)
    before = bounder.best.exact
    assert before <= least
    while not bounder.is_done:
        is_better = bounder.step()
        assert is_better == (bounder.best.exact > before)
        before = bounder.best.exact
        assert before <= least
        assert Fraction(bounder.best.value) <= before
    return bounder, least


@pytest.mark.parametrize("method", QUADRATIC)
@given(problems())
@example(cost_function("ising", []))
def test_no_bound_of_pairs_is_above_the_least_cost(method, function):
    if method == "cycles-lp":
        pytest.importorskip("highspy")
    assert_sound(function, method)


@pytest.mark.parametrize("method", ANY_SIZE)
@given(problems(locality=4, most=8))
@example(cost_function("pubo", [(3.0, [])]))
def test_no_bound_of_larger_terms_is_above_the_least_cost(method, function):
    bounder, least = assert_sound(function, method)
    if method == "elimination":
        error = bounder.terms.scale.error
        assert bounder.best.exact == least if error == 0 else bounder.best.exact >= least - 2 * error
        if error == 0 and bounder.best.configuration is not None:
            assert bounder.is_attained(bounder.best.configuration)


@pytest.mark.parametrize("method", ANY_SIZE)
@given(cost_functions())
def test_no_bound_of_squares_is_above_the_least_cost(method, function):
    """Costs are whole numbers here, so evaluating them is exact."""
    n = len(function.variables)
    bits = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.int8)
    least = evaluate(function, 1 - 2 * bits if function.problem_type.is_ising else bits).min()
    bounder = Bounder(compile_problem(function), method)
    while not bounder.is_done:
        bounder.step()
    assert bounder.best.exact <= int(least)
    if method == "elimination" and bounder.best.method == "elimination":
        assert bounder.best.exact == int(least)


@given(problems(locality=4, most=8))
def test_the_quick_bound_is_the_trivial_one_but_for_rounding(function):
    problem = compile_problem(function)
    quick, exact = quick_bound(problem), Bounder(problem).best
    assert quick.exact <= exact.exact
    if not len(problem.group_values):  # squares multiplied out can have a better one
        size = np.abs(function.coefficients).sum()
        assert quick.value == pytest.approx(exact.value, rel=1e-10, abs=1e-10 * size)  # sums of both signs cancel
        is_whole = np.all(function.coefficients == np.rint(function.coefficients))
        if is_whole and size < 2**50:
            assert quick.exact == exact.exact


@given(cost_functions(reals))
def test_the_quick_bound_of_any_coefficients_is_sound(function):
    n = len(function.variables)
    bits = (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.int8)
    costs = evaluate(function, 1 - 2 * bits if function.problem_type.is_ising else bits)
    assert quick_bound(compile_problem(function)).value <= costs.min()


@given(problems(most=8))
def test_frustrated_cycles_are_exact_for_sparse_problems_of_equal_weights(function):
    """What is packed is at least as much as one cycle of the least weight."""
    graph = spin_graph(compile_problem(function))
    found, least = assert_sound(function, "cycles")
    if found.best.exact < least:
        assert found.best.exact >= graph.scale.least(graph.least)


def ring(n, frustrated):
    return [(1.0 if i else (1.0 if (n % 2 == 1) == frustrated else -1.0), [i, (i + 1) % n]) for i in range(n)]


@pytest.mark.parametrize("method", ["cycles", "elimination", "sdp", "auto"])
@pytest.mark.parametrize("n", [3, 4, 9, 40])
@pytest.mark.parametrize("frustrated", [True, False])
def test_rings(method, n, frustrated):
    found = bound_of("ising", ring(n, frustrated), method)
    assert found.value == (2 - n if frustrated else -n) or (method == "sdp" and n > 9)
    assert found.value <= (2 - n if frustrated else -n)


def bound_of(kind, terms, method="auto", **options):
    return bound(cost_function(kind, terms), method, **options)


def test_planar_grids_are_closed_by_cycles():
    """Without fields the relaxation by odd cycles is exact on planar graphs."""
    pytest.importorskip("highspy")
    rng = np.random.default_rng(1)
    terms = [
        (float(rng.choice([-1, 1])), [4 * x + y, 4 * (x + dx) + y + dy])
        for x in range(4)
        for y in range(4)
        for dx, dy in ((0, 1), (1, 0))
        if x + dx < 4 and y + dy < 4
    ]
    exact = bound_of("ising", terms, "elimination")
    assert bound_of("ising", terms, "cycles-lp").exact == exact.exact


def test_decimal_fractions_count_as_what_they_round_to():
    found = bound_of("ising", [(0.1, [0, 1]), (0.1, [1, 2]), (0.1, [0, 2])])
    assert found.exact == Fraction(-1, 10)
    assert found.value <= -0.1


def test_coefficients_without_a_common_unit_are_rounded_towards_the_safe_side():
    terms = [(float(np.pi), [0, 1]), (float(np.e) * 1e-12, [1, 2]), (float(np.sqrt(2.0)), [0, 2]), (0.7, [0])]
    least = min(
        sum(Fraction(c) * int(np.prod([x[i] for i in ids])) for c, ids in terms)
        for x in itertools.product((-1, 1), repeat=3)
    )
    for method in (*QUADRATIC[:1], "sdp", *ANY_SIZE):
        found = bound_of("ising", terms, method)
        assert found.exact <= least
        assert found.value >= float(least) - 5


def test_squared_linear_combinations_are_multiplied_out(monkeypatch):
    function = cost_function("pubo_grouped", [(-2.0, [0, 1])], [(3.0, [(1.0, 0), (1.0, 1), (-1.0, None)])])
    found = bound(function)
    assert (found.value, found.method, found.has_receipt) == (0.0, "elimination", True)
    found = bound(function, "trivial")
    assert (found.value, found.has_receipt) == (-1.0, True)
    monkeypatch.setattr("qiosk.bounds.choice.MOST_PRODUCTS", 1)
    found = bound(function)
    assert (found.value, found.has_receipt) == (-2.0, False)
    with pytest.raises(InvalidValue, match="at most 1 products"):
        bound(function, "sdp")
    monkeypatch.setattr("qiosk.bounds.choice.MOST_PRODUCTS", 1)
    function = cost_function("ising_grouped", [(1.0, [0, 1])], [(-1.0, [(1.0, 0), (1.0, 1)])])
    assert -5.1 < bound(function).value <= -5.0


def test_the_same_seed_gives_the_same_bound_and_certificate():
    rng = np.random.default_rng(3)
    terms = [(float(rng.integers(-9, 10)), pair) for pair in itertools.combinations(range(30), 2)]
    for method in ("cycles", "sdp"):
        one, other = bound_of("ising", terms, method, seed=5), bound_of("ising", terms, method, seed=5)
        assert one.value == other.value
        assert set(one.certificate) == set(other.certificate)
        for name, array in one.certificate.items():
            assert np.array_equal(array, other.certificate[name])


def test_time_and_is_enough_end_the_work():
    rng = np.random.default_rng(3)
    terms = [(float(rng.integers(-9, 10)), pair) for pair in itertools.combinations(range(60), 2)]
    whole = bound_of("ising", terms, "sdp")
    assert bound_of("ising", terms, "sdp", seconds=0.0).method == "trivial"
    assert bound_of("ising", terms, "sdp", is_enough=lambda found: True).value <= whole.value


def test_unknown_and_unsuited_methods_are_refused():
    with pytest.raises(InvalidValue, match="bound: must be one of auto, none, trivial"):
        bound({(0, 1): 1}, "guess")
    for method in QUADRATIC:
        with pytest.raises(InvalidValue, match="is for quadratic problems"):
            bound_of("pubo", [(1.0, [0, 1, 2])], method)


@pytest.mark.parametrize("method", ["sdp", "sdp-triangles", "branch"])
def test_weights_that_float64_does_not_hold_are_rounded_for_a_matrix(method):
    rng = np.random.default_rng(1)
    pairs = [(float(rng.choice([-1, 1]) * rng.integers(2**53, 2**54)), [j, i]) for i in range(6) for j in range(i)]
    found = bound_of("ising", pairs, method)
    least = least_cost(cost_function("ising", pairs))
    assert (1 + 1e-6) * least <= found.exact <= least if method != "branch" else found.exact == least


def test_auto_chooses_by_width_and_density():
    rng = np.random.default_rng(4)
    dense = [(float(rng.choice([-1, 1])), pair) for pair in itertools.combinations(range(60), 2)]
    assert bound_of("ising", dense, seconds=2.0).method in ("sdp", "sdp-triangles")
    grid = [
        (float(rng.choice([-1, 1])), sorted([30 * x + y, 30 * ((x + dx) % 30) + (y + dy) % 30]))
        for x in range(30)
        for y in range(30)
        for dx, dy in ((0, 1), (1, 0))
    ]
    assert bound_of("ising", grid, seconds=5.0).method in ("cycles", "cycles-lp")
    assert bound_of("ising", grid[:300]).method == "elimination"


def test_every_method_has_a_name():
    quadratic = ("cycles", "cycles-lp", "sdp", "sdp-triangles")
    assert ("trivial", "elimination", *quadratic, "diffusion", "mini-buckets", "branch") == METHODS


@given(st.fractions(), st.integers(-50, 50))
def test_values_are_rounded_down(value, power):
    exact = value * Fraction(2) ** power
    assert Fraction(rounded_down(exact)) <= exact
    assert Fraction(np.nextafter(rounded_down(exact), np.inf)) > exact


@given(problems(locality=4, most=6))
def test_factors_add_up_to_the_terms(function):
    terms = polynomial(compile_problem(function))
    factors = factors_of(terms)
    for x in itertools.product((0, 1), repeat=terms.n):
        total = sum(int(factors.own[i, x[i]]) for i in range(terms.n))
        for f, scope in enumerate(factors.scopes):
            index = sum(x[i] << b for b, i in enumerate(scope))
            total += int(factors.tables[factors.starts[f] + index])
        values = np.array([1 - 2 * v if terms.is_spin else v for v in x], np.int8)
        assert total == terms.level(values) << factors.shift


def plan_of(terms, effort):
    search = planned(terms, effort)
    while True:
        try:
            next(search)
        except StopIteration as end:
            return end.value


@given(problems(locality=4, most=8), st.integers(0, 7))
def test_no_order_is_narrow_where_there_are_too_many_neighbours(function, width):
    terms = polynomial(compile_problem(function))
    neighbours = {pair for ids in terms.scopes() for pair in itertools.combinations(ids, 2)}
    assert is_wide(terms, width) == (len(neighbours) > sum(min(width, rest) for rest in range(terms.n)))
    if is_wide(terms, width):
        assert plan_of(terms, Effort(width=width)) is None


def test_an_empty_problem_costs_its_constant():
    for method in ("auto", "none", *METHODS):
        if method == "cycles-lp":
            continue
        assert bound(Problem("empty"), method).value == 0.0


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_bounds import assert_sound
from small_problems import least_cost, problems
from strategies import cost_function

rng = np.random.default_rng(1)
for kind in ("ising", "pubo"):
    pairs = [(float(rng.integers(-9, 10)), [i, j]) for i in range(8) for j in range(i) if rng.random() < 0.6]
    function = cost_function(kind, [(c, ids[::-1]) for c, ids in pairs] + [(3.0, [2]), (1.0, [])])
    for method in ("cycles", "sdp-triangles", "diffusion", "mini-buckets"):
        bounder, _ = assert_sound(function, method)
        print(kind, method, bounder.best.exact)
"""


def test_kernels_do_the_same_uncompiled():
    """They are plain loops: their own reference kernels, compared here with themselves and above with enumeration."""
    found = []
    for disabled in ("0", "1"):
        command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert found[0] == found[1]
    assert found[0].count("\n") == 8


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_factors_of_matrices_are_those_of_numpy_whatever_the_parts(n, seed, part):
    rows = np.random.default_rng(seed).normal(size=(n, n))
    matrix = rows @ rows.T + np.eye(n)
    found = matrix.copy()
    for first in range(0, n, part):
        last = min(n, first + part)
        assert factor_rows()(found, first, last) == last
    npt.assert_allclose(np.triu(found), np.linalg.cholesky(matrix).T, rtol=1e-9, atol=1e-9)
    matrix[n - 1, n - 1] -= 2.0 * found[n - 1, n - 1] ** 2
    assert factor_rows()(matrix, 0, n) == n - 1


def test_a_matrix_is_proved_semidefinite_only_if_it_is():
    def is_proved_so(matrix):
        work = is_proved(matrix)
        try:
            while True:
                next(work)
        except StopIteration as end:
            return end.value

    rng = np.random.default_rng(2)
    for n in (1, 5, 60):
        rows = rng.normal(size=(n, n))
        matrix = rows @ rows.T + np.eye(n)
        assert is_proved_so(matrix)
        least = np.linalg.eigvalsh(matrix)[0]
        assert not is_proved_so(matrix - np.eye(n) * least * (1 + 1e-9))
        assert not is_proved_so(-matrix)

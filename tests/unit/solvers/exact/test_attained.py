"""Configurations that are proven to be of least cost by linear algebra."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qiosk.solvers.parameter_free.rounds as parameter_free
from patience import HANG_S
from qiosk.bounds.semidefinite import eigenvalue_proof
from qiosk.bounds.trivial import attains_every_term
from qiosk.kernels.lattice import reduce_lattice
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.solvers.exact import parities
from qiosk.solvers.exact.lower_bounds import EigenspaceState, LowestEigenspace, is_proven, unfrustrated
from qiosk.solvers.solve import solve
from strategies import cost_function

FREE = [
    f"microsoft.{name}-parameterfree.cpu"
    for name in ("simulatedannealing", "paralleltempering", "tabu", "populationannealing", "substochasticmontecarlo")
]


def planted_wishart(n, constraints, seed):
    """Couplings of (w s)^2 summed over vectors w of signs orthogonal to a hidden s, whose cost is the least."""
    rng = np.random.default_rng([n, constraints, seed])
    hidden = rng.choice([-1, 1], n)
    w = np.stack([rng.permutation(np.repeat([-1, 1], n // 2)) for _ in range(constraints)], axis=1) * hidden[:, None]
    couplings = 2.0 * (w @ w.T)
    terms = [(float(couplings[i, j]), [i, j]) for i, j in itertools.combinations(range(n), 2)]
    return cost_function("ising", terms), -float(constraints * n)


def planted_xorsat(n, seed):
    """Three-spin terms that a hidden configuration satisfies."""
    rng = np.random.default_rng([n, seed])
    hidden = rng.choice([-1, 1], n)
    terms = [rng.choice(n, 3, replace=False) for _ in range(n)]
    signs = [-float(np.prod(hidden[ids])) for ids in terms]
    return cost_function("ising", [(s, ids.tolist()) for s, ids in zip(signs, terms, strict=True)])


def searched(problem):
    search, state = LowestEigenspace(problem), EigenspaceState()
    found = None
    while found is None and not state.is_over:
        found = search.advance(state)
    return found


@given(st.integers(1, 7), st.integers(1, 70), st.integers(0, 2**32))
def test_parities_are_solved_iff_they_can_be(n_rows, n_columns, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 2, (n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < 0.3)
    right = rng.random(n_rows) < 0.5
    x = parities.solve(parities.pack(*np.nonzero(matrix), n_rows, n_columns), right, n_columns)
    if x is not None:
        npt.assert_array_equal(matrix @ x % 2, right)
    else:  # some of the rows add up to nothing, their right sides do not
        picks = np.array(list(itertools.product([0, 1], repeat=n_rows)))
        is_nothing = ~((picks @ matrix) % 2).any(axis=1)
        assert ((picks @ right) % 2)[is_nothing].any()


@given(st.integers(1, 12), st.integers(0, 14), st.booleans(), st.integers(0, 2**32))
def test_pairs_are_solved_iff_equations_are(n, pairs, is_planted, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, n, (2, pairs))
    hidden = rng.random(n) < 0.5
    right = hidden[first] ^ hidden[second] if is_planted else rng.random(pairs) < 0.5
    x = parities.solve_pairs(first, second, right, n)
    rows = np.repeat(np.arange(pairs), 2)
    matrix = parities.pack(rows, np.stack([first, second], axis=1).ravel(), pairs, n)
    assert (x is None) == (parities.solve(matrix, right, n) is None)
    if x is not None:
        npt.assert_array_equal((x[first] ^ x[second]).astype(bool), right)


def test_a_large_ferromagnet_with_fields_is_solved():
    n = 20_000
    rng = np.random.default_rng(2)
    hidden = rng.choice([-1.0, 1.0], n)
    pairs = [(i, (i + step) % n) for i in range(n) for step in (1, 141)]
    terms = [(-float(hidden[i] * hidden[j]), [i, j]) for i, j in pairs] + [(-float(hidden[0]), [0])]
    x = unfrustrated(compile_problem(cost_function("ising", terms)))
    npt.assert_array_equal(x, hidden)


@pytest.mark.parametrize("d", [1, 2, 9])
def test_a_reduced_basis_is_short_and_of_the_same_lattice(d):
    rng = np.random.default_rng(d)
    before = rng.integers(-1000, 1000, (d, d + 2)) + 3000 * np.eye(d, d + 2, dtype=np.int64)
    after = before.copy()
    assert reduce_lattice()(after, 0.99, 10_000) > 0
    change = np.linalg.lstsq(before.T.astype(float), after.T.astype(float), rcond=None)[0]
    npt.assert_allclose(change, np.rint(change), atol=1e-6)
    assert abs(np.linalg.det(change)) == pytest.approx(1.0)
    r = np.linalg.qr(after.T.astype(float))[1]
    squares = np.diag(r) ** 2
    assert np.all(np.abs(np.triu(r, 1)) <= 0.51 * np.abs(np.diag(r))[:, None] + 1e-9)
    assert np.all(0.99 * squares[:-1] <= squares[1:] + np.diag(r, 1) ** 2 + 1e-6)


def test_a_reduction_goes_on_where_it_stopped():
    rng = np.random.default_rng(4)
    table = np.concatenate([np.eye(12, dtype=np.int64), rng.integers(-(10**6), 10**6, (12, 1))], axis=1)
    calls = 0
    while reduce_lattice()(table, 0.99, 20) < 0:
        calls += 1
    assert calls > 2
    assert np.abs(table).max() < 100


@pytest.mark.parametrize("n", [12, 30, 100, 300])
def test_every_term_of_an_unfrustrated_problem_is_satisfied(n):
    problem = compile_problem(planted_xorsat(n, seed=1))
    x = unfrustrated(problem)
    assert x is not None
    assert cost_of(problem, x) == -np.abs(problem.term_values).sum()


def test_fields_and_pairs_count_as_terms():
    problem = compile_problem(cost_function("ising", [(5.0, []), (1.0, [0]), (-2.0, [0, 1]), (3.0, [1, 2, 3])]))
    x = unfrustrated(problem)
    assert x is not None
    assert cost_of(problem, x) == -1.0


@pytest.mark.parametrize(
    "function",
    [
        cost_function("ising", [(-1.0, [0, 1, 2]), (-1.0, [0, 1, 3]), (1.0, [2, 3])]),
        cost_function("ising", [(1.0, [0, 1]), (1.0, [1, 2]), (1.0, [0, 2])]),
        cost_function("pubo", [(-1.0, [0, 1]), (1.0, [0])]),
        cost_function("ising", [(1.0, [])]),
    ],
    ids=["a contradiction", "a triangle", "bits", "nothing"],
)
def test_nothing_is_claimed_of_other_problems(function):
    assert unfrustrated(compile_problem(function)) is None


@pytest.mark.parametrize(("n", "constraints"), [(40, 20), (60, 30), (60, 45), (40, 80)])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_planted_wishart_problems_are_solved(n, constraints, scale):
    function, least = planted_wishart(n, constraints, seed=1)
    terms = [(scale * float(c), [int(i) for i in ids]) for c, ids in _terms(compile_problem(function))]
    problem = compile_problem(cost_function("ising", terms))
    s = searched(problem)
    assert s is not None
    assert cost_of(problem, s) == pytest.approx(scale * least)


def _terms(problem):
    return zip(problem.pair_values, zip(problem.pair_rows, problem.pair_cols, strict=True), strict=True)


def test_an_eigenvector_of_signs_is_found_without_a_lattice(monkeypatch):
    monkeypatch.setattr("qiosk.solvers.exact.lower_bounds.reduce_lattice", None)
    hidden = np.random.default_rng(7).choice([-1, 1], 40)
    terms = [(-float(hidden[i] * hidden[j]), [i, j]) for i, j in itertools.combinations(range(40), 2)]
    problem = compile_problem(cost_function("ising", terms))
    LowestEigenspace(problem).warm_up()
    s = searched(problem)
    assert s is not None
    assert cost_of(problem, s) == -len(terms)


def test_a_search_of_an_eigenspace_without_spins_ends():
    rng = np.random.default_rng(0)
    glass = [(float(rng.normal()), [i, j]) for i, j in itertools.combinations(range(30), 2)]
    assert searched(compile_problem(cost_function("ising", glass))) is None
    complete = [(1.0, [i, j]) for i, j in itertools.combinations(range(31), 2)]
    assert searched(compile_problem(cost_function("ising", complete))) is None


@pytest.mark.parametrize(
    "function",
    [
        cost_function("ising", [(1.0, [0]), *((1.0, [i, i + 1]) for i in range(20))]),
        cost_function("pubo", [(1.0, [i, i + 1]) for i in range(20)]),
        cost_function("ising", [(1.0, [i, j]) for i, j in itertools.combinations(range(300), 2)]),
        cost_function("ising", [(1.0, [i, i + 1]) for i in range(20)]),
    ],
    ids=["fields", "bits", "large", "sparse"],
)
def test_only_dense_couplings_between_few_spins_are_eligible(function):
    assert not LowestEigenspace(compile_problem(function)).is_eligible


@pytest.mark.parametrize("target", FREE)
def test_parameter_free_targets_end_at_a_proof(target):
    result = solve(planted_xorsat(60, seed=3), target, timeout=HANG_S, seed=1)
    assert (result.cost, result.stop_reason) == (-60.0, "optimal")


@pytest.mark.slow
def test_an_eigenvalue_ends_a_run():
    function, least = planted_wishart(60, 30, seed=2)
    result = solve(function, FREE[0], timeout=HANG_S, seed=1)
    assert (result.cost, result.stop_reason, result.gap, result.bound_method) == (least, "optimal", 0.0, "sdp")
    assert result.lower_bound.has_receipt


@pytest.mark.parametrize("n", [12, 30])
def test_a_planted_wishart_problem_is_proven_by_its_least_eigenvalue(n):
    function, least = planted_wishart(n, n // 2, seed=1)
    problem = compile_problem(function)
    proof, spins = eigenvalue_proof(problem), searched(problem) if n > 12 else None
    assert proof.least == least
    if spins is not None:
        assert is_proven(problem, spins)
        spins[0] *= -1
        assert not is_proven(problem, spins)


def test_an_eigenvalue_proves_nothing_where_coefficients_have_no_unit():
    function, _ = planted_wishart(40, 20, seed=1)
    terms = [(float(c) * np.pi * 1.1**i, ids) for i, (c, ids) in enumerate(_terms(compile_problem(function)))]
    problem = compile_problem(cost_function("ising", [(c, [int(i) for i in ids]) for c, ids in terms]))
    assert eigenvalue_proof(problem).scale.error > 0
    assert not is_proven(problem, np.ones(40, np.int8))


@given(st.integers(1, 9), st.integers(0, 2**32), st.booleans(), st.booleans())
def test_every_term_is_attained_iff_each_is_at_its_least(n, seed, is_spin, is_planted):
    rng = np.random.default_rng(seed)
    values = np.array([-1, 1] if is_spin else [0, 1], np.int8)
    x = rng.choice(values, n)
    sets = [rng.choice(n, rng.integers(1, min(n, 4) + 1), replace=False).tolist() for _ in range(6)]
    sets = [list(ids) for ids in {tuple(sorted(ids)) for ids in sets}]
    coefficients = rng.normal(size=len(sets))
    if is_planted:  # so that x has every term at its least
        products = np.array([np.prod(x[ids]) for ids in sets])
        coefficients = -np.abs(coefficients) * (products if is_spin else 2 * products - 1)
    problem = compile_problem(cost_function("ising" if is_spin else "pubo", list(zip(coefficients, sets, strict=True))))
    costs = [c * np.prod(x[ids]) for c, ids in zip(coefficients, sets, strict=True)]
    leasts = [-abs(c) if is_spin else min(c, 0.0) for c in coefficients]
    used = sorted({i for ids in sets for i in ids})
    assert attains_every_term(problem, x[used]) == (costs == leasts)
    assert is_planted <= (costs == leasts)


@pytest.mark.slow
def test_terms_without_a_unit_that_all_can_be_at_their_least_are_proven():
    rng = np.random.default_rng(5)
    problem = compile_problem(planted_xorsat(60, seed=3))
    sets = problem.term_variables.reshape(-1, 3).tolist()
    values = problem.term_values * np.abs(rng.normal(size=len(sets)))
    result = solve(cost_function("ising", list(zip(values.tolist(), sets, strict=True))), timeout=HANG_S, seed=1)
    assert (result.stop_reason, result.gap) == ("optimal", 0.0)


@pytest.mark.slow
def test_a_needle_is_proven():
    needle = cost_function("pubo", [(-1.0, list(range(40))), *((1.0, [i]) for i in range(40, 60))])
    result = solve(needle, timeout=HANG_S, seed=1)
    assert (result.cost, result.stop_reason, result.gap) == (-1.0, "optimal", 0.0)


def test_with_several_solutions_to_find_the_search_goes_on_after_a_proof(monkeypatch):
    monkeypatch.setattr(parameter_free, "unfrustrated", lambda problem: np.ones(problem.n, np.int8))
    ring = cost_function("ising", [(-1.0, [i, (i + 1) % 30]) for i in range(30)])
    result = solve(ring, FREE[0], timeout=HANG_S, seed=1, number_of_solutions=2)
    assert [s.cost for s in result.solutions] == [-30.0, -30.0]

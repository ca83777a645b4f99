"""Tabu walkers: their bookkeeping, the rule they move by, and the targets made of them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patience import HANG_S
from qiosk.errors import InvalidValue, WrongType
from qiosk.kernels.search import tabu_flips as kernels
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of, deltas, flip
from qiosk.solvers.algorithms.starts import random_configuration
from qiosk.solvers.algorithms.tabu.rules import Rules, automatic_tenure
from qiosk.solvers.algorithms.tabu.search import next_readout
from qiosk.solvers.algorithms.tabu.tables import narrowest
from qiosk.solvers.algorithms.tabu.walkers import TabuWalkers
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.solve import run_target, solve
from qiosk.solvers.targets.catalogue import target
from qiosk.solvers.targets.parameters import read_parameters
from strategies import cost_function, cost_functions, integers, reals

pytestmark = pytest.mark.slow

RULES = Rules(tenure=2, spread=3, patience=12, largest_kick=4)


def start(problem, seed=1, rules=RULES):
    walkers = TabuWalkers(problem)
    low = -1 if problem.is_spin else 0
    x = np.random.default_rng(seed).choice(np.array([low, 1], np.int8), problem.n)
    return walkers, walkers.start(x, rules, (seed,)), x


def present(walkers, walker):
    """The configuration that a walker stands on."""
    return walkers._configuration((walker.arrays["high"][: walkers.problem.n] & 1).astype(np.int8))


def scale(walkers):
    return 2.0**walkers.tables.exponent


def problems(n, density, *, is_spin=True, seed=0):
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n) for j in range(i) if rng.random() < density]
    kind = "ising" if is_spin else "pubo"
    return compile_problem(cost_function(kind, [(float(rng.integers(-4, 5)), p) for p in pairs] + [(0.5, [n - 1])]))


@settings(max_examples=60, deadline=None)
@given(cf=cost_functions(st.one_of(integers, reals)), moves=st.integers(1, 80))
def test_stored_deltas_and_costs_equal_recomputed_ones(cf, moves):
    problem = compile_problem(cf)
    if problem.n == 0:
        return
    walkers, walker, _ = start(problem)
    walkers.run(walker, RULES, moves)
    x = present(walkers, walker)
    largest = walkers.tables.largest_cost
    assert walker.arrays["deltas"][: problem.n] / scale(walkers) == pytest.approx(
        deltas(problem, x), abs=1e-12 * largest
    )
    cost = problem.constant + walker.arrays["numbers"][kernels.COST] / scale(walkers)
    assert cost == pytest.approx(cost_of(problem, x), abs=1e-12 * largest)


@pytest.mark.parametrize(
    ("problem", "kernel"),
    [
        (problems(200, 0.02), "tabu-sparse-int32"),
        (problems(200, 0.5), "tabu-dense-int32"),
        (problems(130, 0.5, is_spin=False), "tabu-dense-int32"),
        (problems(130, 0.03, is_spin=False), "tabu-sparse-int32"),
    ],
    ids=["sparse spins", "dense spins", "dense bits", "sparse bits"],
)
def test_larger_problems_keep_exact_books(problem, kernel):
    walkers, walker, start_x = start(problem)
    assert walkers.kernel == kernel
    walkers.run(walker, RULES, 5000)
    found = walker.arrays["deltas"][: problem.n] / scale(walkers)
    assert np.array_equal(found, deltas(problem, present(walkers, walker)))
    cost, configuration = walkers.best(walker)
    assert cost == cost_of(problem, configuration()) < cost_of(problem, start_x)


@pytest.mark.parametrize("is_spin", [True, False])
def test_a_walker_begins_at_a_local_minimum_with_exact_books(is_spin):
    """On dense problems by flips from all low: what it stores is what sums over all pairs give."""
    problem = problems(130, 0.4, is_spin=is_spin)
    walkers = TabuWalkers(problem)
    context = SearchContext(problem, lambda p: plan(p, replicas=64, kernel=None), seed=1)
    assert walkers.kernel == "tabu-dense-int32"
    seen = set()
    for seed in range(5):
        walker = walkers.begin(context, RULES, (seed,))
        x = present(walkers, walker)
        expected = deltas(problem, x)
        assert (expected >= 0.0).all()
        np.testing.assert_array_equal(walker.arrays["deltas"][:130], expected * scale(walkers))
        cost, best = walkers.best(walker)
        assert cost == cost_of(problem, x)
        np.testing.assert_array_equal(best(), x)
        seen.add(x.tobytes())
    assert len(seen) == 5


def descended(problem, x):
    """The local minimum that flips of least delta lead to, by a plain loop; no two flips may be equally good."""
    while (change := deltas(problem, x)).min() < 0.0:
        assert np.count_nonzero(change == change.min()) == 1
        x = flip(problem, x, int(change.argmin()))
    return x


@pytest.mark.parametrize("is_spin", [True, False])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_dense_walker_is_put_where_a_plain_loop_ends(is_spin, seed):
    rng = np.random.default_rng(seed)
    rows = [(float(rng.integers(-30_000, 30_001)), [i, j]) for i in range(100) for j in range(i) if rng.random() < 0.6]
    rows += [(float(rng.integers(-30_000, 30_001)), [i]) for i in range(100)]
    problem = compile_problem(cost_function("ising" if is_spin else "pubo", rows))
    walkers = TabuWalkers(problem)
    context = SearchContext(problem, lambda p: plan(p, replicas=64, kernel=None), seed=1)
    begin = random_configuration(context, (seed,))
    low = np.full(100, -1 if is_spin else 0, np.int8)
    settled = [walkers.start(x, RULES, (seed,)) for x in (low, np.ones(100, np.int8), begin)]
    settled.append(walkers.begin(context, RULES, (seed,)))
    assert walkers.kernel == "tabu-dense-int32"
    for walker, expected in zip(settled, (low, np.ones(100), begin, descended(problem, begin)), strict=True):
        np.testing.assert_array_equal(present(walkers, walker), expected)
        np.testing.assert_array_equal(walkers._configuration(walker.arrays["home"]), expected)
        np.testing.assert_array_equal(walker.arrays["deltas"][:100], deltas(problem, expected) * scale(walkers))
        assert walkers.best(walker)[0] == cost_of(problem, expected)
        assert walker.arrays["numbers"][kernels.CHANGED] == walker.arrays["marks"].sum() == 0
        assert (walker.arrays["penalties"][:100] < 0).all()


@pytest.mark.parametrize(("largest", "dtype"), [(127, np.int8), (-128, np.int8), (128, np.int16), (40_000, np.int32)])
def test_a_matrix_has_the_narrowest_type_that_holds_it(largest, dtype):
    assert narrowest(np.array([0, largest, -1], np.int64)) is dtype


def test_a_move_takes_the_least_delta_that_is_free_or_makes_a_record():
    problem = problems(90, 0.1)
    rules = Rules(tenure=7, spread=0, patience=10**6, largest_kick=2)
    walkers, walker, x = start(problem, rules=rules)
    moved_at, records = {}, 0
    for move in range(400):
        best_before = walkers.best(walker)[0]
        moves = deltas(problem, x)
        free = [i for i in range(problem.n) if move - moved_at.get(i, -100) > rules.tenure]
        walkers.run(walker, rules, 1)
        (i,) = np.flatnonzero(present(walkers, walker) != x)
        if i in free:
            assert moves[i] == moves[free].min()
            moved_at[i] = move
        else:
            records += 1
            assert moves[i] == moves.min() < moves[free].min()
            assert cost_of(problem, x) + moves[i] < best_before
        x = flip(problem, x, int(i))
    assert records < 40


def test_equal_moves_are_drawn_evenly():
    problem = compile_problem(cost_function("ising", [(0.0, [i]) for i in range(150)]))
    walkers = TabuWalkers(problem)
    drawn = np.zeros(150)
    for seed in range(3000):
        walker = walkers.start(np.ones(150, np.int8), RULES, (seed,))
        walkers.run(walker, RULES, 1)
        drawn += present(walkers, walker) < 0
    assert drawn.sum() == 3000
    assert drawn.min() > 0
    # blocks of 64, the last one with 22 variables: 1000 draws each, of which gaps before its first place take a share
    assert drawn[:64].sum() == pytest.approx(1000, abs=120)
    assert drawn[:64].max() < 40


def test_kicks_begin_at_home_and_home_only_improves():
    problem = problems(100, 0.06)
    walkers, walker, _ = start(problem)
    homes = []
    for _ in range(300):
        walkers.run(walker, RULES, 10)
        homes.append(int(walker.arrays["numbers"][kernels.HOME]))
        home = walkers._configuration(walker.arrays["home"])
        assert homes[-1] / scale(walkers) == cost_of(problem, home)
    assert homes == sorted(homes, reverse=True)
    assert walker.arrays["numbers"][kernels.KICKS] > 20


@pytest.mark.parametrize("is_greedy", [False, True])
def test_a_path_stays_between_its_ends_and_stops_at_its_best(is_greedy):
    problem = problems(80, 0.1)
    walkers, walker, begin = start(problem)
    end = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), problem.n)
    distance = int(np.count_nonzero(begin != end))
    walkers.relink(walker, (begin, end), (10, distance - 10), is_greedy=is_greedy)
    x = present(walkers, walker)
    assert np.all((x == begin) | (x == end))
    assert 10 <= np.count_nonzero(x != begin) <= distance - 10
    cost, configuration = walkers.best(walker)
    assert np.array_equal(configuration(), x)
    assert cost == cost_of(problem, x)
    assert np.array_equal(walker.arrays["deltas"][: problem.n] / scale(walkers), deltas(problem, x))


def test_a_greedy_path_takes_the_least_delta_at_every_step():
    reals_without_ties = [(float(np.sin(7 * i + j)), [i, j]) for i in range(60) for j in range(i)]
    problem = compile_problem(cost_function("ising", reals_without_ties))
    walkers, walker, begin = start(problem)
    end = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), problem.n)
    for steps in (1, 2, 5):
        x = begin
        for _ in range(steps):
            left = np.flatnonzero(x != end)
            x = flip(problem, x, int(left[deltas(problem, x)[left].argmin()]))
        walkers.relink(walker, (begin, end), (steps, steps), is_greedy=True)
        assert np.array_equal(present(walkers, walker), x)
    walkers.relink(walker, (begin, end), (1, 0), is_greedy=True)
    assert np.array_equal(present(walkers, walker), begin)


@pytest.mark.parametrize(
    ("coefficients", "dtype", "exponent"),
    [
        ((1.0, -3.0), np.int32, 0),
        ((0.5, 0.25), np.int32, 2),
        ((1e9, 1.0), np.int64, 0),
        ((0.1, 1.0), np.int64, None),
        ((1e-300, 1e-301), np.int64, None),
        ((1e200, -1e199), np.int64, None),
    ],
)
def test_coefficients_become_integers(coefficients, dtype, exponent):
    cf = cost_function("ising", [(c, [k, k + 1]) for k, c in enumerate(coefficients)])
    walkers = TabuWalkers(compile_problem(cf))
    assert walkers.tables.dtype is dtype
    if exponent is not None:
        assert walkers.tables.exponent == exponent
    result = solve(cf, "microsoft.tabu.cpu", sweeps=20, restarts=2, seed=1)
    assert result.cost == -sum(abs(c) for c in coefficients)


def test_costs_beyond_floats_are_refused():
    cf = cost_function("ising", [(1.5e308, [0, 1]), (1.5e308, [1, 2])])
    with pytest.raises(InvalidValue, match="the sum of their absolute values must be in the range of a float"):
        solve(cf, "microsoft.tabu.cpu", sweeps=20)


def test_compiled_and_interpreted_walkers_agree():
    program = (
        "import numpy as np\n"
        "from qiosk.model.compile import compile_problem\n"
        "from qiosk.problem import Problem, ProblemType\n"
        "from qiosk.solvers.algorithms.tabu.rules import Rules\n"
        "from qiosk.solvers.algorithms.tabu.walkers import TabuWalkers\n"
        "ids = [[i, (7 * i + 3) % 41] for i in range(41)] + [[i, (i + 1) % 41, (i + 5) % 41] for i in range(41)]\n"
        "for kind in (ProblemType.ising, ProblemType.pubo):\n"
        "    rows = [i for i in ids if len(set(i)) == len(i)]\n"
        "    p = Problem('p', problem_type=kind)\n"
        "    for k, row in enumerate(rows):\n"
        "        p.add_term(c=float(k % 7 - 3), indices=row)\n"
        "    w, rules = TabuWalkers(compile_problem(p.cost_function())), Rules(3, 2, 20, 5)\n"
        "    walker = w.start(np.ones(41, np.int8), rules, (3,))\n"
        "    w.run(walker, rules, 400)\n"
        "    print(w.best(walker)[0], ''.join(str(v & 1) for v in walker.arrays['high'][:41]))\n"
    )

    def run(disabled):
        env = os.environ | {"NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run([sys.executable, "-W", "error", "-c", program], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("1") == run("0")


@pytest.mark.parametrize("tenure", [0, 1, 7, 8, 10**15])
def test_any_tenure_is_legal(tenure):
    cf = cost_function("ising", [(1.0, [i, (i + 1) % 7]) for i in range(7)])
    result = solve(cf, "microsoft.tabu.cpu", sweeps=50, tabu_tenure=tenure, seed=1)
    assert result.cost == -5.0
    assert result.parameters["tabu_tenure"] == min(tenure or automatic_tenure(7), 7)


def test_parameters_and_their_defaults():
    values = read_parameters(target("microsoft.tabu.cpu").parameters, {})
    assert (values["sweeps"], values["tabu_tenure"], values["restarts"]) == (10_000, 0, 72)
    values = read_parameters(target("1qbit.tabu").parameters, {})
    assert (values["improvement_cutoff"], values["improvement_tolerance"]) == (0, 1e-9)
    assert (values["tabu_tenure"], values["tabu_tenure_rand_max"], values["timeout"]) == (0, 0, 0.0)
    values = read_parameters(target("1qbit.pathrelinking").parameters, {})
    found = values["distance_scale"], values["greedy_path_relinking"], values["ref_set_count"], values["timeout"]
    assert found == (0.33, False, 10, 0.0)


@pytest.mark.parametrize(
    ("name", "given_values", "error", "message"),
    [
        ("microsoft.tabu.cpu", {"tabu_tenure": -1}, InvalidValue, "`tabu_tenure`: must be at least 0, found -1"),
        ("microsoft.tabu.cpu", {"sweeps": 0}, InvalidValue, "`sweeps`: must be greater than 0, found 0"),
        ("microsoft.tabu.cpu", {"restarts": 0}, InvalidValue, "`restarts`: must be greater than 0, found 0"),
        ("1qbit.tabu", {"improvement_cutoff": "-1"}, InvalidValue, "`improvement_cutoff`: must be at least 0"),
        ("1qbit.tabu", {"improvement_tolerance": "x"}, WrongType, "must be a number, found str 'x'"),
        ("1qbit.tabu", {"tabu_tenure": "1.5"}, WrongType, "`tabu_tenure`: must be an integer, found float 1.5"),
        ("1qbit.tabu", {"timeout": "-1"}, InvalidValue, "`timeout`: must be at least 0"),
        ("1qbit.pathrelinking", {"distance_scale": "0.6"}, InvalidValue, "must be at least 0 and at most 0.5"),
        ("1qbit.pathrelinking", {"ref_set_count": "1"}, InvalidValue, "`ref_set_count`: must be at least 2, found 1"),
        ("1qbit.pathrelinking", {"greedy_path_relinking": "2"}, WrongType, "must be true or false, found int 2"),
    ],
)
def test_bad_values_are_named(name, given_values, error, message):
    with pytest.raises(error) as caught:
        read_parameters(target(name).parameters, target(name).section({"params": given_values, **given_values}))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["1qbit.tabu", "1qbit.pathrelinking"])
def test_oneqbit_targets_take_strings_and_milliseconds_and_refuse_three_variables(name):
    cf = cost_function("ising", [(float(i * j % 3 - 1), [i, j]) for i in range(150) for j in range(i)])
    flat = {"seed": "3", "timeout": "150", "improvement_cutoff": str(10**9), "ref_set_count": "100000"}
    hooks = Hooks()
    result = run_target(name, flat, cf, threads=1, hooks=hooks)
    assert result.stop_reason == "timeout"
    assert result.parameters["seed"] == 3
    with pytest.raises(
        InvalidValue, match=f"AZQ107: target {name}: terms may have at most 2 variables, found one of 3"
    ):
        run_target(name, flat, cost_function("ising", [(1.0, [0, 1, 2])]), threads=1, hooks=hooks)


@pytest.mark.parametrize("spacing", [1, 7, 32, 333, 1024, 1250])
def test_looks_do_not_depend_on_where_a_search_was_interrupted(spacing):
    done = 0
    while done < 4 * spacing + 100:
        readout = next_readout(done, spacing)
        assert done < readout <= done + max(spacing, 32)
        assert {next_readout(between, spacing) for between in range(done, readout)} == {readout}
        done = readout


def test_a_cutoff_ends_the_search_after_so_many_moves_without_improvement():
    cf = cost_function("ising", [(1.0, [i, (i + 1) % 31]) for i in range(31)])
    result = solve(cf, "1qbit.tabu", improvement_cutoff=500, seed=1)
    assert result.stop_reason == "finished"
    assert result.cost == -29.0
    assert 500 <= result.statistics["sweeps"] <= 4000
    assert result.parameters["improvement_cutoff"] == 500


@pytest.mark.parametrize("is_greedy", [False, True])
def test_path_relinking_ends_by_itself(is_greedy):
    rng = np.random.default_rng(3)
    cf = cost_function("pubo", [(float(rng.integers(-9, 10)), [i, j]) for i in range(60) for j in range(i)])
    result = solve(cf, "1qbit.pathrelinking", greedy_path_relinking=is_greedy, ref_set_count=4, seed=1)
    assert result.stop_reason == "finished"
    assert result.cost == solve(cf, timeout=HANG_S, seed=1).cost


def test_a_move_counts_as_a_sweep_and_looks_at_every_flip():
    cf = cost_function("ising", [(1.0, [i, (i + 1) % 50]) for i in range(50)])
    found = solve(cf, "microsoft.tabu.cpu", sweeps=300, restarts=5, seed=1).statistics
    assert (found["sweeps"], found["spin_updates"]) == (300, 300 * 5 * 50)

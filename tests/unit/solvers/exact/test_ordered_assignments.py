"""Assignments whose couplings are between neighbours of a line or a cycle: found, and moved by stretches."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.testing as npt
import pytest

import qiosk
from qiosk.kernels.one_hot import orders as kernels
from qiosk.kernels.one_hot.orders import CYCLE, LINE, NO_ORDER
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.optimization import Problem, ProblemType
from qiosk.solvers.algorithms.tabu.one_hot_walkers import OneHotWalkers
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import OneHotSampler
from qiosk.solvers.search.moves.one_hot import OneHotMoves


@dataclass(frozen=True)
class Sequencing:
    """Columns 0..n - 1 in steps 0..n - 1; ``follows`` (n, n) and ``own`` (n, n) by step and column."""

    follows: np.ndarray
    own: np.ndarray
    is_cycle: bool

    @property
    def n(self):
        return len(self.follows)

    def cost(self, columns):
        pairs = itertools.pairwise([*columns, columns[0]] if self.is_cycle else columns)
        return sum(self.follows[a, b] for a, b in pairs) + sum(self.own[k, c] for k, c in enumerate(columns))

    def problem(self, ids=None, further=()):
        """Bit ids[step, column], by default row after row."""
        n = self.n
        ids = np.arange(n * n).reshape(n, n) if ids is None else ids
        problem = Problem("sequence", problem_type=ProblemType.pubo)
        for line in (*ids, *ids.T):
            problem.add_one_hot([int(i) for i in line], penalty=40)
        for k in range(n if self.is_cycle else n - 1):
            for a, b in itertools.permutations(range(n), 2):
                problem.add_term(float(self.follows[a, b]), [int(ids[k, a]), int(ids[(k + 1) % n, b])])
        for k, c in itertools.product(range(n), repeat=2):
            problem.add_term(float(self.own[k, c]), [int(ids[k, c])])
        for value, members in further:
            problem.add_term(value, members)
        return problem


def sequencing(n, *, is_cycle, is_mirrored=True, has_own=False, integers=True, seed=0):
    rng = np.random.default_rng([seed, n])
    draw = (lambda: rng.integers(1, 10, (n, n)).astype(float)) if integers else lambda: rng.random((n, n))
    follows = draw()
    if is_mirrored:
        follows = np.triu(follows, 1) + np.triu(follows, 1).T
    return Sequencing(follows, draw() if has_own else np.zeros((n, n)), is_cycle)


KINDS = [
    pytest.param({"is_cycle": True}, id="cycle"),
    pytest.param({"is_cycle": False}, id="line"),
    pytest.param({"is_cycle": True, "is_mirrored": False}, id="directed cycle"),
    pytest.param({"is_cycle": False, "is_mirrored": False, "has_own": True}, id="directed line with own costs"),
    pytest.param({"is_cycle": True, "has_own": True, "integers": False}, id="cycle with own costs, float64"),
]


def layout_of(problem):
    return Layout(compile_problem(problem.cost_function()))


def kind_of(problem):
    return layout_of(problem).orders[0].tolist()


# which are ordered


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbering", ["rows are steps", "columns are steps", "shuffled"])
def test_orders_are_found_whatever_the_numbering(kind, numbering):
    found = sequencing(6, **kind)
    ids = np.arange(36).reshape(6, 6)
    if numbering == "columns are steps":
        ids = ids.T
    elif numbering == "shuffled":
        rng = np.random.default_rng(4)
        ids = ids[rng.permutation(6)][:, rng.permutation(6)]
    layout = layout_of(found.problem(ids))
    kinds, mirrored, has_own, at, near = layout.orders
    assert kinds.tolist() == [CYCLE if found.is_cycle else LINE]
    assert mirrored[0] == kind.get("is_mirrored", True)
    assert has_own[0] == kind.get("has_own", False)
    assert (at.tolist(), len(near)) == ([0], 49)
    for columns in ([0, 1, 2, 3, 4, 5], [4, 0, 5, 2, 1, 3]):
        x = np.zeros(36, np.int8)
        x[[ids[k, c] for k, c in enumerate(columns)]] = 1
        taken = layout.taken(x)
        npt.assert_array_equal(layout.configuration(taken), x)
        steps = (taken - layout.structure.starts[:-1]).tolist()
        total = sum(near[a * 7 + b] for a, b in itertools.pairwise([*steps, steps[0]] if found.is_cycle else steps))
        base = layout.reduced.base[taken].sum() + layout.reduced.constant
        assert total * layout.scale + base == pytest.approx(found.cost(columns), abs=1e-9)


def test_what_is_no_order_stays_as_it_is():
    found = sequencing(6, is_cycle=True)
    assert kind_of(found.problem()) == [CYCLE]
    assert kind_of(found.problem(further=[(1.0, [0, 20])])) == [NO_ORDER]  # steps 0 and 3
    assert kind_of(found.problem(further=[(1.0, [0, 7])])) == [NO_ORDER]  # one step unlike the others
    assert kind_of(found.problem(further=[(1.0, [0, 7, 14])])) == [NO_ORDER]
    assert kind_of(found.problem(further=[(1.0, [0, 36])])) == [NO_ORDER]  # a free bit
    assert kind_of(found.problem(further=[(1.0, [36])])) == [CYCLE]
    assert kind_of(found.problem(further=[(1.0, [3])])) == [CYCLE]
    squared = found.problem()
    squared.add_slc_term([(1.0, 0), (1.0, 8)])
    assert kind_of(squared) == [NO_ORDER]
    assert kind_of(sequencing(4, is_cycle=True).problem()) == [NO_ORDER]
    assert kind_of(sequencing(5, is_cycle=True).problem()) == [CYCLE]


def test_two_cycles_are_no_order():
    found, problem = sequencing(6, is_cycle=True), Problem("two", problem_type=ProblemType.pubo)
    ids = np.arange(36).reshape(6, 6)
    for line in (*ids, *ids.T):
        problem.add_one_hot(line.tolist())
    for cycle in ((0, 1, 2), (3, 4, 5)):
        for k, (a, b) in itertools.product(range(3), itertools.permutations(range(6), 2)):
            problem.add_term(found.follows[a, b], [int(ids[cycle[k], a]), int(ids[cycle[(k + 1) % 3], b])])
    assert kind_of(problem) == [NO_ORDER]


# gains


@pytest.mark.parametrize("kind", KINDS)
def test_gains_are_differences_of_costs(kind):
    found = sequencing(7, **kind)
    layout = layout_of(found.problem())
    kinds, mirrored, has_own, _, near = layout.orders
    base = layout.couplings[4]
    order = (kinds[0] == CYCLE, mirrored[0] != 0, has_own[0] != 0, 7, near, base)
    size, is_cycle = 7, found.is_cycle

    def fresh():
        seq = np.empty(9, np.int64)
        seq[1:8] = [3, 0, 5, 1, 6, 2, 4]
        kernels.close(order, seq)
        return seq

    def check(gain, moved, changed):
        assert sorted(changed) == list(range(7))
        assert changed == moved[1:8].tolist()
        expected = found.cost(changed) - found.cost(fresh()[1:8].tolist())
        assert gain * layout.scale == pytest.approx(expected, abs=1e-9)

    was = fresh()[1:8].tolist()
    for i, j in itertools.combinations(range(1, size + 1), 2):
        if not (is_cycle and j - i + 1 == size):
            seq = fresh()
            gain = kernels.gain_of_reversal(order, seq, i, j)
            kernels.reverse(order, seq, i, j)
            check(gain, seq, [*was[: i - 1], *was[i - 1 : j][::-1], *was[j:]])
        if not kernels.are_neighbours(order, i, j):
            seq, changed = fresh(), was.copy()
            changed[i - 1], changed[j - 1] = changed[j - 1], changed[i - 1]
            gain = kernels.gain_of_exchange(order, seq, i, j)
            seq[i], seq[j] = seq[j], seq[i]
            kernels.close(order, seq)
            check(gain, seq, changed)
        for m in range(i, j):
            if not (is_cycle and j - i + 1 == size):
                seq = fresh()
                gain = kernels.gain_of_shift(order, seq, i, m, j)
                kernels.shift(order, seq, i, m, j)
                check(gain, seq, [*was[: i - 1], *was[m:j], *was[i - 1 : m], *was[j:]])
    for length, is_turned in itertools.product((1, 2, 3), (False, True)):
        for i in range(1, size - length + 2):
            costs = np.zeros(20)
            kernels.costs_of_insertions(order, fresh(), i, length, is_turned, costs, 3)
            here = np.zeros(20)
            kernels.costs_of_insertions(order, fresh(), i, length, False, here, 0)
            others = [*was[: i - 1], *was[i - 1 + length :]]
            stretch = was[i - 1 : i - 1 + length]
            for k in range(size - length + 1):
                seq = fresh()
                kernels.insert(order, seq, i, length, is_turned, k)
                changed = [*others[:k], *(stretch[::-1] if is_turned else stretch), *others[k:]]
                check(costs[3 + k] - here[i - 1], seq, changed)


# searches


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heat", [0.5, 1.5])
def test_long_runs_agree_with_boltzmann_weights(kind, heat):
    found, lanes, samples = sequencing(5, **kind), 64, 150
    all_ = np.array(list(itertools.permutations(range(5))))
    costs = np.array([found.cost(row.tolist()) for row in all_])
    beta = heat / costs.std()
    weights = np.exp(-beta * (costs - costs.min()))
    weights /= weights.sum()
    number = {row.tobytes(): k for k, row in enumerate(all_)}
    sampler = OneHotSampler(layout_of(found.problem()), lanes)
    assert sampler.layout.has_orders
    group = sampler.start((7,))
    counts = np.zeros((lanes, len(all_)))
    sampler.sweep(group, np.full(20, beta))
    for _ in range(samples):
        sampler.sweep(group, np.full(2, beta))
        columns = group.arrays["taken"] - sampler.layout.structure.starts[:-1]
        seen = np.array([number[row.tobytes()] for row in columns.astype(all_.dtype)])
        counts[np.arange(lanes), seen] += 1
        npt.assert_allclose(sampler.costs(group), costs[seen], atol=1e-9)
    by_lane = counts / samples
    error = np.maximum(by_lane.std(axis=0, ddof=1), np.sqrt(weights / samples)) / np.sqrt(lanes)
    scores = (by_lane.mean(axis=0) - weights) / error
    assert np.abs(scores).max() < 5
    assert np.sqrt(np.mean(scores**2)) < 1.25


@pytest.mark.parametrize("n", [5, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_walkers_know_their_costs_and_find_the_least(kind, n):
    found = sequencing(n, **kind)
    problem = compile_problem(found.problem().cost_function())
    layout = Layout(problem)
    walkers = OneHotWalkers(layout)
    for rules in walkers.rules():
        walker = walkers.start(OneHotMoves(layout).random(np.random.default_rng(1)), rules, (1,))
        for moves in (1, 10, 3000):
            walkers.run(walker, rules, moves)
            cost, configuration = walkers.best(walker)
            assert cost == pytest.approx(cost_of(problem, configuration()), abs=1e-9)
            present = layout.reduced.constant + layout.scale * walker.arrays["costs"][0]
            now = layout.configuration(walker.arrays["taken"][0])
            assert present == pytest.approx(cost_of(problem, now), abs=1e-9)
        least = min(found.cost(columns) for columns in itertools.permutations(range(n)))
        assert cost == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("search", ["simulatedannealing", "paralleltempering", "populationannealing", "tabu"])
def test_searches_find_the_least_beside_other_choices(search):
    found = sequencing(7, is_cycle=True)
    problem = found.problem(further=[(-2.0, [50]), (1.0, [51]), (-3.0, [50, 51])])
    problem.add_one_hot([60, 61, 62])
    problem.add_terms(coefficients=[3.0, 1.0, 2.0], ids=[[60], [61], [62]])
    least = min(found.cost((0, *columns)) for columns in itertools.permutations(range(1, 7)))
    results = [qiosk.solve(problem, search, seed=2, sweeps=200, threads=threads, presolve=False) for threads in (1, 2)]
    assert "one-hot" in results[0].statistics["kernel"]
    assert results[0].cost == pytest.approx(least - 4.0 + 1.0)
    assert results[0].configuration == results[1].configuration


def test_moves_do_not_depend_on_how_they_are_called():
    layout = layout_of(sequencing(8, is_cycle=True).problem())
    sampler = OneHotSampler(layout, 4)
    once, twice = sampler.start((1,)), sampler.start((1,))
    betas = np.linspace(0.0, 1.0, 90)
    sampler.sweep(once, betas)
    sampler.sweep(twice, betas[:17])
    sampler.sweep(twice, betas[17:])
    walkers = OneHotWalkers(layout)
    rules = walkers.rules()[0]
    begin = OneHotMoves(layout).random(np.random.default_rng(3))
    whole, parts = walkers.start(begin, rules, (2,)), walkers.start(begin, rules, (2,))
    walkers.run(whole, rules, 500)
    for moves in (1, 99, 400):
        walkers.run(parts, rules, moves)
    for one, other in ((once, twice), (whole, parts)):
        for name, array in one.arrays.items():
            npt.assert_array_equal(array, other.arrays[name], err_msg=name)

"""What the tutorials of other libraries do, from end to end with solvers of Qiosk, against exhaustive search."""

from __future__ import annotations

import itertools
import math
import warnings

import dimod
import networkx
import numpy as np
import pytest

from qiosk.errors import InvalidValue
from qiosk.interop.dimod import QioskSampler
from qiosk.interop.qiskit import from_quadratic_program, to_vector

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its package is to be renamed
    import dwave_networkx as dnx

PETERSEN = networkx.petersen_graph()
SAMPLER = QioskSampler()


class TestDwaveNetworkx:
    def test_sets_of_nodes_and_edges(self):
        assert len(dnx.maximum_independent_set(PETERSEN, sampler=SAMPLER, num_reads=3)) == 4
        assert len(dnx.min_vertex_cover(PETERSEN, sampler=SAMPLER, seed=1)) == 6
        matching = dnx.min_maximal_matching(PETERSEN, sampler=SAMPLER, seed=1)
        assert networkx.is_maximal_matching(PETERSEN, matching)
        wheel = networkx.wheel_graph(6)
        assert len(dnx.maximum_clique(wheel, sampler=SAMPLER, seed=1)) == 3
        heavy = networkx.path_graph(4)
        networkx.set_node_attributes(heavy, {0: 1, 1: 9, 2: 1, 3: 1}, "weight")
        assert set(dnx.maximum_weighted_independent_set(heavy, "weight", sampler=SAMPLER, seed=1)) == {1, 3}

    def test_cuts(self):
        left = dnx.maximum_cut(PETERSEN, sampler=SAMPLER, num_reads=12, time_limit=10)
        assert networkx.cut_size(PETERSEN, left) == 12

    def test_colorings(self):
        assert dnx.is_vertex_coloring(PETERSEN, dnx.vertex_color(PETERSEN, range(3), sampler=SAMPLER, seed=1))
        least = dnx.min_vertex_color(PETERSEN, sampler=SAMPLER, chromatic_ub=4, seed=1, time_limit=5)
        assert dnx.is_vertex_coloring(PETERSEN, least)
        assert len(set(least.values())) == 3

    def test_the_shortest_tour(self):
        weighted = networkx.Graph()
        weighted.add_weighted_edges_from([(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 0, 1), (0, 2, 5), (1, 3, 5)])
        tour = dnx.traveling_salesperson(weighted, sampler=SAMPLER, start=0, seed=1)
        assert tour[0] == 0
        assert {weighted[tour[k - 1]][tour[k]]["weight"] for k in range(4)} == {1}

    def test_the_imbalance_of_a_social_network(self):
        network = networkx.Graph()
        network.add_edge("Alice", "Bob", sign=1)
        network.add_edge("Alice", "Eve", sign=-1)
        network.add_edge("Bob", "Eve", sign=-1)
        network.add_edge("Bob", "Ted", sign=1)
        network.add_edge("Ted", "Alice", sign=-1)
        frustrated, sides = dnx.structural_imbalance(network, SAMPLER, seed=1)
        assert len(frustrated) == 1
        assert sides["Alice"] != sides["Eve"]

    def test_a_partition_by_a_constrained_model(self):
        graph = networkx.barbell_graph(4, 0)
        parts = dnx.partition(graph, num_partitions=2, sampler=SAMPLER, time_limit=5, seed=1)
        assert {parts[node] for node in range(4)} != {parts[node] for node in range(4, 8)}
        assert len({parts[node] for node in range(4)}) == 1

    def test_a_markov_network(self):
        potentials = {("a", "b"): {(0, 0): 1, (0, 1): 0.5, (1, 0): 0.5, (1, 1): -4}}
        network = dnx.markov_network(potentials)
        (sample, *_) = dnx.sample_markov_network(network, SAMPLER, seed=1)
        assert sample == {"a": 1, "b": 1}


class TestPyqubo:
    @pytest.fixture(autouse=True)
    def library(self):
        self.pyqubo = pytest.importorskip("pyqubo")  # it has no wheels for the newest Pythons

    def test_a_number_partition(self):
        numbers = [self.pyqubo.Spin(f"s{k}") for k in range(4)]
        model = (sum(value * spin for value, spin in zip((4, 2, 7, 1), numbers, strict=True)) ** 2).compile()
        found = SAMPLER.sample(model.to_bqm(), num_reads=12, seed=1)
        assert model.decode_sampleset(found)[0].energy == 0.0
        qubo, offset = model.to_qubo()
        assert SAMPLER.sample_qubo(qubo, num_reads=2).first.energy + offset == 0.0
        h, J, offset = model.to_ising()
        assert SAMPLER.sample_ising(h, J, seed=1).first.energy + offset == 0.0

    def test_a_tour_with_constraints_and_a_placeholder(self):
        points = [(0, 0), (1, 3), (3, 2), (2, 1), (0, 1)]
        n, away = len(points), lambda a, b: math.dist(points[a], points[b])
        x = self.pyqubo.Array.create("c", (n, n), "BINARY")
        once = sum(self.pyqubo.Constraint((sum(x[i, j] for j in range(n)) - 1) ** 2, f"time{i}") for i in range(n))
        once += sum(self.pyqubo.Constraint((sum(x[i, j] for i in range(n)) - 1) ** 2, f"city{j}") for j in range(n))
        length = sum(
            away(a, b) * x[k, a] * x[(k + 1) % n, b] for k in range(n) for a in range(n) for b in range(n) if a != b
        )
        model = (length + self.pyqubo.Placeholder("A") * once).compile()
        bqm = model.to_bqm(feed_dict={"A": 10.0})
        found = SAMPLER.sample(bqm, num_reads=10, num_sweeps=None, time_limit=5, seed=1)
        best = min(model.decode_sampleset(found, feed_dict={"A": 10.0}), key=lambda sample: sample.energy)
        assert not best.constraints(only_broken=True)
        shortest = min(sum(away(tour[k - 1], tour[k]) for k in range(n)) for tour in itertools.permutations(range(n)))
        assert best.energy == pytest.approx(shortest)

    def test_a_knapsack_with_an_integer(self):
        weights, values, capacity = (1, 3, 7, 9), (10, 2, 3, 6), 10
        taken = self.pyqubo.Array.create("item", shape=4, vartype="BINARY")
        weight = sum(w * taken[k] for k, w in enumerate(weights))
        room = self.pyqubo.LogEncInteger("room", (1, capacity))
        full = self.pyqubo.Constraint((weight - room) ** 2, "full")
        model = (20 * full - sum(v * taken[k] for k, v in enumerate(values))).compile()
        found = SAMPLER.sample(model.to_bqm(), num_reads=5, seed=1)
        best = min(model.decode_sampleset(found), key=lambda sample: sample.energy)
        assert not best.constraints(only_broken=True)
        assert best.energy == -16
        assert best.subh["room"] == 10


class TestQiskitOptimization:
    @pytest.fixture(autouse=True)
    def library(self):
        self.applications = pytest.importorskip("qiskit_optimization.applications")

    def solved(self, application):
        """The best vector by Qiosk, and its objective."""
        program = application.to_quadratic_program()
        model = from_quadratic_program(program)
        vector = np.array(to_vector(model, model.solve(seed=1, timeout=5)))
        assert program.is_feasible(vector)
        return vector, program.objective.evaluate(vector)

    def test_graphs(self):
        graph = networkx.wheel_graph(6)
        best = {"Maxcut": 7, "VertexCover": 4, "StableSet": 2, "Clique": 3, "GraphPartition": 5}
        for name, value in best.items():
            application = getattr(self.applications, name)(graph)
            vector, found = self.solved(application)
            assert found == value
            application.interpret(vector)
        application = self.applications.Maxcut(PETERSEN)
        one, other = application.interpret(self.solved(application)[0])
        assert networkx.cut_size(PETERSEN, one, other) == 12

    def test_sets_and_numbers(self):
        knapsack = self.applications.Knapsack(values=[3, 4, 5, 6, 7], weights=[2, 3, 4, 5, 6], max_weight=10)
        assert self.solved(knapsack)[1] == 13
        subsets = [[1, 2], [3, 4], [1, 4], [2, 3], [5]]
        cover = self.applications.ExactCover(subsets)
        parts = cover.interpret(self.solved(cover)[0])
        assert sorted(x for part in parts for x in part) == [1, 2, 3, 4, 5]
        packing = self.applications.SetPacking(subsets)
        assert len(packing.interpret(self.solved(packing)[0])) == 3
        partition = self.applications.NumberPartition([8, 7, 6, 5, 4])
        assert {sum(part) for part in partition.interpret(self.solved(partition)[0])} == {15}

    def test_tours_and_bins(self):
        application = self.applications.Tsp.create_random_instance(4, seed=3)
        vector, length = self.solved(application)
        away = networkx.to_numpy_array(application.graph)
        tours = itertools.permutations(range(4))
        assert length == pytest.approx(min(sum(away[t[k - 1], t[k]] for k in range(4)) for t in tours))
        assert sorted(application.interpret(vector)) == [0, 1, 2, 3]
        bins = self.applications.BinPacking([3, 2, 2], 4)
        assert self.solved(bins)[1] == 2

    def test_a_program_of_docplex_with_integers(self):
        docplex = pytest.importorskip("docplex.mp.model")
        from qiskit_optimization.translators import from_docplex_mp

        source = docplex.Model("mix")
        x, n, m = source.binary_var("x"), source.integer_var(0.5, 4.5, "n"), source.integer_var(-2, 3, "m")
        source.add_constraint(2 * n - m <= 5, "room")
        source.add_constraint(x + n + m >= 2, "enough")
        source.minimize(n * n - 4 * n * x + 2 * m * m + m)
        program = from_docplex_mp(source)
        model = from_quadratic_program(program)
        vector = to_vector(model, model.solve(seed=1))
        every = itertools.product((0, 1), range(1, 5), range(-2, 4))
        best = min(program.objective.evaluate(v) for v in map(list, every) if program.is_feasible(v))
        assert program.is_feasible(vector)
        assert program.objective.evaluate(vector) == best

    def test_continuous_and_unbounded_variables_are_refused(self):
        optimization = pytest.importorskip("qiskit_optimization")
        program = optimization.QuadraticProgram()
        program.integer_var(0, 10**15, "wide")
        with pytest.raises(InvalidValue, match="variable `wide`: must have at most"):
            from_quadratic_program(program)


def test_the_knapsack_of_oceans_examples():
    """A constrained model with labels that are tuples, and a filter of feasible samples."""
    costs, weights, room = [35, 85, 30, 50, 70, 80], [12, 27, 11, 17, 20, 10], 60
    cqm = dimod.ConstrainedQuadraticModel()
    taken = [dimod.Binary(("item", k)) for k in range(6)]
    cqm.set_objective(dimod.quicksum(-c * x for c, x in zip(costs, taken, strict=True)))
    cqm.add_constraint(dimod.quicksum(w * x for w, x in zip(weights, taken, strict=True)) <= room, label="room")
    sampleset = SAMPLER.sample_cqm(cqm, label="knapsack", time_limit=5, seed=1, number_of_solutions=5)
    feasible = sampleset.filter(lambda row: row.is_feasible)
    exact = dimod.ExactCQMSolver().sample_cqm(cqm).filter(lambda row: row.is_feasible)
    assert feasible.first.energy == exact.first.energy

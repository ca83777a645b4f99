"""Problems from other libraries, each against the real one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import qiosk
from qiosk.errors import InvalidValue, MissingValue, WrongType
from qiosk.interop.labels import from_polynomial, to_polynomial
from qiosk.problem import Problem, ProblemType


class TestNetworkx:
    nx = pytest.importorskip("networkx")

    def test_max_cut(self):
        from qiosk.interop.networkx import max_cut

        graph = self.nx.Graph()
        graph.add_weighted_edges_from([("a", "b", 3), ("b", "c", 2), ("a", "c", 1)])
        graph.add_edge("c", "c", weight=5)
        graph.add_node("lonely")
        encoded = max_cut(graph)
        result = qiosk.solve(encoded, seed=1)
        cut = encoded.decode(result)
        assert cut.weight == 5
        assert self.nx.cut_size(graph, cut.sides[0], weight="weight") == 5
        assert result.cost == 6 - 2 * cut.weight

    def test_partition_is_balanced(self):
        from qiosk.interop.networkx import partition

        graph = self.nx.barbell_graph(5, 0)
        encoded = partition(graph)
        result = qiosk.solve(encoded, seed=1)
        cut = encoded.decode(result)
        assert sorted(map(len, cut.sides)) == [5, 5]
        assert cut.weight == result.cost == 1

    def test_coloring(self):
        from qiosk.interop.networkx import coloring

        graph = self.nx.petersen_graph()
        encoded = coloring(graph, 3)
        found = encoded.decode(qiosk.solve(encoded, seed=1))
        assert not found.conflicts
        assert set(found.colors.values()) <= {0, 1, 2}
        two = coloring(graph, 2)
        assert two.decode(qiosk.solve(two, seed=1)).conflicts
        with pytest.raises(InvalidValue, match="colors: must be at least 1"):
            coloring(graph, 0)

    def test_weights_have_to_be_numbers(self):
        from qiosk.interop.networkx import max_cut

        with pytest.raises(InvalidValue, match="edge 0-1: `weight` must be a number"):
            max_cut(self.nx.Graph([(0, 1, {"weight": "heavy"})]))

    def test_the_empty_graph(self):
        from qiosk.interop.networkx import max_cut

        assert max_cut(self.nx.Graph()).decode({}).weight == 0


def test_qubovert():
    qubovert = pytest.importorskip("qubovert")
    from qiosk.interop.qubovert import from_qubovert, to_qubovert

    for model in (
        qubovert.PUBO({("a", "b", "c"): 2, ("a",): -1, (): 3}),
        qubovert.PUSO({("a", "b", "c"): 2, ("a",): -1, (): 3}),
    ):
        encoded = from_qubovert(model)
        result = qiosk.solve(encoded, seed=1)
        assert model.value(encoded.decode(result)) == result.cost
        back = to_qubovert(encoded.problem)
        assert type(back) is type(model)
        assert back.value(result.configuration) == result.cost
    with pytest.raises(WrongType, match="found dict"):
        from_qubovert({})


def test_pyqubo():
    pyqubo = pytest.importorskip("pyqubo")
    from qiosk.interop.pyqubo import from_pyqubo

    a, b, c = (pyqubo.Binary(name) for name in "abc")
    expression = -2 * a + b + pyqubo.Placeholder("M") * pyqubo.Constraint((a + b + c - 2) ** 2, "two")
    encoded = from_pyqubo(expression, feed_dict={"M": 5.0})
    result = qiosk.solve(encoded, seed=1)
    decoded = encoded.decode(result)
    assert decoded.sample == {"a": 1, "b": 0, "c": 1}
    assert not decoded.constraints(only_broken=True)
    assert result.cost == pytest.approx(decoded.energy)


def test_qiskit_optimization():
    optimization = pytest.importorskip("qiskit_optimization")
    from qiosk.interop.qiskit import from_quadratic_program, to_vector

    program = optimization.QuadraticProgram("small")
    for name in "xyz":
        program.binary_var(name)
    program.integer_var(0, 3, "k")
    program.linear_constraint({"x": 1, "y": 2, "k": 1}, "<=", 3, "room")
    program.quadratic_constraint({"z": 0}, {("x", "z"): 1}, "==", 0, "apart")
    program.maximize(1, {"x": 2, "y": 3, "z": 2, "k": 1}, {("x", "y"): 1})
    model = from_quadratic_program(program)
    result = qiosk.solve(model.problem(), seed=1)
    vector = to_vector(model, result)
    best = max(
        program.objective.evaluate(v)
        for v in map(list, itertools.product((0, 1), (0, 1), (0, 1), range(4)))
        if program.is_feasible(v)
    )
    assert program.is_feasible(vector)
    assert program.objective.evaluate(vector) == best == model.decode(result).objective
    program.continuous_var(name="real")
    with pytest.raises(InvalidValue, match="variable `real`: must be binary or a bounded integer"):
        from_quadratic_program(program)


def test_polynomials_by_label():
    encoded = from_polynomial({("a", "a"): 2, ("a", "b"): 1, (): 4}, is_ising=True, name="cancels")
    assert encoded.problem.evaluate({0: -1, 1: 1}) == 5
    encoded = from_polynomial({("a", "a"): 2}, is_ising=False, name="merges")
    assert encoded.problem.evaluate({0: 1}) == 2
    with pytest.raises(MissingValue, match="variable 0 \\('a'\\)"):
        encoded.decode({})


def test_scipy_and_numpy_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = np.array([[1.0, -2.0], [0.0, 0.5]])
    for given in (matrix, sparse.csr_matrix(matrix), sparse.coo_array(matrix)):
        problem = Problem.from_matrix(given, problem_type=ProblemType.pubo)
        assert to_polynomial(problem) == ({(0,): 1.0, (1,): 0.5, (0, 1): -2.0}, False)


def test_results_as_a_data_frame(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    from qiosk.client.results import Results

    solutions = [{"configuration": {"0": 1, "5": -1}, "cost": -2.0}, {"configuration": {"0": -1, "5": 1}, "cost": 3.0}]
    frame = Results({"solutions": solutions, **solutions[0]}).to_frame()
    assert frame.columns.tolist() == ["cost", 0, 5]
    assert frame["cost"].tolist() == [-2.0, 3.0]
    assert frame[5].tolist() == [-1, 1]
    texts = {"solutions": [{"configuration": {"0": "1"}, "cost": -2.0}]}
    assert Results(texts).to_frame()[0].tolist() == [1]
    assert isinstance(Results({"solutions": []}).to_frame(), pandas.DataFrame)

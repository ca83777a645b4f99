"""What callers give as a problem or as a solver: it is taken, or the error says what to do."""

from __future__ import annotations

import io
import sys

import networkx
import numpy as np
import pytest

from qiosk import Problem, Workspace, solve
from qiosk.errors import InvalidValue, WrongType
from qiosk.interop.networkx import max_cut
from qiosk.model.sources import cost_function_of
from qiosk.modeling import Model
from qiosk.optimization import ParallelTempering, ProblemType, SimulatedAnnealing, Solver, Tabu, Term
from qiosk.optimization.oneqbit import TabuSearch
from qiosk.testing import MemoryService, answering

QUBO = {(0, 0): -1.0, (1, 1): -1.0, (0, 1): 3.0, (np.int64(2), 2): -0.5}
MATRIX = np.array([[-1.0, 3.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -0.5]])


def model() -> Model:
    made = Model()
    a, b = made.bit("a"), made.bit("b")
    made.minimize(a * b * 3 - a - b)
    return made


def pair() -> Problem:
    return Problem("pair", problem_type=ProblemType.ising, terms=[Term(c=1, indices=[0, 1])])


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        (QUBO, -1.5),
        (MATRIX, -1.5),
        (MATRIX.astype(np.float32), -1.5),
        (model(), -1.0),
        (max_cut(networkx.path_graph(3)), -2.0),
        (pair(), -1.0),
        (pair().cost_function(), -1.0),
    ],
    ids=["dict", "matrix", "float32", "model", "encoded", "problem", "cost function"],
)
def test_what_says_a_problem_is_solved_and_submitted(source, cost):
    assert solve(source, timeout=1, seed=1).cost == cost
    service = MemoryService(answering({0: 1}, cost=0.0))
    job = SimulatedAnnealing(service.workspace()).submit(source)
    sent = Problem.deserialize(job.download_data(job.details.input_data_uri).decode(), "p")
    assert solve(sent, timeout=1, seed=1).cost == cost


def test_sparse_matrices_are_problems():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    for make in (scipy_sparse.csr_array, scipy_sparse.coo_matrix):
        assert solve(make(MATRIX), timeout=1).cost == -1.5


def foreign(package: str, name: str):
    """An instance of a class of another library, which need not be installed."""
    return type(name, (), {"__module__": f"{package}.some.module"})()


WRONG = [
    (foreign("dimod", "BinaryQuadraticModel"), "qiosk.interop.dimod.from_bqm"),
    (foreign("dimod", "ConstrainedQuadraticModel"), "qiosk.interop.dimod.from_cqm"),
    (foreign("dimod", "DiscreteQuadraticModel"), "qiosk.interop.dimod.from_dqm"),
    (foreign("pyqubo", "Model"), "qiosk.interop.pyqubo.from_pyqubo"),
    (foreign("qiskit_optimization", "QuadraticProgram"), "qiosk.interop.qiskit.from_quadratic_program"),
    (networkx.path_graph(2), "such as max_cut"),
    ({("a", "b"): 1.0}, "pairs \\(i, j\\) of integers of at least 0, found \\('a', 'b'\\)"),
    ({(0, True): 1.0}, "pairs"),
    ({(0, 1): "much"}, "values of a dict must be numbers"),
    ({}, "found dict"),
    (None, "found NoneType"),
    ([1, 2], "found list"),
    (Problem, "found the class Problem; make an instance"),
]


@pytest.mark.parametrize(("source", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_problem_is_refused_with_advice(source, message):
    for use in (lambda: solve(source), lambda: ParallelTempering(MemoryService().workspace()).submit(source)):
        with pytest.raises(WrongType, match=message):
            use()


@pytest.mark.parametrize(
    "source", [np.ones((2, 3)), np.ones(3), np.array([[np.nan]]), {(0, 1): float("inf")}], ids=range(4)
)
def test_matrices_and_dicts_of_wrong_content_are_refused(source):
    with pytest.raises(InvalidValue):
        cost_function_of(source)


def test_a_class_of_solvers_stands_for_its_target():
    assert solve(pair(), SimulatedAnnealing, sweeps=5, seed=1).target == "microsoft.simulatedannealing.cpu"
    assert solve(pair(), SimulatedAnnealing, timeout=1).target == "microsoft.simulatedannealing-parameterfree.cpu"
    assert solve(pair(), Tabu, sweeps=5).target == "microsoft.tabu.cpu"
    assert solve(pair(), TabuSearch, improvement_cutoff=5, timeout=2).parameters["timeout"] == 2000.0


def test_a_solver_brings_its_parameters():
    workspace = MemoryService().workspace()
    result = solve(pair(), SimulatedAnnealing(workspace, sweeps=7, restarts=3, seed=5), restarts=4)
    chosen = {name: result.parameters[name] for name in ("sweeps", "restarts", "seed")}
    assert chosen == {"sweeps": 7, "restarts": 4, "seed": 5}
    flat = solve(pair(), TabuSearch(workspace, improvement_cutoff=9, timeout=500))
    assert (flat.parameters["improvement_cutoff"], flat.parameters["timeout"]) == (9, 500.0)


@pytest.mark.parametrize("solver", [Solver, Workspace, 3, None])
def test_what_is_no_solver_is_refused(solver):
    with pytest.raises(WrongType, match="solver: must be the name of a target, such as"):
        solve(pair(), solver)


def test_progress_true_shows_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert solve(pair(), "microsoft.tabu.cpu", sweeps=100, progress=True).cost == -1.0
    assert "best" in terminal.getvalue()
    assert solve(pair(), progress=False).cost == -1.0

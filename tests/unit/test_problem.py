from __future__ import annotations

import copy
import gzip
import itertools
import pickle
import tracemalloc
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from qiosk.errors import (
    InvalidCoefficient,
    InvalidInitialConfiguration,
    InvalidInput,
    InvalidValue,
    MissingSection,
    RepeatedVariable,
    WrongType,
)
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import CostFunction
from qiosk.problem import ContentType, GroupType, Problem, ProblemType, SlcTerm, Term
from strategies import cost_functions


@given(cost_functions())
def test_problem_and_cost_function_convert_to_each_other(cf: CostFunction) -> None:
    problem = Problem.from_cost_function(cf, "p")
    back = problem.cost_function()
    for name in ("coefficients", "indptr", "ids"):
        npt.assert_array_equal(getattr(back, name), getattr(cf, name))
    rebuilt = Problem("p", terms=[*problem.terms, *problem.terms_slc], problem_type=problem.problem_type)
    assert rebuilt.serialize() == problem.serialize()
    assert Problem.deserialize(problem.to_blob()).serialize() == problem.serialize()


@given(cost_functions(), st.data())
def test_fixing_variables_keeps_the_cost_of_the_others(cf: CostFunction, data: st.DataObject) -> None:
    problem = Problem.from_cost_function(cf)
    variables = cf.variables.tolist()
    if not variables:
        return
    fixed = data.draw(st.lists(st.sampled_from(variables), min_size=1, unique=True))
    for configuration in itertools.islice(naive.configurations(cf), 8):
        reduced = problem.set_fixed_variables({i: configuration[i] for i in fixed})
        assert not set(fixed) & set(reduced.cost_function().variables.tolist())
        assert reduced.evaluate(configuration) == float(naive.cost(cf, configuration))


@pytest.mark.parametrize(
    ("problem_type", "value"),
    [("ising", 0), ("ising", 7), ("ising", 0.5), ("ising", float("nan")), ("pubo", -1), ("pubo", 2), ("pubo", 0.5)],
)
def test_values_outside_the_domain_are_refused(problem_type: str, value: float) -> None:
    problem = Problem("p", [Term(c=1, indices=[3, 5])], problem_type=problem_type)
    rule = r"variable 5: value must be .* or 1, found .* ising problems are -1 or 1, those of pubo problems 0 or 1"
    with pytest.raises(InvalidValue, match=rule):
        problem.evaluate({3: 1, "5": value})


OPERATIONS = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 9)),
    st.tuples(st.just("insert"), st.integers(-4, 9)),
    st.tuples(st.just("set"), st.integers(-4, 9)),
    st.tuples(st.just("delete"), st.integers(-4, 9)),
    st.tuples(st.just("slice"), st.integers(-4, 9)),
    st.tuples(st.just("reverse"), st.just(0)),
)


@given(st.lists(st.tuples(OPERATIONS, st.lists(st.integers(0, 9), max_size=4), st.integers(-5, 5)), max_size=12))
def test_terms_behave_like_a_list(operations) -> None:
    problem, model = Problem("p", problem_type=ProblemType.pubo), []
    for (operation, k), ids, c in operations:
        for target in (problem.terms, model):
            try:
                if operation == "append":
                    target.append(Term(c=c, indices=ids))
                elif operation == "insert":
                    target.insert(k, Term(c=c, indices=ids))
                elif operation == "set":
                    target[k] = Term(c=c, indices=ids)
                elif operation == "delete":
                    del target[k]
                elif operation == "slice":
                    target[k : k + 2] = [Term(c=c, indices=ids)]
                else:
                    target.reverse()
            except IndexError:
                continue
        assert problem.terms == model
        assert list(problem.terms) == model
        assert problem.terms[-2:] == model[-2:]
    problem.cost_function()


def test_stored_terms_write_through_until_terms_move() -> None:
    problem = Problem("p", terms=[Term(c=1, indices=[0, 1]), Term(c=2, indices=[2])])
    for term in problem.terms:
        term.c *= 10
    problem.terms[0].ids = [0, 1, 2]
    assert problem.terms == [Term(c=10, indices=[0, 1, 2]), Term(c=20, indices=[2])]
    last = problem.terms[1]
    del problem.terms[0]
    with pytest.raises(InvalidValue, match="inserted or removed since"):
        last.c = 5
    assert copy.deepcopy(last) == pickle.loads(pickle.dumps(last)) == Term(c=20, indices=[2])


def test_groups_can_be_listed_replaced_and_removed() -> None:
    problem = Problem("p")
    problem.add_slc_term([(1, 0), (2, None)], c=3)
    problem.add_slc_term([(1, 1)], c=4)
    problem.terms_slc[0] = SlcTerm([Term(c=5, indices=[7])])
    assert problem.terms_slc == [SlcTerm([Term(c=5, indices=[7])]), SlcTerm([Term(c=1, indices=[1])], c=4)]
    del problem.terms_slc[0]
    assert problem.cost_function().variables.tolist() == [1]
    with pytest.raises(WrongType, match="must be a SlcTerm, found Term"):
        problem.terms_slc.append(Term(c=1, indices=[]))
    with pytest.raises(WrongType, match="must be a Term, found int 3"):
        problem.terms.append(3)


def test_a_wrong_term_changes_nothing() -> None:
    problem = Problem("p", terms=[Term(c=1, indices=[0])])
    for c, indices in [(1, ["a"]), (1, [0, 1.5]), ("x", [0]), (1, [0, 2**63]), (10**400, [0]), (1, None)]:
        with pytest.raises(InvalidInput, match="term 1: "):
            problem.add_term(c, indices)
    assert problem.terms == [Term(c=1, indices=[0])]
    with pytest.raises(InvalidInput, match="term 1: "):
        problem.terms[:] = [Term(c=2, indices=[0]), Term(c=1, indices=["a"])]
    assert problem.terms == [Term(c=1, indices=[0])]


@pytest.mark.parametrize(
    ("c", "indices", "error", "message"),
    [
        (1, 5, WrongType, "`indices` must be a list of integers, found 5"),
        (1, "12", WrongType, "`indices` must be a list of integers, found '12'"),
        (1, [True], WrongType, "a variable id must be an integer, found bool True"),
        (1, [np.True_], WrongType, "a variable id must be an integer, found bool"),
        (1, [1.0], WrongType, "a variable id must be an integer, found float 1.0"),
        (1, None, MissingSection, "`indices` is missing"),
        (1, [2**63], InvalidValue, "variable id 9223372036854775808 is greater"),
        (None, [1], InvalidCoefficient, "a term needs a coefficient `c`"),
        (np.True_, [1], InvalidCoefficient, ".*found bool True"),
        pytest.param(10**400, [1], InvalidValue, "coefficient is beyond the range of float64", id="huge"),
    ],
)
def test_terms_that_cannot_be_stored_are_refused_when_added(c, indices, error, message) -> None:
    with pytest.raises(error, match=f"term 0: {message}"):
        Problem("p").add_term(c, indices)


@pytest.mark.parametrize(
    ("terms", "error", "message"),
    [
        ([Term(c=1, indices=[0]), Term(c=1, indices=[-3])], InvalidValue, "term 1: variable id -3 is negative"),
        ([Term(c=float("nan"), indices=[0])], InvalidValue, "term 0: coefficient nan is not finite"),
        ([Term(c=1, indices=[4, 4])], RepeatedVariable, "term 0: variable 4 occurs twice in an Ising term"),
        ([SlcTerm([Term(c=float("inf"), indices=[4])])], InvalidValue, "group 0: coefficient inf of a member"),
        ([SlcTerm([Term(c=1, indices=[-4])])], InvalidValue, "group 0: variable id -4 is negative"),
    ],
)
def test_problems_that_cannot_be_solved_are_refused_when_frozen(terms, error, message) -> None:
    problem = Problem("p", terms=terms)
    for _ in range(2):
        with pytest.raises(error, match=message):
            problem.cost_function()


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"0": 1}, InvalidInitialConfiguration, "variable 1 has no value"),
        ({"0": 1, "1": 0}, InvalidInitialConfiguration, "variable 1 must be -1 or 1, found 0"),
        ({0: 1, 1: 1, 2: 1}, InvalidInitialConfiguration, "variable 2 is not in the problem"),
        ({"a": 1}, InvalidInitialConfiguration, "'a' is not a variable id"),
        ({0: "1", 1: 1}, WrongType, "variable 0 must be an integer, found str '1'"),
        ({0: 1.0, 1: 1}, WrongType, "variable 0 must be an integer, found float"),
    ],
)
def test_initial_configurations_that_do_not_fit_are_refused(config, error, message) -> None:
    problem = Problem("p", terms=[Term(c=1, indices=[0, 1])], init_config=config)
    with pytest.raises(error, match=message):
        problem.cost_function()


def test_numpy_numbers_are_accepted_everywhere() -> None:
    problem = Problem("p", init_config={np.int64(1): np.int8(1), 2: -1})
    problem.add_term(np.float32(0.5), [np.int32(1), np.uint8(2)])
    problem.add_term(np.array([3]), np.array([1, 2]))
    problem.add_slc_term([(np.int64(2), np.int64(1))], c=np.float64(2))
    cf = Problem.deserialize(problem.serialize()).cost_function()
    assert (cf.coefficients.tolist(), cf.ids.tolist()) == ([0.5, 3.0], [1, 2, 1, 2])
    assert cf.initial_configuration == {1: 1, 2: -1}
    assert problem.evaluate({1: np.int8(1), 2: np.int8(-1)}) == 4.5


def test_snapshot_is_frozen_and_kept_until_the_problem_changes() -> None:
    config = {"0": 1, "1": 1}
    problem = Problem("p", terms=[Term(c=1, indices=[0, 1])], init_config=config)
    first = problem.cost_function()
    assert problem.cost_function() is first
    config["0"] = -1
    assert problem.cost_function().initial_configuration == {0: -1, 1: 1}
    problem.terms[0].c = 5
    problem.add_term(1, [0])
    assert first.coefficients.tolist() == [1.0]
    assert problem.cost_function().coefficients.tolist() == [5.0, 1.0]
    problem.problem_type = "pubo"
    with pytest.raises(InvalidInitialConfiguration):
        problem.cost_function()


def test_arrays_in_both_forms_give_the_same_problem() -> None:
    c, ids = np.array([1, 2, 3]), np.array([[0, 1], [5, 2], [9, 0]], np.uint32)
    rows = Problem.from_arrays(c, ids, problem_type=ProblemType.ising, name="rows")
    csr = Problem.from_arrays(c, ids.ravel(), [0, 2, 4, 6], problem_type=ProblemType.ising, init_config=None)
    added = Problem("p")
    added.add_term(1, [0, 1])
    added.add_terms(coefficients=[2.0, 3.0], ids=[5, 2, 9, 0], indptr=[0, 2, 4])
    assert rows.terms == csr.terms == added.terms
    assert rows.name == "rows"
    mixed = Problem.from_arrays([1, 2, 3], [7, 8], [0, 0, 2, 2], problem_type=ProblemType.pubo)
    assert mixed.terms == [Term(c=1, indices=[]), Term(c=2, indices=[7, 8]), Term(c=3, indices=[])]
    assert len(Problem.from_arrays([], [], [0], problem_type=ProblemType.pubo).terms) == 0


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((["a"], [[0]], None), WrongType, "`coefficients` must be numbers"),
        (([True], [[0]], None), WrongType, "`coefficients` must be numbers, found bool"),
        (([[1.0]], [[0]], None), InvalidValue, "`coefficients` must be one-dimensional"),
        (([1.0], [[0.0]], None), WrongType, "`ids` must be integers, found float64"),
        (([1.0], [[True]], None), WrongType, "`ids` must be integers, found bool"),
        (([1.0], [[2**63]], None), InvalidValue, "`ids`: 9223372036854775808 is greater"),
        (([1.0, 2.0], [[0]], None), InvalidValue, "a row for each of the 2 terms"),
        (([1.0], [0], None), InvalidValue, "a row for each of the 1 terms"),
        (([1.0], [[0]], [0, 1]), InvalidValue, "`ids` must be one-dimensional"),
        (([1.0], [0], [0]), InvalidValue, "`indptr` must have 2 entries"),
        (([1.0], [0], [0, 2]), InvalidValue, "`indptr` must rise from 0 to 1"),
        (([1.0], [0], [1, 1]), InvalidValue, "`indptr` must rise from 0 to 1"),
        (([1.0, 1.0], [0], [0, 2, 1]), InvalidValue, "`indptr` must rise from 0 to 1"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(arrays, error, message) -> None:
    with pytest.raises(error, match=message):
        Problem.from_arrays(*arrays, problem_type=ProblemType.pubo)


@pytest.mark.parametrize(
    ("added", "error", "message"),
    [
        (Term(c=2, indices=[7]), RepeatedVariable, "7"),
        (Term(c=2, indices=[7, 8]), InvalidValue, "7, 8"),
        (3, WrongType, "member 1 of a squared linear combination must be a Term, found int"),
    ],
)
def test_a_changed_group_is_validated_again(added: Any, error: type[Exception], message: str) -> None:
    group = SlcTerm([Term(c=1, indices=[7])])
    group.validate()
    group.terms.append(added)
    with pytest.raises(error, match=message):
        group.validate()


def test_terms_and_arrays_cannot_be_mixed() -> None:
    with pytest.raises(InvalidValue, match="not both"):
        Problem("p").add_terms([Term(c=1, indices=[])], coefficients=[1.0])
    with pytest.raises(MissingSection, match="give `terms`, or `coefficients` and `ids`"):
        Problem("p").add_terms()
    with pytest.raises(WrongType, match="term 0 must be a Term or SlcTerm, found int"):
        Problem("p").add_terms([3])
    with pytest.raises(ValueError):
        Problem("p").add_terms([], term_type="x")


@given(st.sampled_from([ProblemType.pubo, ProblemType.ising]), st.integers(0, 5), st.integers(0, 2**32))
def test_matrix_problem_has_the_cost_of_its_formula(kind: ProblemType, n: int, seed: int) -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(seed)
    M = rng.integers(-3, 4, (n, n)) * (rng.random((n, n)) < 0.5)
    h = rng.integers(-3, 4, n)
    x = rng.integers(0, 2, n) if kind is ProblemType.pubo else rng.choice([-1, 1], n)
    configuration = dict(enumerate(x.tolist()))
    for matrix in (M, M.tolist() or M, scipy_sparse.csr_array(M), scipy_sparse.coo_matrix(M)):
        problem = Problem.from_matrix(matrix, h, problem_type=kind, constant=2)
        assert problem.evaluate(configuration) == x @ M @ x + h @ x + 2
        assert problem.cost_function().variables.tolist() == list(range(n))
    compiled = compile_problem(Problem.from_matrix(M, problem_type=kind).cost_function())
    assert compiled.n == n


def test_matrices_that_are_not_square_or_real_are_refused() -> None:
    for matrix, h, error, message in [
        (np.ones((2, 3)), None, InvalidValue, r"must be square, found shape \(2, 3\)"),
        (np.ones(3), None, InvalidValue, r"must be square, found shape \(3,\)"),
        (np.ones((2, 2), complex), None, WrongType, "`matrix` must contain real numbers, found complex128"),
        (np.ones((2, 2)), np.ones(3), InvalidValue, r"`h` must have shape \(2,\), found \(3,\)"),
        (np.ones((2, 2)), ["a", "b"], WrongType, "`h` must contain real numbers"),
    ]:
        with pytest.raises(error, match=message):
            Problem.from_matrix(matrix, h, problem_type=ProblemType.pubo)


def test_duplicate_entries_of_a_sparse_matrix_add_up() -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    matrix = scipy_sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    problem = Problem.from_matrix(matrix, problem_type=ProblemType.ising)
    assert problem.evaluate({0: 1, 1: -1}) == -7.0


@given(cost_functions(max_terms=6), st.booleans(), st.integers(0, 2**32))
def test_a_problem_and_its_matrix_have_the_same_cost(given_cost: CostFunction, is_sparse: bool, seed: int) -> None:
    if is_sparse:
        pytest.importorskip("scipy.sparse")
    problem = Problem.from_cost_function(given_cost)
    locality = compile_problem(given_cost).locality
    if locality > 2:
        with pytest.raises(InvalidValue, match=f"at most 2 variables, found one of {locality}"):
            problem.to_matrix(sparse=is_sparse)
        return
    matrix, h, constant = problem.to_matrix(sparse=is_sparse)
    dense = matrix.toarray() if is_sparse else matrix
    npt.assert_array_equal(dense, np.triu(dense, 1))
    back = Problem.from_matrix(matrix, h, constant=constant, problem_type=problem.problem_type)
    ids = given_cost.variables.tolist()
    assert back.cost_function().variables.tolist() == list(range(len(ids)))
    low = -1 if problem.problem_type.is_ising else 0
    x = np.random.default_rng(seed).choice([low, 1], len(ids))
    cost = problem.evaluate(dict(zip(ids, x.tolist(), strict=True)))
    assert x @ dense @ x + h @ x + constant == cost == back.evaluate(dict(enumerate(x.tolist())))


def test_a_matrix_comes_back_as_it_was_given() -> None:
    couplings, fields = np.array([[0.0, 2.5, 0.0], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), np.array([0.5, 0.0, 0.0])
    for kind in (ProblemType.ising, ProblemType.pubo):
        matrix, h, constant = Problem.from_matrix(couplings, fields, constant=3, problem_type=kind).to_matrix()
        npt.assert_array_equal(matrix, couplings)
        npt.assert_array_equal(h, fields)
        assert constant == 3


def test_problems_are_copied_and_pickled_apart() -> None:
    problem = Problem("p", terms=[Term(c=1, indices=[0, 1])])
    problem.cost_function()
    for other in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        other.add_term(5, [7])
        assert other.serialize() != problem.serialize()
        assert other.cost_function().n_terms == 2
    assert problem.cost_function().n_terms == 1


def test_what_json_cannot_hold_is_refused_when_serialized() -> None:
    problem = Problem("p", terms=[Term(c=1, indices=[0]), Term(c=float("inf"), indices=[0])])
    with pytest.raises(InvalidValue, match="term 1: coefficient inf is not finite"):
        problem.serialize()
    with pytest.raises(WrongType, match="from str, bytes or a list of messages, found int"):
        Problem.deserialize(3)


def test_a_protobuf_problem_becomes_messages_and_comes_back() -> None:
    terms = [Term(c=t + 0.5, indices=[t, t + 1]) for t in range(1500)]
    problem = Problem("p", terms=terms, init_config=dict.fromkeys(range(1501), 1), content_type=ContentType.protobuf)
    messages = problem.serialize()
    assert [type(message) for message in messages] == [bytes, bytes]
    for data in (messages, problem.to_blob()):
        back = Problem.deserialize(data)
        assert (back.name, back.problem_type, back.terms) == ("p", ProblemType.ising, problem.terms)
        assert back.init_config == {str(i): 1 for i in range(1501)}
    assert Problem.deserialize(messages, "q", ContentType.protobuf).name == "q"
    assert Problem.deserialize(messages).content_type is ContentType.protobuf
    with pytest.raises(WrongType, match="message 1 must be bytes, found str"):
        Problem.deserialize([messages[0], "x"])
    with pytest.raises(ValueError, match="text/plain"):
        Problem.deserialize("{}", content_type="text/plain")


def test_a_protobuf_problem_with_groups_is_json() -> None:
    problem = Problem("p", content_type=ContentType.protobuf)
    problem.add_slc_term([(1, 0), (2, None)])
    assert Problem.deserialize(problem.to_blob()).serialize() == problem.to_json()


def test_blob_is_gzip_and_always_the_same_bytes() -> None:
    problem = Problem("p", terms=[Term(c=1, indices=[0])])
    assert gzip.decompress(problem.to_blob()).decode() == problem.to_json()
    assert problem.to_blob() == problem.to_blob()


def test_problem_types_are_checked() -> None:
    with pytest.raises(InvalidValue, match="problem type must be one of pubo, ising, .* found 'maxsat'"):
        Problem("p", problem_type="maxsat")
    assert Problem("p", problem_type="pubo").problem_type is ProblemType.pubo
    assert GroupType("slc") is GroupType.squared_linear_combination


def test_problems_print_what_they_are() -> None:
    problem = Problem("<b>", terms=[Term(c=1, indices=[0, 4, 5])])
    assert repr(problem) == "Problem('<b>', ising, 1 term)"
    problem.add_slc_term([(1, 0)])
    assert repr(problem) == "Problem('<b>', ising_grouped, 1 term, 1 group)"
    page = problem._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<th>variables</th><td>3</td>" in page
    assert "<th>locality</th><td>3</td>" in page


def test_upload_hands_the_problem_to_the_workspace() -> None:
    class Workspace:
        def upload_problem(self, problem: Problem, container_name: str, blob_name: str) -> str:
            return f"{container_name}/{blob_name}/{problem.name}"

    problem = Problem("p")
    assert problem.upload(Workspace()) == "qio-problems/inputData/p" == problem.uploaded_blob_uri


def test_a_million_quadratic_terms_from_arrays_take_less_than_100_megabytes() -> None:
    coefficients, ids = np.ones(1_000_000), np.arange(2_000_000).reshape(-1, 2) % 5000
    tracemalloc.start()
    try:
        problem = Problem("p")
        problem.add_terms(coefficients=coefficients, ids=ids)
        problem.cost_function()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(problem.terms) == 1_000_000
    assert peak < 100e6


def test_a_new_name_leaves_columns_and_checks_as_they_are() -> None:
    problem = Problem("p", terms=[Term(c=1, indices=[0, 1])])
    before = problem.cost_function()
    problem.name = "q"
    problem.metadata["of"] = "p"
    renamed = problem.cost_function()
    assert (renamed.name, renamed.metadata) == ("q", {"of": "p"})
    assert (before.name, before.metadata) == ("p", {})
    assert all(getattr(renamed, column) is getattr(before, column) for column in ("coefficients", "indptr", "ids"))
    fresh = Problem("q", terms=[Term(c=1, indices=[0, 1])])
    fresh.metadata["of"] = "p"
    assert problem.to_blob() == fresh.to_blob()

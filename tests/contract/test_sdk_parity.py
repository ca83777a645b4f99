"""What programs of the old SDK see: the expected values were observed there, one by one."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import numpy as np
import pytest

from qiosk.errors import InvalidValue, UnreadableInput
from qiosk.problem import GroupType, Problem, ProblemType, SlcTerm, Term


def document(kind: str, terms: str, more: str = "", version: str = "1.0", name: str = "x") -> str:
    return (
        f'{{"metadata": {{"name": "{name}"}}, "cost_function": {{"version": "{version}", "type": "{kind}",'
        f' "terms": [{terms}]{more}}}}}'
    )


def slc(*groups: str) -> str:
    return f', "terms_slc": [{", ".join(groups)}]'


def three_terms() -> Problem:
    return Problem("x", terms=[Term(c=1, indices=[0, 1]), Term(c=2, indices=[1]), Term(c=4, indices=[])])


def grouped() -> Problem:
    group = SlcTerm([Term(c=1, indices=[0]), Term(c=3, indices=[2])], c=5)
    return Problem("x", terms=[Term(c=1, indices=[0, 1]), group], problem_type=ProblemType.pubo)


def test_defaults_of_a_new_problem() -> None:
    problem = Problem("x")
    assert problem.name == "x"
    assert problem.problem_type is ProblemType.ising
    assert problem.init_config is None
    assert problem.content_type == "application/json"
    assert problem.uploaded_blob_uri is None
    assert (problem.terms, problem.terms_slc) == ([], [])
    assert Problem("x", None, None, ProblemType.pubo).problem_type is ProblemType.pubo
    assert Problem("x") != Problem("x")


def test_serialized_text_is_the_same_to_the_letter() -> None:
    assert Problem("x").serialize() == document("ising", "")
    assert three_terms().to_json() == document(
        "ising", '{"c": 1, "ids": [0, 1]}, {"c": 2, "ids": [1]}, {"c": 4, "ids": []}'
    )
    assert grouped().serialize() == document(
        "pubo_grouped",
        '{"c": 1, "ids": [0, 1]}',
        slc('{"c": 5, "terms": [{"c": 1, "ids": [0]}, {"c": 3, "ids": [2]}]}'),
    )
    assert Problem(None).serialize() == document("ising", "", name="Optimization problem")
    assert Problem("é").serialize() == document("ising", "", name="\\u00e9")


@pytest.mark.parametrize("config", [{"0": 1, "1": -1}, {0: 1, 1: -1}])
def test_initial_configuration_is_written_under_version_1_1(config) -> None:
    problem = Problem("x", terms=[Term(c=1, indices=[0, 1])], init_config=config)
    more = ', "initial_configuration": {"0": 1, "1": -1}'
    assert problem.serialize() == document("ising", '{"c": 1, "ids": [0, 1]}', more, version="1.1")


def test_add_term_takes_positions_and_keywords_and_returns_none() -> None:
    problem = Problem("x", problem_type=ProblemType.pubo)
    assert problem.add_term(2, [1]) is None
    assert problem.add_term(c=0.5, indices=(1, 1, 7)) is None
    assert problem.serialize() == document("pubo", '{"c": 2, "ids": [1]}, {"c": 0.5, "ids": [1, 1, 7]}')


def test_add_terms_of_both_forms() -> None:
    problem = Problem("x")
    problem.add_terms([Term(c=1, indices=[0])], c=4)
    assert problem.problem_type is ProblemType.ising
    group = [Term(c=1, indices=[0]), Term(c=2, indices=[])]
    problem.add_terms(group, term_type=GroupType.squared_linear_combination, c=3)
    assert problem.serialize() == document(
        "ising_grouped",
        '{"c": 1, "ids": [0]}',
        slc('{"c": 3, "terms": [{"c": 1, "ids": [0]}, {"c": 2, "ids": []}]}'),
    )
    problem.add_terms([SlcTerm([Term(c=1, indices=[1])])])
    assert (len(problem.terms), len(problem.terms_slc)) == (1, 2)


def test_add_slc_term_takes_tuples_pairs_and_terms() -> None:
    problem = Problem("x", problem_type=ProblemType.pubo)
    problem.add_slc_term([(1, 0), (2, None)], c=3)
    problem.add_slc_term([Term(c=1, indices=[4])])
    problem.add_slc_term([])
    problem.add_slc_term([[1, 0]])
    assert problem.serialize() == document(
        "pubo_grouped",
        "",
        slc(
            '{"c": 3, "terms": [{"c": 1, "ids": [0]}, {"c": 2, "ids": []}]}',
            '{"c": 1, "terms": [{"c": 1, "ids": [4]}]}',
            '{"c": 1, "terms": []}',
            '{"c": 1, "terms": [{"c": 1, "ids": [0]}]}',
        ),
    )


def test_problem_type_is_grouped_from_the_first_group_on() -> None:
    assert Problem("x", terms=[SlcTerm([Term(c=1, indices=[1])])]).problem_type is ProblemType.ising_grouped
    assert grouped().problem_type is ProblemType.pubo_grouped
    assert Problem("x", problem_type=ProblemType.pubo_grouped).problem_type is ProblemType.pubo_grouped


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Term(), RuntimeError),
        (lambda: Term(c=None, indices=[1]), RuntimeError),
        (lambda: Term(c="a", indices=[1]), RuntimeError),
        (lambda: Term(c="3", indices=[1]), RuntimeError),
        (lambda: Term(c=True, indices=[1]), RuntimeError),
        (lambda: Term(c=1j, indices=[1]), RuntimeError),
        (lambda: SlcTerm([Term(c=1, indices=[0])], c="q"), RuntimeError),
        (lambda: SlcTerm([Term(c=1, indices=[0])], c=None), RuntimeError),
        (lambda: SlcTerm([Term(c=1, indices=[1, 2])]), ValueError),
        (lambda: SlcTerm([Term(c=1, indices=[1]), Term(c=1, indices=[1])]), ValueError),
        (lambda: SlcTerm([Term(c=1, indices=[]), Term(c=1, indices=[])]), ValueError),
        (lambda: Problem("x").add_term("x", [1]), RuntimeError),
        (lambda: Problem("x").add_slc_term([(1, 0), (2, 0)]), ValueError),
        (lambda: Problem("x").add_slc_term([(1, None), (2, None)]), ValueError),
        (lambda: Problem("x").add_slc_term([Term(c=1, indices=[4, 5])]), ValueError),
        (lambda: Problem("x").add_slc_term([("a", 1)]), RuntimeError),
        (lambda: Problem("x").add_slc_term([(1, 0, 3)]), ValueError),
        (lambda: Problem("x").add_terms([Term(c=1, indices=[0, 1])], GroupType.squared_linear_combination), ValueError),
        (lambda: three_terms().evaluate({"0": 1}), KeyError),
        (lambda: three_terms().evaluate({"a": 1}), ValueError),
        (lambda: Term(c=2, indices=[1, 2]).evaluate({"1": -1, "2": 1}), KeyError),
        (lambda: three_terms().set_fixed_variables({}), RuntimeError),
        (lambda: Problem("x").get_terms(0), Exception),
        (lambda: Problem.deserialize("{"), ValueError),
        (lambda: hash(Term(c=1, indices=[])), TypeError),
    ],
)
def test_mistakes_raise_the_same_builtin_exceptions(make, error) -> None:
    with pytest.raises(error):
        make()


def test_terms_convert_compare_and_print_as_before() -> None:
    assert Term([1, 2], None, 3).to_dict() == {"c": 3, "ids": [1, 2]}
    assert Term(w=3, indices=[1]).to_dict() == {"c": 3, "ids": [1]}
    assert Term(c=np.float32(1.5), indices=[1]).c == 1.5
    assert Term.from_dict({"c": 1, "ids": [1], "z": 1}) == Term(c=1, indices=[1])
    assert Term(c=2, indices=[1, 2]) != Term(c=2, indices=[2, 1])
    group = SlcTerm([Term(c=1, indices=[1])], c=2)
    assert repr(Term(c=2, indices=[1, 2])) == "{'c': 2, 'ids': [1, 2]}"
    assert repr(group) == "{'c': 2, 'terms': [{'c': 1, 'ids': [1]}]}"
    assert SlcTerm.from_dict(group.to_dict()) == group


def test_terms_evaluate_and_reduce_as_before() -> None:
    term = Term(c=2, indices=[1, 2])
    assert term.evaluate({1: -1, 2: 1}) == -2
    assert term.reduce_by_variable_state({1: -1}) == Term(c=-2, indices=[2])
    assert term.reduce_by_variable_state({1: 0}) is None
    assert term.reduce_by_variable_state({1: 1, 2: -1}) == Term(c=-2, indices=[])
    terms = [Term(c=1, indices=[1]), Term(c=2, indices=[])]
    group = SlcTerm([*terms, Term(c=3, indices=[3])], c=2)
    assert SlcTerm(terms, c=2).evaluate({1: 1}) == 18.0
    assert group.reduce_by_variable_state({1: 1}).to_dict() == {
        "c": 2,
        "terms": [{"c": 3, "ids": []}, {"c": 3, "ids": [3]}],
    }
    assert SlcTerm(terms, c=2).reduce_by_variable_state({1: 1}) == Term(c=18, indices=[])
    assert SlcTerm([Term(c=1, indices=[1])], c=2).reduce_by_variable_state({1: 0}) is None


@pytest.mark.parametrize(
    ("configuration", "cost"),
    [
        ({0: 1, 1: -1}, 1.0),
        ({"0": 1, "1": -1}, 1.0),
        ({"0": 1, "1": -1, "5": 1}, 1.0),
    ],
)
def test_evaluate_of_a_problem(configuration, cost) -> None:
    assert three_terms().evaluate(configuration) == cost


def test_evaluate_of_groups_repeated_ids_and_nothing() -> None:
    assert grouped().evaluate({0: 1, 1: 0, 2: 1}) == 80.0
    assert Problem("x", terms=[Term(c=3, indices=[0, 0, 1])]).evaluate({0: -1, 1: 1}) == 3
    assert Problem("x").evaluate({}) == 0


@pytest.mark.parametrize(
    ("fixed", "terms"),
    [
        ({1: -1}, '{"c": -1, "ids": [0]}, {"c": 2, "ids": []}'),
        ({"1": -1}, '{"c": -1, "ids": [0]}, {"c": 2, "ids": []}'),
        ({"1": -1, "0": 1}, '{"c": 1, "ids": []}'),
        ({9: 1}, '{"c": 1, "ids": [0, 1]}, {"c": 2, "ids": [1]}, {"c": 4, "ids": []}'),
        ({0: 5}, '{"c": 5, "ids": [1]}, {"c": 2, "ids": [1]}, {"c": 4, "ids": []}'),
    ],
)
def test_fixed_variables_leave_constants_merged_at_the_end(fixed, terms) -> None:
    problem = three_terms()
    before = problem.serialize()
    assert problem.set_fixed_variables(fixed).serialize() == document("ising", terms)
    assert problem.serialize() == before


def test_fixed_variables_of_groups_zeros_and_repeated_ids() -> None:
    assert grouped().set_fixed_variables({0: 1}).serialize() == document(
        "pubo_grouped",
        '{"c": 1, "ids": [1]}',
        slc('{"c": 5, "terms": [{"c": 1, "ids": []}, {"c": 3, "ids": [2]}]}'),
    )
    assert grouped().set_fixed_variables({0: 1, 2: 1}).serialize() == document(
        "pubo_grouped", '{"c": 1, "ids": [1]}, {"c": 80, "ids": []}'
    )
    cancels = Problem("x", terms=[Term(c=1, indices=[0]), Term(c=1, indices=[])])
    assert cancels.set_fixed_variables({0: -1}).serialize() == document("ising", "")
    repeated = Problem("x", terms=[Term(c=3, indices=[0, 0, 1])])
    assert repeated.set_fixed_variables({0: -1}).serialize() == document("ising", '{"c": 3, "ids": [1]}')
    constant = Problem("x", terms=[Term(c=3, indices=[0, 1]), SlcTerm([Term(c=1, indices=[])], c=2)])
    assert constant.set_fixed_variables({0: -1}).serialize() == document(
        "ising_grouped", '{"c": -3, "ids": [1]}, {"c": 2, "ids": []}'
    )


def test_fixed_variables_leave_the_initial_configuration() -> None:
    problem = Problem("x", terms=[Term(c=3, indices=[0, 1])], init_config={"0": 1, "1": -1})
    assert problem.set_fixed_variables({0: 1}).init_config == {"1": -1}
    everything = problem.set_fixed_variables({"0": 1, "1": 1})
    assert everything.init_config == {}
    assert everything.serialize() == document("ising", '{"c": 3, "ids": []}')


def test_get_terms_finds_terms_then_groups() -> None:
    assert three_terms().get_terms(1) == [Term(c=1, indices=[0, 1]), Term(c=2, indices=[1])]
    assert three_terms().get_terms(77) == []
    found = grouped().get_terms(0)
    assert [type(f).__name__ for f in found[1:]] == ["SlcTerm"]
    assert found[0] == Term(c=1, indices=[0, 1])
    assert found[1].to_dict() == {"c": 5, "terms": [{"c": 1, "ids": [0]}, {"c": 3, "ids": [2]}]}


def test_terms_can_be_changed_in_place_and_assigned() -> None:
    problem = three_terms()
    problem.terms.append(Term(c=9, indices=[3]))
    problem.terms[0] = Term(c=8, indices=[4])
    problem.terms[1].c = 77
    assert problem.serialize() == document(
        "ising",
        '{"c": 8, "ids": [4]}, {"c": 77, "ids": [1]}, {"c": 4, "ids": []}, {"c": 9, "ids": [3]}',
    )
    problem.terms = problem.terms[:1]
    problem.init_config = {"4": 1}
    problem.problem_type = ProblemType.pubo
    more = ', "initial_configuration": {"4": 1}'
    assert problem.serialize() == document("pubo", '{"c": 8, "ids": [4]}', more, version="1.1")


def test_a_list_given_to_the_constructor_is_copied() -> None:
    given = [Term(c=1, indices=[0])]
    problem = Problem("x", terms=given)
    problem.add_term(1, [1])
    assert (len(given), len(problem.terms)) == (1, 2)


def test_is_large_needs_many_terms_and_many_variables() -> None:
    problem = Problem("x")
    problem.add_terms(coefficients=np.ones(1_000_000), ids=np.arange(1_000_000)[:, None] % 2500)
    assert problem.is_large()
    del problem.terms[-1]
    assert not problem.is_large()
    few = Problem("x")
    few.add_terms(coefficients=np.ones(1_000_001), ids=np.arange(1_000_001)[:, None] % 2499)
    assert not few.is_large()
    assert (Problem.NUM_TERMS_LARGE, Problem.NUM_VARIABLES_LARGE) == (1_000_000, 2500)


def test_deserialized_problem_has_the_name_given_else_its_own_else_a_default() -> None:
    text = three_terms().serialize()
    assert Problem.deserialize(text).name == "x"
    assert Problem.deserialize(text, "b").name == "b"
    assert Problem.deserialize(text.encode()).terms == three_terms().terms
    bare = '{"cost_function": {"version": "1.0", "type": "ising", "terms": []}}'
    assert Problem.from_json(bare).name == "Optimization problem"
    with_configuration = Problem("x", terms=[Term(c=1, indices=[0])], init_config={"0": 1})
    assert Problem.deserialize(with_configuration.serialize()).init_config == {"0": 1}
    assert json.loads(Problem.deserialize(grouped().serialize()).serialize()) == json.loads(grouped().serialize())


def test_terms_of_an_archive(tmp_path) -> None:
    path = tmp_path / "terms.npz"
    np.savez(path, np.array([0, 1]), np.array([1, 2.0]), np.array([1.5, -2]))
    wanted = [Term(c=1.5, indices=[0, 1]), Term(c=-2.0, indices=[1, 2])]
    problem = Problem("x")
    assert problem.terms_from_npz(str(path)) == wanted
    np.savez(path, c=[1.0, 2.0], i=[3, 4])
    assert problem.terms_from_npz(path, ["i"], "c") == [Term(c=1.0, indices=[3]), Term(c=2.0, indices=[4])]
    assert problem.is_valid_npz(["arr_1", "arr_2", "arr_0"])
    assert problem.is_valid_npz(["c", "i"], ["i"], "c")
    assert not problem.is_valid_npz(["arr_0", "arr_1", "arr_2", "arr_3"])
    assert not problem.is_valid_npz(["a", "b", "c"])


def test_archives_that_hold_no_terms_are_refused(tmp_path) -> None:
    path = tmp_path / "terms.npz"
    with pytest.raises(Exception, match="there is no file"):
        Problem("x").terms_from_npz(path)
    path.write_bytes(b"PK\x03\x04 not quite")
    with pytest.raises(UnreadableInput, match="no archive of arrays"):
        Problem("x").terms_from_npz(path)
    np.savez(path, rows=[0], cols=[1], values=[1.0])
    with pytest.raises(InvalidValue, match="columns must be arr_0, arr_1, arr_2, found rows, cols, values"):
        Problem("x").terms_from_npz(path)
    for broken in ([1, 2, 3], ["a", "b"]):
        np.savez(path, [0, 1], broken, [1.0, 2.0])
        with pytest.raises(InvalidValue, match="`arr_1` must be 2 numbers"):
            Problem("x").terms_from_npz(path)


def test_the_type_becomes_a_grouped_one() -> None:
    problem = three_terms()
    problem.check_for_grouped_term()
    assert problem.problem_type is ProblemType.ising
    problem.problem_type_to_grouped()
    assert problem.problem_type is ProblemType.ising_grouped
    problem.problem_type_to_grouped()
    assert problem.problem_type is ProblemType.ising_grouped
    other = grouped()
    other.check_for_grouped_term()
    assert other.problem_type is ProblemType.pubo_grouped


class Shelf:
    """A workspace as far as problems know it."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.api = self

    def upload_problem(self, problem: Problem, container_name: str, blob_name: str) -> str:
        self.blobs[container_name, blob_name] = problem.to_blob()
        return f"https://example.org/account/{container_name}/{blob_name}?sig=x"

    def get_blob(self, container: str, name: str) -> bytes:
        return self.blobs[container, name]

    def locate(self, blob_uri: str) -> tuple[str, str]:
        container, _, name = urlsplit(blob_uri).path.removeprefix("/account/").partition("/")
        return container, name


@pytest.mark.parametrize("content_type", ["application/json", "application/x-protobuf"])
def test_an_uploaded_problem_is_downloaded(content_type) -> None:
    problem, shelf = three_terms(), Shelf()
    problem.content_type = content_type
    with pytest.raises(Exception, match="must be uploaded before it can be downloaded"):
        problem.download(shelf)
    problem.upload(shelf, container_uri="https://example.org/account/my-own?sig=x")
    assert list(shelf.blobs) == [("my-own", "inputData")]
    again = problem.download(shelf)
    assert (again.name, again.terms) == ("x", problem.terms)

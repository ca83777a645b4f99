"""Contract values as JSON: what goes out comes back, and what is malformed is named."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk import errors
from qiosk.contract import codec
from qiosk.contract.http import error_codec, requests
from qiosk.contract.jobs import (
    MOST_BOUND_POINTS,
    BoundPoint,
    ErrorData,
    JobProgress,
    JobStatus,
    JobView,
    PatchJob,
    SubmitJob,
    TargetView,
    TracePoint,
    with_bound,
)
from qiosk.errors import InvalidJobDefinition, JobNotFound, QioskError, UnreadableInput

AT = datetime(2026, 11, 22, 7, 41, 58, 125000, tzinfo=UTC)
PUT = {
    "containerUri": "http://host/qiosk/job-1?sig=a%2Fb",
    "inputDataFormat": "microsoft.qio.v2",
    "providerId": "Microsoft",
    "target": "microsoft.tabu.cpu",
}
ERRORS = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, QioskError)]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def job(**members: object) -> JobView:
    given = {
        "id": "1",
        "name": "it's a {job}",
        "container_uri": "http://host/qiosk/job-1",
        "input_data_uri": "http://host/qiosk/job-1/inputData",
        "input_data_format": "microsoft.qio.v2",
        "input_params": {"params": {"timeout": 100, "beta": 1.0}},
        "provider_id": "Microsoft",
        "target": "microsoft.tabu.cpu",
        "metadata": {"a": "b"},
        "output_data_uri": None,
        "output_data_format": "microsoft.qio-results.v2",
        "status": JobStatus.EXECUTING,
        "creation_time": AT,
        "progress": JobProgress(fraction=0.5, sweeps=7, best_cost=-1.5, seconds=0.25),
        "tags": ("x",),
    }
    return JobView(**{**given, **members})


def put(**members: object) -> bytes:
    return json.dumps({**PUT, **members}).encode()


def test_a_job_is_written_in_the_words_of_the_wire() -> None:
    members = json.loads(codec.encode(job(error_data=ErrorData(code="c", message="m"))))
    assert members["creationTime"] == "2026-11-22T07:41:58.125000Z"
    assert members["status"] == "Executing"
    assert members["itemType"] == "Job"
    assert members["errorData"] == {"code": "c", "message": "m"}
    assert members["progress"] == {
        "fraction": 0.5,
        "sweeps": 7,
        "bestCost": -1.5,
        "seconds": 0.25,
        "bound": None,
        "bounds": [],
        "activity": None,
    }
    assert members["beginExecutionTime"] is None
    assert members["tags"] == ["x"]


@given(params=json_values, name=st.text())
def test_a_job_comes_back_as_it_was(params: object, name: str) -> None:
    view = job(input_params=params, name=name)
    back = codec.decode(JobView, codec.encode(view))
    assert back == view
    assert repr(back.input_params) == repr(params)  # 1 stays 1, and 1.0 stays 1.0


def test_replies_may_have_more_members_and_fewer() -> None:
    target = codec.decode(TargetView, b'{"id": "a", "providerId": "b", "statusPage": null}')
    assert target == TargetView(id="a", provider_id="b")
    with pytest.raises(UnreadableInput, match="TargetView"):
        codec.decode(TargetView, b'{"id": "a"}')
    with pytest.raises(UnreadableInput):
        codec.decode(TargetView, b"<html>")


def test_trace_points_are_rows() -> None:
    points = [TracePoint(0.5, 3, -1.0), TracePoint(1.0, 4, -2.0)]
    rows = json.loads(codec.encode(points))
    assert rows == [[0.5, 3, -1.0], [1.0, 4, -2.0]]
    assert codec.convert(list[TracePoint], rows) == points


def test_better_bounds_are_rows_of_which_the_most_important_are_kept() -> None:
    points: tuple[BoundPoint, ...] = ()
    for second, bound in enumerate([-900.0, -900.0, -500.0, *np.linspace(-499.0, -490.0, 60), None, -100.0]):
        points = with_bound(points, float(second), bound)
    kept = [point.bound for point in points]
    assert len(points) == MOST_BOUND_POINTS
    assert kept == sorted(set(kept))
    assert kept[:2] == [-900.0, -500.0]
    assert kept[-1] == -100.0
    assert json.loads(codec.encode(JobProgress(bounds=points[:1])))["bounds"] == [[0.0, -900.0]]


def test_a_submission_has_defaults() -> None:
    command = requests.decode_submission(put(extra=1, status="Failed", tags=None), "j")
    assert command == SubmitJob(
        id="j",
        name="",
        provider_id="Microsoft",
        target="microsoft.tabu.cpu",
        container_uri=PUT["containerUri"],
        input_data_uri="http://host/qiosk/job-1/inputData?sig=a%2Fb",
    )


def test_a_submission_comes_back_as_it_was() -> None:
    command = SubmitJob(
        id="j",
        name="n",
        provider_id="p",
        target="t",
        container_uri="http://h/c",
        input_data_uri="http://h/c/b",
        input_params=[1, 1.0],
        metadata={"a": "b"},
        tags=("x", "y"),
        priority="High",
        session_id="s",
    )
    assert requests.decode_submission(codec.encode(requests.submission(command)), "j") == command


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b"\xff", "must be JSON"),
        (b"[]", "expected `object`"),
        (b"{}", "containerUri"),
        (put(target=3), "target: expected `str`"),
        (put(metadata={"a": 1}), "metadata"),
        (put(tags="x"), "tags"),
        (put(id="other"), "id must be the one in the URL"),
        (put()[:-1] + b', "inputParams": 1e999}', "inputParams"),
        (put()[:-1] + b', "name": "\\ud800"}', "must be JSON"),
        (put()[:-1] + b', "inputParams": ' + b"[" * 200 + b"]" * 200 + b"}", "nesting"),
        (b"[" * 100_000, "JSON|nesting|expected"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_malformed_submission_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidJobDefinition, match=says):
        requests.decode_submission(body, "j")


@given(body=st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bodies_raise_nothing_else(body: bytes) -> None:
    for read in (lambda: requests.decode_submission(body, "j"), lambda: requests.decode_patch(body)):
        try:
            read()
        except InvalidJobDefinition as error:
            assert error.message


@pytest.mark.parametrize(
    ("body", "patch"),
    [
        ({}, PatchJob()),
        ({"id": "x", "name": "a", "tags": ["t"], "priority": None}, PatchJob(name="a", tags=("t",))),
        ([], PatchJob()),
        ([{"op": "replace", "path": "/name", "value": "a"}], PatchJob(name="a")),
        ([{"op": "remove", "path": "/tags"}, {"op": "add", "path": "/priority", "value": "High"}],
         PatchJob(tags=(), priority="High")),
    ],
    ids=str,
)  # fmt: skip
def test_patches_come_in_two_forms(body: object, patch: PatchJob) -> None:
    assert requests.decode_patch(json.dumps(body).encode()) == patch


@pytest.mark.parametrize(
    "body",
    [
        [{"op": "replace", "path": "/status", "value": "x"}],
        [{"op": "replace", "path": "name", "value": "x"}],
        [{"op": "remove", "path": "/name"}],
        [{"op": "test", "path": "/name", "value": "x"}],
        [{"op": "add", "path": "/name", "value": 1}],
        [{"path": "/name"}],
        {"tags": [1]},
        "x",
    ],
    ids=str,
)
def test_other_patches_are_refused(body: object) -> None:
    with pytest.raises(InvalidJobDefinition):
        requests.decode_patch(json.dumps(body).encode())


def test_errors_keep_their_class_and_details() -> None:
    error = error_codec.decode_error(
        codec.encode(error_codec.error_body(JobNotFound("job 1 was not found", job_id="1")))
    )
    assert type(error) is JobNotFound
    assert (error.message, error.details) == ("job 1 was not found", {"job_id": "1"})


no_json = st.sampled_from([object(), 1j, QioskError, "\ud800", {"\ud800": 1}, [object()], {(1, 2): 3}])


@given(
    kept=st.dictionaries(st.text() | st.sampled_from(["message", "self", "cls", "code"]), json_values),
    lost=st.dictionaries(st.text() | st.just("\ud800"), no_json),
    message=st.text(),
)
def test_details_of_any_name_arrive_and_what_is_no_json_does_not(
    kept: dict[str, object], lost: dict[str, object], message: str
) -> None:
    error = JobNotFound(message, **{**kept, **lost})
    back = error_codec.decode_error(codec.encode(error_codec.error_body(error)))
    assert type(back) is JobNotFound
    assert back.message == (message or "JobNotFound")
    assert back.details == {name: value for name, value in kept.items() if name not in lost and name != "class"}


@given(body=st.binary(max_size=60) | json_values.map(json.dumps).map(str.encode))
def test_arbitrary_error_bodies_become_errors(body: bytes) -> None:
    assert isinstance(error_codec.decode_error(body), QioskError)


@given(details=json_values | st.dictionaries(st.sampled_from(["message", "self", "retry_after_s"]), json_values))
def test_arbitrary_details_become_errors(details: object) -> None:
    body = json.dumps({"error": {"code": "QuotaExceeded", "message": "m", "details": details}}).encode()
    error = error_codec.decode_error(body)
    assert isinstance(error, QioskError)
    assert pickle.loads(pickle.dumps(error)).details == error.details


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_arrives_as_what_it_is(cls: type[QioskError]) -> None:
    back = error_codec.decode_error(codec.encode(error_codec.error_body(cls("m", job_id="1"))))
    assert type(back) is cls
    assert (back.code, back.azq, back.message, back.details) == (cls.code, cls.azq, "m", {"job_id": "1"})


def test_a_class_is_named_only_where_its_code_is_that_of_others_too() -> None:
    named = {cls for cls in ERRORS if b"details" in codec.encode(error_codec.error_body(cls("m")))}
    assert {errors.InvalidValue, errors.NotEnoughMemory} < named
    assert not named & {errors.InvalidInput, errors.InsufficientResources, JobNotFound, QioskError}
    assert len({cls.code for cls in ERRORS} - {cls.code for cls in named}) > 20


@pytest.mark.parametrize("name", ["JobNotFound", "Unheard", "annotations", "", 7, ["InvalidValue"], None])
def test_a_class_of_another_code_is_not_believed(name: object) -> None:
    members = {"code": "InvalidInputData", "message": "m", "details": {"class": name}}
    error = error_codec.decode_error(json.dumps({"error": members}).encode())
    assert (type(error), error.details) == (errors.InvalidInput, {})


def test_foreign_error_bodies_become_the_default() -> None:
    error = error_codec.decode_error(b"<h1>Bad gateway</h1>", default=JobNotFound)
    assert type(error) is JobNotFound
    assert "Bad gateway" in error.message

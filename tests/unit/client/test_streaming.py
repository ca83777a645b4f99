"""Problems that are uploaded while they are built."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_jobs import FakeJobs, FakeUpload
from patience import HANG_S
from qiosk.client.solvers import SimulatedAnnealing
from qiosk.client.streaming import QUEUED_CHUNKS, OnlineProblem, StreamingProblem
from qiosk.client.workspace import Workspace
from qiosk.errors import BlobNotFound, Conflict, InvalidInput, InvalidValue, MissingSection, RepeatedVariable
from qiosk.problem import ProblemType, Term


@pytest.fixture
def api():
    return FakeJobs()


@pytest.fixture
def workspace(api):
    return Workspace(api=api)


def document(api, problem):
    return json.loads(gzip.decompress(api.blobs[problem.id, "inputData"]))


def test_it_is_what_a_problem_would_be(api, workspace):
    problem = StreamingProblem(workspace, "big", [Term(c=1, indices=[0, 1])], metadata={"by": "me"})
    problem.add_term(2.5, [3])
    problem.add_terms([Term(c=-1, indices=[]), Term(c=4, indices=[0, 1, 2])])
    uri = problem.upload()
    assert problem.upload(workspace) == uri == problem.uploaded_blob_uri
    terms = [{"c": 1, "ids": [0, 1]}, {"c": 2.5, "ids": [3]}, {"c": -1, "ids": []}, {"c": 4, "ids": [0, 1, 2]}]
    assert document(api, problem) == {"cost_function": {"version": "1.0", "type": "ising", "terms": terms}}
    assert problem.stats == {
        "type": "ising",
        "num_terms": 4,
        "min_coupling": 0,
        "max_coupling": 3,
        "avg_coupling": 1.5,
    }
    assert api.metadata[problem.id, "inputData"] == {"by": "me", **{k: str(v) for k, v in problem.stats.items()}}
    again = problem.download()
    assert again.name == "big"
    assert [term.to_dict() for term in again.terms] == terms


def test_an_initial_configuration_is_valid_json(api, workspace):
    problem = StreamingProblem(workspace, "i", [Term(c=1, indices=[5])], {"5": -1})
    problem.upload()
    assert problem.download().cost_function().initial_configuration == {5: -1}


def test_nothing_at_all(api, workspace):
    problem = StreamingProblem(workspace, problem_type=ProblemType.pubo)
    assert problem.stats["num_terms"] == 0
    problem.upload()
    assert document(api, problem)["cost_function"] == {"version": "1.0", "type": "pubo", "terms": []}


@given(st.lists(st.integers(1, 2500), max_size=4), st.booleans())
def test_any_sizes_arrive_whole(sizes, as_arrays):
    api = FakeJobs()
    problem = StreamingProblem(Workspace(api=api), upload_size_threshold=500)
    number = 0
    for size in sizes:
        ids = np.arange(number, number + size)[:, None]
        if as_arrays:
            problem.add_terms(coefficients=np.ones(size), ids=ids)
        else:
            problem.add_terms([Term(c=1, indices=[int(i)]) for (i,) in ids])
        number += size
    problem.upload()
    assert [term["ids"] for term in document(api, problem)["cost_function"]["terms"]] == [[i] for i in range(number)]
    assert problem.stats["num_terms"] == number


def test_threads_may_add_at_once(api, workspace):
    problem = StreamingProblem(workspace, upload_terms_threshold=7)

    def add(start):
        for i in range(200):
            problem.add_term(1, [start + i])

    threads = [threading.Thread(target=add, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    problem.upload()
    found = sorted(term["ids"][0] for term in document(api, problem)["cost_function"]["terms"])
    assert found == sorted(1000 * k + i for k in range(4) for i in range(200))


def test_solvers_take_it(api, workspace):
    problem = StreamingProblem(workspace, "streamed", [Term(c=1, indices=[0])])
    job = SimulatedAnnealing(workspace, timeout=1).submit(problem)
    assert job.details.name == "streamed"
    assert job.details.input_data_uri == problem.uploaded_blob_uri
    online = OnlineProblem("again", problem.uploaded_blob_uri)
    assert SimulatedAnnealing(workspace, timeout=1).submit(online).details.input_data_uri == problem.uploaded_blob_uri
    assert len(online.download(workspace).terms) == 1


def test_mistakes(api, workspace):
    problem = StreamingProblem(workspace)
    with pytest.raises(RepeatedVariable):
        problem.add_terms(coefficients=[1.0], ids=[[2, 2]])
    with pytest.raises(InvalidInput):
        problem.add_term("one", [0])
    with pytest.raises(MissingSection):
        problem.add_terms()
    with pytest.raises(InvalidValue, match="cannot be streamed"):
        StreamingProblem(workspace, problem_type=ProblemType.ising_grouped)
    problem.upload()
    with pytest.raises(Conflict, match="is uploaded"):
        problem.add_term(1, [0])
    with pytest.raises(BlobNotFound):
        OnlineProblem("gone", "file:///home/blobs/nowhere/blob").download(workspace)
    with pytest.raises(InvalidValue, match="must name a container"):
        OnlineProblem("bad", "nothing").download(workspace)


def test_what_stops_the_upload_is_raised_where_terms_are_added(api, workspace, monkeypatch):
    monkeypatch.setattr(FakeUpload, "fails", OSError("the line is dead"))
    problem = StreamingProblem(workspace, upload_size_threshold=1, upload_terms_threshold=1)
    terms = [Term(c=1, indices=[i]) for i in range(10_000)]
    with pytest.raises(OSError, match="the line is dead"):
        problem.add_terms(terms)
    with pytest.raises(OSError, match="the line is dead"):
        problem.upload()


def test_a_problem_that_is_dropped_ends_its_thread_and_its_upload(api, workspace, monkeypatch):
    uploads: list[FakeUpload] = []
    threads = set(threading.enumerate())

    def upload_blob(container, name):
        uploads.append(FakeUpload(api, container, name))
        return uploads[-1]

    monkeypatch.setattr(api, "upload_blob", upload_blob)
    problem = StreamingProblem(workspace, "dropped", upload_terms_threshold=1)
    problem.add_terms([Term(c=1, indices=[i]) for i in range(QUEUED_CHUNKS)])
    (thread,) = set(threading.enumerate()) - threads
    del problem
    thread.join(HANG_S)
    assert not thread.is_alive()
    assert [upload.aborted for upload in uploads] == [True]
    assert api.blobs == {}


def test_a_problem_whose_upload_failed_is_not_kept(api, workspace, monkeypatch):
    def write(self, data):
        raise OSError("the line is dead")

    monkeypatch.setattr(FakeUpload, "write", write)
    problem = StreamingProblem(workspace)
    problem.add_term(1, [0])
    with pytest.raises(OSError, match="the line is dead"):
        problem.upload()
    dropped = weakref.ref(problem)
    del problem
    gc.collect()
    assert dropped() is None


def test_from_asyncio(api):
    from qiosk.aio.optimization import OnlineProblem as AsyncOnlineProblem
    from qiosk.aio.optimization import StreamingProblem as AsyncStreamingProblem

    async def stream():
        workspace = SimpleNamespace(sync=Workspace(api=api))
        problem = await AsyncStreamingProblem.create(workspace, "aio", [Term(c=1, indices=[0])])
        await problem.add_term(2, [1])
        await problem.add_terms([Term(c=3, indices=[2])])
        uri = await problem.upload()
        assert problem.stats["num_terms"] == 3
        online = await AsyncOnlineProblem("aio", uri).download(workspace)
        return len(online.terms), len((await problem.download()).terms)

    assert asyncio.run(stream()) == (3, 3)

"""The page of a new job: a problem is given, described, and submitted with what was entered."""

from __future__ import annotations

import doctest
import gzip
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest

from pages import HOSTILE, HTML, KEY, Page, send, sign_in, visit
from qiosk.contract.jobs import JobQuery, JobView, SubmitJob
from qiosk.contract.sessions import OpenSession
from qiosk.dashboard.new_job import inputs
from qiosk.formats import columns, registry
from qiosk.formats.examples import EXAMPLES
from qiosk.formats.files import FORMATS, read_file, write_file
from qiosk.problem import ContentType, Problem
from qiosk.service.accounts.keys import KeyService
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.retention import prune
from servers import MemoryParts, serving

NEW = f"/ui/w/{KEY}/new"
QUBO = "p qubo 0 3 2 2\n0 0 -1\n2 2 1.5\n0 2 2\n1 2 4\n"
ORLIB = "2\n2 2\n1 1 5\n1 2 -3\n3 1\n2 3 7\n"
LP = "maximize\n 6 x + 5 y\nsubject to\n 2 x + 3 y <= 4\nbinary\n x y\nend\n"


def give(http: httpx.Client, text: str = "", *, file: tuple[str, bytes] | None = None, **fields: str) -> httpx.Response:
    """Send the first step, and follow to the second one."""
    page = visit(http, NEW)
    data = {"csrf": page.field("csrf"), "text": text, **fields}
    files = {"file": file if file is not None else ("", b"")}
    headers = {"origin": str(http.base_url).rstrip("/"), **HTML}
    response = http.post(f"{NEW}/input", data=data, files=files, headers=headers)
    return http.get(response.headers["location"], headers=HTML) if response.is_redirect else response


def submit(http: httpx.Client, page: Page, *, follow: bool = False, **fields: Any) -> httpx.Response:
    own = {name: page.field(name) for name in ("input", "from", "found", "id", "name") if name in page.fields}
    return send(http, NEW, page, follow=follow, **{**own, "target": "qiosk.auto", **fields})


def jobs_of(memory: MemoryParts) -> list[JobView]:
    return list(memory.jobs(KEY).page(JobQuery()).items)


def chosen(page: Page) -> str:
    return next(str(tag["value"]) for name, tag in page.tags if tag.get("type") == "radio" and "checked" in tag)


def values(page: Page) -> dict[str, str]:
    return {name: found[0] for name, found in page.fields.items() if name.startswith("p.") and found[0]}


def test_a_problem_is_described_and_submitted_with_what_was_entered(http: httpx.Client, memory: MemoryParts) -> None:
    page = Page(give(http, QUBO).text)
    assert "Variables3" in page.text.replace(" ", "")
    assert "qubo" in page.text
    session = memory.jobs(KEY).sessions.open(OpenSession(name="mine", provider_id="qiosk", target="qiosk.auto"))
    entered = {
        "target": "microsoft.substochasticmontecarlo.cpu",
        "name": HOSTILE,
        "tags": "red, and blue\r\n\r\n green ",
        "priority": "High",
        "session": session.id,
        "limit": "2.5",
        "p.step_limit": "100",
        "p.beta.type": "linear",
        "p.beta.initial": "0",
        "p.beta.final": "1e-3",
        "p.seed": "-7",
    }
    response = submit(http, page, **entered)
    (job,) = jobs_of(memory)
    assert response.headers["location"] == f"/ui/w/{KEY}/jobs/{job.id}"
    beta = {"type": "linear", "initial": 0, "final": 1e-3}
    assert job.input_params == {"params": {"step_limit": 100, "beta": beta, "seed": -7, "timeout": 2.5}}
    assert (job.target, job.provider_id) == ("microsoft.substochasticmontecarlo.cpu", "Microsoft")
    assert (job.name, job.tags, job.priority) == (HOSTILE, ("red, and blue", "green"), "High")
    assert job.session_id == session.id
    assert job.input_data_uri.endswith(f"job-{job.id}/inputData")
    stored = registry.read(memory.jobs(KEY).get_blob(f"job-{job.id}", "inputData"), job.input_data_format)
    assert stored.coefficients.tolist() == read_file("a.qubo", QUBO.encode()).coefficients.tolist()


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_is_read(http: httpx.Client, memory: MemoryParts, form: Any, packed: bool) -> None:
    problem = read_file("a.qubo", QUBO.encode())
    pairs = b"3 3\n1 2 1\n2 3 -2\n1 3 4\n"
    content = pairs if form.name in ("rudy", "biqmac") else write_file(f"a{form.suffixes[0]}", problem)
    data = gzip.compress(content) if packed else content
    response = give(http, file=(f"a{form.suffixes[0]}{'.gz' if packed else ''}", data))
    assert response.status_code == 200, response.text
    assert form.name in Page(response.text).text
    assert submit(http, Page(response.text)).status_code == 303
    assert jobs_of(memory)[0].name == "a"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.file)
def test_every_example_is_taken(http: httpx.Client, memory: MemoryParts, example: Any) -> None:
    assert example.about in visit(http, NEW).text
    page = Page(give(http, example=example.file).text)
    assert "Step 2" in page.text
    assert submit(http, page).status_code == 303


def test_protobuf_in_an_archive_is_recognised(http: httpx.Client) -> None:
    problem = Problem("archived", content_type=ContentType.protobuf)
    problem.add_terms(coefficients=[1.0, 2.0], ids=[[0, 1], [1, 2]])
    response = give(http, file=("upload", problem.to_blob()))
    assert "Step 2" in Page(response.text).text


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("", {}, "there is no problem"),
        ("   \n ", {}, "there is no problem"),
        ("what is this", {}, "format cannot be detected"),
        ("3 1\n1 2 x\n", {"form": "rudy"}, "rudy: line 2"),
        ("3 3\n1 1 5\n1 2 -3\n3 3 1\n", {}, "name the format"),
        ('{"cost_function": {"terms": [{"c": 1e999, "ids": [0]}]}}', {}, "term"),
        (LP, {}, "constraints"),
        (LP, {"penalty": "much"}, "penalty: must be a number, found 'much'"),
        (LP, {"penalty": "-1"}, "penalty: must be greater than 0"),
        (LP, {"penalty": "nan"}, "penalty: must be a number"),
        (LP, {"grid": "fine"}, "grid: must be a number"),
        (QUBO, {"instance": "2"}, "instance: files of format qubo have one problem each"),
        (ORLIB, {}, "orlib: the file has 2 instances"),
        (ORLIB, {"instance": "3"}, "orlib: instance must be from 1 to 2, found 3"),
        (ORLIB, {"instance": "second"}, "instance: must be a whole number, found 'second'"),
        (QUBO, {"form": HOSTILE}, "file format: must be one of"),
        (QUBO, {"example": HOSTILE}, "example: must be one of"),
    ],
)
def test_a_wrong_problem_is_refused_and_its_text_is_kept(
    http: httpx.Client, memory: MemoryParts, text: str, fields: dict[str, str], message: str
) -> None:
    response = give(http, text, **fields)
    page = Page(response.text)
    assert response.status_code == 400
    assert message in page.text
    assert text.strip() in page.text.replace("\r", "") or not text.strip() or " ".join(text.split()) in page.text
    assert page.inline == []
    assert memory.storage.blobs(KEY).containers() == []


def test_constraints_become_penalties(http: httpx.Client) -> None:
    page = Page(give(http, LP, penalty="auto").text)
    assert "1 constraint is held by penalties" in page.text


def test_problems_of_a_file_are_told_apart_by_their_number(http: httpx.Client) -> None:
    assert "Variables3" in Page(give(http, ORLIB, instance="2").text).text.replace(" ", "")
    continuous = LP.replace("binary\n x y", "bounds\n x <= 1\n y <= 1")
    assert give(http, continuous, penalty="auto").status_code == 400
    assert give(http, continuous, penalty="auto", grid="0.5").status_code == 200


def test_names_of_files_are_names_of_jobs(http: httpx.Client) -> None:
    assert doctest.testmod(inputs).failed == 0
    for name, expected in (
        ("../../etc/G 43.qubo.gz", "G 43"),
        ("\N{SNOWMAN}.qubo", "\N{SNOWMAN}"),
        (".qubo", "problem"),
        ("<b>.qubo", "<b>"),
        ("x" * 500 + ".qubo", "x" * 60),
    ):
        page = Page(give(http, file=(name, QUBO.encode())).text)
        assert page.field("name") == expected


def test_bombs_and_large_files_are_refused(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs.Reading.convert, "__defaults__", (10_000,))
    bomb = gzip.compress(b"p qubo 0 1 1 0\n0 0 1\n" + b"c\n" * 10_000)
    assert "larger than the limit of 10000 bytes" in Page(give(http, file=("a.qubo.gz", bomb)).text).text
    buffer = io.BytesIO()
    many = np.zeros(100_000)
    np.savez_compressed(buffer, format="qiosk.columns", version=1, type="ising", coefficients=many, ids=many, degree=1)
    for name in ("a.npz", "a.json", "a"):
        assert "limit of 10000" in Page(give(http, file=(name, buffer.getvalue())).text).text
    page = visit(http, NEW)
    assert send(http, f"{NEW}/input", page, text="x" * 34_000_000).status_code == 413


def test_the_largest_blob_of_the_settings_is_the_largest_upload(memory: MemoryParts) -> None:
    with serving(memory.parts, max_blob_bytes=1024) as http:
        assert "At most 1.02 kB" in visit(http, NEW).text
        response = give(http, QUBO + "c\n" * 1000)
        assert response.status_code == 413
        assert "must have at most 1024 bytes" in Page(response.text).text


def test_large_files_with_constraints_are_refused(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MAX_MODEL_BYTES", 20)
    response = give(http, file=("a.lp.gz", gzip.compress(LP.encode())), penalty="auto")
    assert response.status_code == 400
    assert "of at most 20 bytes become penalties here" in Page(response.text).text


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "text/plain", ""])
def test_bodies_that_are_no_forms_are_refused(http: httpx.Client, content_type: str) -> None:
    token = visit(http, NEW).field("csrf")
    headers = {"origin": str(http.base_url).rstrip("/"), "content-type": content_type, "x-csrf": token, **HTML}
    response = http.post(f"{NEW}/input", content=b"\xff--y\r\n\r\n{", headers=headers)
    assert response.status_code == 400
    assert Page(response.text).inline == []


def test_a_text_of_any_bytes_is_refused_or_read(http: httpx.Client) -> None:
    for text in ("\x00\x01", "\N{SNOWMAN}" * 100, "{" * 100_000, "9" * 100_000, "p qubo 0 99999999999999999999 1 1\n"):
        assert give(http, text).status_code == 400


def test_a_quota_of_bytes_refuses_the_upload(memory: MemoryParts) -> None:
    tight = MemoryParts(stored_bytes=1000)
    with serving(tight.parts) as http:
        response = give(http, QUBO)
        assert response.status_code == 429
        assert "bytes" in Page(response.text).text


def test_quotas_that_will_refuse_or_end_the_job_are_named() -> None:
    memory = MemoryParts(queued_jobs=1, run_seconds=5)
    with serving(memory.parts) as http:
        memory.jobs(KEY).submit(SubmitJob(name="a", provider_id="qiosk", target="qiosk.auto", input_data=b"{}"))
        page = Page(give(http, QUBO).text)
        assert "The queue of the workspace is full" in page.text
        assert "run 5 s at most" in page.text
        refused = submit(http, page, name="kept")
        assert refused.status_code == 429
        assert Page(refused.text).field("name") == "kept"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"p.seed": "x"}, "parameter `seed`: must be an integer, found str 'x'"),
        ({"limit": "-1"}, "parameter `timeout`: must be at least 0, found -1.0"),
        ({"name": "x" * 2000}, "name: must have at most 1024 characters"),
        ({"tags": "x" * 9000}, "tags: must have at most"),
        ({"priority": "Urgent"}, "priority: must be one of Standard, High, found 'Urgent'"),
        ({"session": "nothing"}, "nothing"),
        ({"session": HOSTILE}, "was not found"),
        ({"target": "microsoft.populationannealing.cpu", "p.beta.type": "linear"}, "must have `initial`"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept(
    http: httpx.Client, memory: MemoryParts, fields: dict[str, str], message: str
) -> None:
    response = submit(http, Page(give(http, QUBO).text), **{"p.gap": "0.5", **fields})
    page = Page(response.text)
    assert response.status_code in (400, 404)
    assert message in page.text
    assert page.inline == []
    assert any(tag.get("aria-invalid") == "true" for _, tag in page.tags)
    assert chosen(page) == fields.pop("target", "qiosk.auto")
    for name, text in {"p.gap": "0.5", **fields}.items():
        assert text in page.fields.get(name, [page.text])[0]
    assert jobs_of(memory) == []


def test_the_url_contains_what_was_entered(http: httpx.Client) -> None:
    page = Page(give(http, QUBO).text)
    shown = submit(http, page, action="show", target="microsoft.tabu.cpu", **{"p.sweeps": "5", "p.seed": ""}, name="n")
    query = parse_qs(urlsplit(shown.headers["location"]).query)
    assert query == {"input": [page.field("input")], "target": ["microsoft.tabu.cpu"], "p.sweeps": ["5"], "name": ["n"]}
    again = visit(http, shown.headers["location"])
    assert (chosen(again), again.field("p.sweeps"), again.field("name")) == ("microsoft.tabu.cpu", "5", "n")
    assert "p.tabu_tenure" in again.fields


def test_a_fragment_replaces_the_url_and_reads_no_problem(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(give(http, QUBO).text)
    monkeypatch.setattr(inputs, "read", None)
    path = f"{NEW}?input={page.field('input')}&target=1qbit.tabu&p.seed=3&name=problem&csrf=no"
    response = http.get(path, headers={**HTML, "hx-request": "true"})
    assert response.headers["hx-replace-url"] == f"{NEW}?input={page.field('input')}&target=1qbit.tabu&p.seed=3"
    assert "p.improvement_cutoff" in Page(response.text).fields


def test_terms_that_a_target_does_not_take_are_named(http: httpx.Client) -> None:
    document = {"cost_function": {"type": "pubo", "version": "1.0", "terms": [{"c": 1, "ids": [0, 1, 2]}]}}
    page = Page(give(http, json.dumps(document)).text)
    assert "Not for this problem, whose terms have up to 3 variables" in page.text
    assert "Not for this problem" not in Page(give(http, QUBO).text).text


def test_a_form_that_is_sent_twice_makes_one_job_and_a_changed_one_another(
    http: httpx.Client, memory: MemoryParts
) -> None:
    page = Page(give(http, QUBO).text)
    first, second, third = (submit(http, page, **{"p.seed": seed}) for seed in ("1", "1", "2"))
    assert first.headers["location"] == second.headers["location"] != third.headers["location"]
    assert len(jobs_of(memory)) == 2
    assert visit(http, f"{NEW}?input={page.field('input')}").field("id") != page.field("id")


def test_a_job_is_submitted_again_with_what_it_had(http: httpx.Client, memory: MemoryParts) -> None:
    page = Page(give(http, QUBO).text)
    submit(http, page, target="microsoft.tabu.cpu", tags="red", limit="3", name="first", **{"p.sweeps": "50"})
    (first,) = jobs_of(memory)
    again = visit(http, f"{NEW}?from={first.id}&p.seed=9")
    assert (chosen(again), values(again)) == ("microsoft.tabu.cpu", {"p.sweeps": "50", "p.seed": "9"})
    assert (again.field("name"), again.field("limit")) == ("first", "3")
    own = {name: again.field(name) for name in ("p.sweeps", "p.seed", "limit")}
    submit(http, again, target="microsoft.tabu.cpu", tags="red", **own)
    second = next(job for job in jobs_of(memory) if job.id != first.id)
    assert second.input_params == {"params": {"sweeps": 50, "seed": 9, "timeout": 3.0}}
    assert second.input_data_uri == first.input_data_uri
    assert second.tags == ("red",)


def test_a_job_that_cannot_be_read_is_shown_nevertheless(http: httpx.Client, memory: MemoryParts) -> None:
    command = SubmitJob(
        name=HOSTILE, provider_id="qiosk", target="qiosk.auto", input_data=b"nonsense", input_params=[3]
    )
    job = memory.jobs(KEY).submit(command)
    page = visit(http, f"{NEW}?from={job.id}")
    assert "cannot be read" in page.text
    assert page.inline == []
    visit(http, f"{NEW}?from={job.id}&found=1", status=404)


@pytest.mark.parametrize("query", ["from=nothing", "input=nothing", "input=../../etc", "input=", "from="])
def test_what_does_not_exist_is_not_found(http: httpx.Client, query: str) -> None:
    visit(http, f"{NEW}?{query}", status=404)


def test_unknown_targets_are_refused(http: httpx.Client) -> None:
    page = Page(give(http, QUBO).text)
    visit(http, f"{NEW}?input={page.field('input')}&target=nothing", status=400)


def test_an_upload_of_another_workspace_is_not_found(http: httpx.Client) -> None:
    draft = Page(give(http, QUBO).text).field("input")
    visit(http, f"/ui/w/another/one/here/new?input={draft}", status=404)
    visit(http, f"{NEW}?input={draft}")


def test_a_key_for_reading_only_is_told_so_and_stores_nothing(http: httpx.Client, memory: MemoryParts) -> None:
    key = KeyService(memory.keys, memory.clock).create("reader", workspace=KEY, is_read_only=True)[1]
    sign_in(http, key)
    page = visit(http, NEW, status=403)
    assert "for reading only" in page.text
    token = visit(http, f"/ui/w/{KEY}/jobs")
    for path in (NEW, f"{NEW}/input"):
        assert send(http, path, token, text=QUBO, input="x").status_code == 403
    assert memory.storage.blobs(KEY).containers() == []


def test_inputs_that_no_job_uses_are_removed_after_a_day(http: httpx.Client, memory: MemoryParts) -> None:
    kept, dropped = (Page(give(http, QUBO).text).field("input") for _ in range(2))
    submit(http, visit(http, f"{NEW}?input={kept}"))
    blob = BlobRef(f"job-{dropped}", "inputData")
    later = memory.storage.blobs(KEY).properties(blob).modified_at + timedelta(days=2)
    prune(timedelta(days=30), now=later, jobs=memory.store, sessions=memory.session_store, storage=memory.storage)
    visit(http, f"{NEW}?input={kept}")
    assert "no longer stored" in visit(http, f"{NEW}?input={dropped}", status=404).text


def test_large_inputs_are_not_described(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = Page(give(http, QUBO).text).field("input")
    monkeypatch.setattr("qiosk.dashboard.new_job.inputs.MAX_UPLOAD_BYTES", 10)
    assert "too large to be described" in visit(http, f"{NEW}?input={draft}").text
    monkeypatch.undo()
    monkeypatch.setattr("qiosk.dashboard.new_job.problems.MOST_TERMS", 1)
    assert "too large to be described" in visit(http, f"{NEW}?input={draft}").text


def test_columns_and_documents_are_stored_as_they_are(http: httpx.Client, memory: MemoryParts) -> None:
    document = json.dumps({"cost_function": {"type": "ising", "version": "1.0", "terms": [{"c": 1, "ids": [0, 1]}]}})
    arrays = columns.write(read_file("a.qubo", QUBO.encode()))
    for data in (gzip.compress(document.encode()), arrays):
        draft = Page(give(http, file=("a", data)).text).field("input")
        assert memory.jobs(KEY).get_blob(f"job-{draft}", "inputData") == data

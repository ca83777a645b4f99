"""The page of a job: what it shows, what it allows, and its downloads."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pages import HOSTILE, HTML, KEY, PLACE, Page, send, sign_in, visit
from qiosk import Problem
from qiosk.dashboard.job.documents import Documents
from qiosk.formats.files import FORMATS, read_file
from qiosk.formats.qio.json_codec import write
from qiosk.modeling import Model
from qiosk.service.accounts.keys import KeyService
from qiosk.supervisor.processes.solver_runner import run as run_solver
from servers import MemoryParts


def run(memory: MemoryParts, order: Any, **members: Any) -> str:
    """A job that has ended."""
    job_id = memory.submit(order=order, **{"workspace": KEY, **members})
    memory.run(KEY)
    return job_id


def solved(memory: MemoryParts, problem: Problem, **members: Any) -> str:
    """A job that a real solver has solved."""
    memory.runner = run_solver
    return run(memory, write(problem.cost_function()), input_params={"params": {"seed": 1}}, **members)


def knapsack() -> Problem:
    model = Model("knapsack")
    take = model.bits("take", ["lamp", "rope", "tent"])
    model.maximize(6 * take["lamp"] + 5 * take["rope"] + 9 * take["tent"])
    model.add(2 * take["lamp"] + 3 * take["rope"] + 4 * take["tent"] <= 6, "capacity")
    return model.problem()


def actions(page: Page) -> set[str | None]:
    return {given.get("value") for tag, given in page.tags if tag == "button" and given.get("name") == "action"}


def test_a_waiting_job_can_be_cancelled(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = memory.submit(workspace=KEY, tags=("red",), metadata={"who": "me"})
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    assert "Waiting" in page.text
    assert "No solution yet" in page.text
    assert f"{PLACE}/jobs?tag=red" in page.links
    assert "whome" in page.text.replace(" ", "")
    assert actions(page) == {"cancel", "rerun", "delete"}
    answer = send(http, f"{PLACE}/jobs/{job_id}", page, action="cancel")
    assert "Cancelled" in Page(answer.text).text
    assert memory.jobs(KEY).get(job_id).status == "Cancelled"


def test_a_job_that_has_run_shows_its_convergence(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = run(memory, {"chunks": 30, "bounds": [[0.0, -90.0]]})
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    assert "30 improvements: from" in page.text
    assert "to −30" in page.text
    assert "sse-connect" not in page.source
    curves = http.get(f"{PLACE}/jobs/{job_id}/trace.json?points=100").json()
    assert curves["points"] == 30
    assert curves["costs"][-1] == -30
    assert curves["bounds"][-1] == -90
    assert {len(curves[name]) for name in ("seconds", "sweeps", "costs", "bounds")} == {len(curves["seconds"])}
    few = http.get(f"{PLACE}/jobs/{job_id}/trace.json?points=2&time=log").json()
    assert len(few["seconds"]) <= 9
    csv = http.get(f"{PLACE}/jobs/{job_id}/trace.csv")
    assert csv.text.splitlines()[:2] == ["seconds,sweep,cost", "0.01,1,-1.0"]
    assert len(csv.text.splitlines()) == 31


@pytest.mark.parametrize("points", ["0", "-1", "x", "5000", "9" * 30])
def test_a_wrong_width_of_the_chart_is_refused(http: httpx.Client, memory: MemoryParts, points: str) -> None:
    job_id = memory.submit(workspace=KEY)
    assert http.get(f"{PLACE}/jobs/{job_id}/trace.json?points={points}").status_code == 400


def test_results_that_are_none_are_said_to_be_so(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = run(memory, {"chunks": 1})
    assert "cannot be shown" in visit(http, f"{PLACE}/jobs/{job_id}").text
    visit(http, f"{PLACE}/jobs/{job_id}/values", status=400)


def test_a_failed_job_tells_why_and_where_that_is_explained(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = run(memory, {"do": "refuse"}, name=HOSTILE)
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    assert "AZQ107" in page.text
    assert "must be greater than 0" in page.text
    assert "/ui/errors#InvalidValue" in page.links
    errors = visit(http, "/ui/errors")
    assert any(given.get("id") == "InvalidValue" for _, given in errors.tags)


def test_a_real_run_shows_its_solutions_values_and_statistics(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = solved(memory, knapsack())
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    for text in ("all hold", "optimal", "Stop reason", "Objective 15", "Versions", "Seed 1"):
        assert text in page.text, text
    assert "capacity" in page.text
    assert "holds" in page.text
    names = visit(http, f"{PLACE}/jobs/{job_id}/values?q=ROPE")
    assert "take[rope] 0" in names.text
    assert "take[lamp]" not in names.text
    ids = visit(http, f"{PLACE}/jobs/{job_id}/values?by=id&q=0,1")
    assert "2 variables, page 1 of 1" in ids.text
    image = http.get(f"{PLACE}/jobs/{job_id}/values.png")
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    for query in ("solution=7", "value=3&by=id", "page=x", "q=abc&by=id"):
        visit(http, f"{PLACE}/jobs/{job_id}/values?{query}", status=400)


def test_downloads_are_attachments_with_safe_names(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = solved(memory, knapsack(), name='bad "name"\r\n')
    for file, start in [
        ("results.json", b"{"),
        ("solutions.csv", b"cost,0,1,2"),
        ("trace.csv", b"seconds,sweep,cost\n"),
        ("log.txt", b"20"),
        ("problem", b"{"),
    ]:
        answer = http.get(f"{PLACE}/jobs/{job_id}/{file}", headers=HTML)
        assert answer.status_code == 200, file
        assert answer.content.startswith(start)
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith(f'attachment; filename="bad-name-{job_id[:8]}-')
        assert disposition.isprintable()
        assert "script-src" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_problem_is_converted_or_the_reason_shown(http: httpx.Client, memory: MemoryParts, form: Any) -> None:
    problem = Problem("pair", problem_type="pubo")
    for coefficient, ids in [(1, [0, 1]), (-2, [1]), (4, [0])]:
        problem.add_term(coefficient, ids)
    job_id = run(memory, write(problem.cost_function()))
    answer = http.get(f"{PLACE}/jobs/{job_id}/problem?format={form.name}", headers=HTML)
    if answer.status_code == 200:
        assert read_file(f"x{form.suffixes[0]}", answer.content, form.name).n_terms > 0
        assert answer.headers["content-disposition"].endswith(f'-problem{form.suffixes[0]}"')
    else:
        assert answer.status_code == 400
        assert len(Page(answer.text).text) > 20


def test_a_problem_that_cannot_be_read_is_given_as_it_is_but_not_converted(
    http: httpx.Client, memory: MemoryParts
) -> None:
    job_id = memory.submit(workspace=KEY, order=b"no problem at all")
    assert http.get(f"{PLACE}/jobs/{job_id}/problem").content == b"no problem at all"
    assert "JSON is malformed" in visit(http, f"{PLACE}/jobs/{job_id}/problem?format=qubo", status=400).text
    assert "file format" in visit(http, f"{PLACE}/jobs/{job_id}/problem?format=exe", status=400).text


@pytest.mark.parametrize("file", ["results.json", "receipt.npz", "solutions.csv", "values", "values.png"])
def test_what_a_job_does_not_have_is_not_found(http: httpx.Client, memory: MemoryParts, file: str) -> None:
    job_id = memory.submit(workspace=KEY)
    assert http.get(f"{PLACE}/jobs/{job_id}/{file}", headers=HTML).status_code == 404


@pytest.mark.parametrize("file", ["", "/values", "/trace.json", "/problem", "/results.json", "/log.txt", "/values.png"])
@pytest.mark.parametrize("job_id", ["unknown", "%2e%2e", "x" * 500])
def test_unknown_jobs_are_not_found(http: httpx.Client, file: str, job_id: str) -> None:
    assert visit(http, f"{PLACE}/jobs/{job_id}{file}", status=404).text


def test_another_workspaces_job_is_shown_nowhere(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = memory.submit(name="secret", workspace="another/one/here")
    sign_in(http, KeyService(memory.keys, memory.clock).create("tester", workspace=KEY)[1])
    for file in ("", "/values", "/problem", "/trace.json"):
        assert "secret" not in visit(http, f"/ui/w/another/one/here/jobs/{job_id}{file}", status=403).text
        assert "secret" not in visit(http, f"{PLACE}/jobs/{job_id}{file}", status=404).text
    page = visit(http, f"{PLACE}/jobs")
    assert send(http, f"{PLACE}/jobs/{job_id}", page, action="delete").status_code == 404
    assert memory.jobs("another/one/here").get(job_id).name == "secret"


def test_a_key_for_reading_changes_nothing(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = memory.submit(workspace=KEY)
    sign_in(http, KeyService(memory.keys, memory.clock).create("tester", workspace=KEY, is_read_only=True)[1])
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    assert actions(page) == set()
    assert not any("/new" in link for link in page.links)
    for action in ("cancel", "delete", "rerun", "extend"):
        answer = send(http, f"{PLACE}/jobs/{job_id}", visit(http, "/ui/sign-in"), action=action, timeout="1")
        assert answer.status_code == 403
    assert memory.jobs(KEY).get(job_id).status == "Waiting"


def test_hostile_texts_stay_texts(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = run(
        memory,
        {"log": HOSTILE, "do": "bug"},
        name=HOSTILE,
        tags=("<b>", "x" * 3000),
        metadata={HOSTILE: HOSTILE, "rerunOf": "javascript:alert(1)", "long": "y" * 10_000},
        input_params={HOSTILE: HOSTILE},
    )
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    assert page.inline == []
    assert "alert(1)" in page.text
    assert "{{7*7}}" in page.text
    assert not any("javascript:" in link for link in page.links)
    assert "y" * 2000 not in page.text


def test_a_job_is_run_again_with_another_seed_and_the_same_input(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = memory.submit(workspace=KEY, tags=("red",), input_params={"params": {"seed": 1, "timeout": 5}})
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    fields = {"action": "rerun", "new_id": page.field("new_id")}
    first = send(http, f"{PLACE}/jobs/{job_id}", page, follow=False, **fields).headers["location"]
    assert send(http, f"{PLACE}/jobs/{job_id}", page, follow=False, **fields).headers["location"] == first
    jobs = memory.jobs(KEY)
    new, old = jobs.get(first.rpartition("/")[2]), jobs.get(job_id)
    assert new.id != old.id
    assert new.input_data_uri == old.input_data_uri
    assert (new.name, new.target, new.tags) == (old.name, old.target, old.tags)
    assert new.input_params["params"]["timeout"] == 5
    assert new.input_params["params"]["seed"] != 1


def test_a_cancelled_job_is_extended(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = run(memory, {"chunks": 300, "ends": "timeout"})
    job = memory.jobs(KEY).get(job_id)
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    assert ("extend" in actions(page)) == job.can_extend
    for timeout in ("", "-1", "nan", "x"):
        answer = send(http, f"{PLACE}/jobs/{job_id}", page, action="extend", timeout=timeout)
        assert answer.status_code == 400
    answer = send(http, f"{PLACE}/jobs/{job_id}", page, action="extend", timeout="5", new_id=page.field("new_id"))
    assert answer.status_code == (200 if job.can_extend else 409)
    if job.can_extend:
        assert f"{PLACE}/jobs/{job_id}" in Page(answer.text).links


def test_a_job_is_deleted(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = memory.submit(workspace=KEY)
    page = visit(http, f"{PLACE}/jobs/{job_id}")
    assert "No jobs yet" in Page(send(http, f"{PLACE}/jobs/{job_id}", page, action="delete").text).text
    visit(http, f"{PLACE}/jobs/{job_id}", status=404)
    assert send(http, f"{PLACE}/jobs/{job_id}", page, action="explode").status_code == 400


def test_results_that_are_too_large_are_only_downloaded(
    http: httpx.Client, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = solved(memory, knapsack())
    monkeypatch.setattr("qiosk.dashboard.job.documents.MAX_READ_BYTES", 100)
    assert "pages show at most 100 bytes" in visit(http, f"{PLACE}/jobs/{job_id}").text
    visit(http, f"{PLACE}/jobs/{job_id}/values", status=400)
    assert http.get(f"{PLACE}/jobs/{job_id}/results.json").json()["cost"] == -15


def test_a_problem_that_is_too_large_is_not_converted(
    http: httpx.Client, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = memory.submit(workspace=KEY, order=write(knapsack().cost_function()))
    monkeypatch.setattr("qiosk.dashboard.job.problems.MAX_UPLOAD_BYTES", 10)
    assert "qiosk convert" in visit(http, f"{PLACE}/jobs/{job_id}/problem?format=qubo", status=400).text
    assert http.get(f"{PLACE}/jobs/{job_id}/problem").status_code == 200


def test_documents_are_kept_until_others_need_their_room(memory: MemoryParts, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [solved(memory, knapsack(), name=name) for name in ("one", "other")]
    documents, jobs = Documents(), memory.jobs(KEY)
    first = documents.read(KEY, jobs, ids[0])
    assert documents.read(KEY, jobs, ids[0]) is first
    monkeypatch.setattr("qiosk.dashboard.job.documents.KEPT_BYTES", 10)
    second = documents.read(KEY, jobs, ids[1])
    assert documents.read(KEY, jobs, ids[1]) is second
    assert documents.read(KEY, jobs, ids[0]) is not first


@pytest.mark.parametrize(
    "document",
    [
        b"no JSON",
        b"[]",
        b'{"solutions": []}',
        b'{"solutions": [], "model": {"values": 1}, "violated": 7, "bound": "x"}',
        b'{"solutions": [{"cost": 1, "configuration": {"0": 1}}], "bound": {"value": "x", "gap": []}, "model": []}',
        b'{"solutions": [{"cost": 1e999, "configuration": {}}]}',
        b'{"solutions": [{"cost": 2, "configuration": {}}]}',
    ],
)
def test_results_that_were_overwritten_do_no_harm(http: httpx.Client, memory: MemoryParts, document: bytes) -> None:
    job_id = run(memory, {"chunks": 1})
    jobs = memory.jobs(KEY)
    container, name = jobs.locate(jobs.get(job_id).output_data_uri or "")
    jobs.put_blob(container, name, document)
    visit(http, f"{PLACE}/jobs/{job_id}")
    for file in ("values", "values.png", "solutions.csv"):
        assert http.get(f"{PLACE}/jobs/{job_id}/{file}", headers=HTML).status_code in (200, 400)


@pytest.mark.parametrize("name", ["", " \N{NO-BREAK SPACE}"])
def test_a_job_without_a_name_can_be_opened(http: httpx.Client, memory: MemoryParts, name: str) -> None:
    job_id = memory.submit(workspace=KEY, name=name)
    assert "without a name" in visit(http, f"{PLACE}/jobs").text
    assert f"{job_id} Waiting" in visit(http, f"{PLACE}/jobs/{job_id}").text

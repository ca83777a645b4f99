"""The page that compares jobs: what it shows, in words and numbers, and what it does with wrong ids."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest

from pages import HOSTILE, HTML, KEY, PLACE, Page, send, sign_in, visit
from qiosk import Problem
from qiosk.formats.qio.json_codec import write
from qiosk.service.accounts.keys import KeyService
from qiosk.supervisor.processes.solver_runner import run as run_solver
from servers import MemoryParts


def run(memory: MemoryParts, order: Any, **members: Any) -> str:
    """A job that has ended."""
    job_id = memory.submit(order=order, **{"workspace": KEY, **members})
    memory.run(KEY)
    return job_id


def ring(weight: float = 1.0) -> bytes:
    problem = Problem("ring")
    problem.add_terms(coefficients=[weight] * 40, ids=[[k, (k + 1) % 40] for k in range(40)])
    return write(problem.cost_function())


def solved(memory: MemoryParts, seed: int, data: bytes, **params: Any) -> str:
    memory.runner = run_solver
    given = {"sweeps": 20, "seed": seed, **params}
    target = {"provider_id": "microsoft", "target": "microsoft.tabu.cpu"}
    return run(memory, data, name=f"seed {seed}", input_params={"params": given}, **target)


def compare(http: httpx.Client, *ids: str, more: str = "", status: int = 200) -> Page:
    return visit(http, f"{PLACE}/compare?{'&'.join(f'job={each}' for each in ids)}{more}", status=status)


def test_the_list_leads_to_the_comparison(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [run(memory, {"chunks": 3}, name=f"job {k}") for k in range(2)]
    answer = send(http, f"{PLACE}/jobs", visit(http, f"{PLACE}/jobs"), action="compare", selected=ids)
    page = Page(answer.text)
    assert "Comparison of 2 jobs" in page.text
    assert "job 0" in page.text
    assert f"{PLACE}/jobs/{ids[1]}" in page.links
    assert "sse-connect" not in page.source


def test_jobs_of_one_problem_have_a_profile(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [solved(memory, seed, ring()) for seed in (1, 2, 3)]
    page = compare(http, *ids)
    assert "Success profile of jobs 1, 2 and 3" in page.text
    assert "1 of 3 (33.3 %)" in page.text
    assert "different problems" not in page.text
    assert "finished" in page.text
    differing = compare(http, *ids, more="&rows=differing")
    assert "sweeps" in page.text
    assert "Processor" in page.text
    assert "Processor" not in differing.text
    assert "Seed ≠" in differing.text


def test_different_problems_are_said_to_be_so_and_shown(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [solved(memory, 1, ring()), solved(memory, 1, ring(2.0)), memory.submit(workspace=KEY)]
    page = compare(http, *ids)
    assert "These jobs solve 2 different problems" in page.text
    assert "job 1; job 2" in page.text
    assert "not known whether job 3" in page.text
    assert "Success profile" not in page.text
    assert "sse-connect" in page.source


def test_the_choices_are_in_the_url_of_every_link(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [run(memory, {"chunks": 3}) for _ in range(3)]
    page = compare(http, *ids, more="&axis=sweeps&scale=log")
    pressed = {given.get("value") for tag, given in page.tags if tag == "button" and given.get("aria-pressed")}
    assert {"sweeps", "log", "all"} <= pressed
    removed = f"{PLACE}/compare?job={ids[0]}&job={ids[2]}&axis=sweeps&scale=log"
    assert [
        link
        for link in page.links
        if set(link.partition("?")[2].split("&")) == set(removed.partition("?")[2].split("&"))
    ]
    assert page.fields["job"][:3] == ids
    charts = [given for _, given in page.tags if given.get("id") == "chart"]
    assert charts[0]["data-axis"] == "sweeps"
    traces = [given["data-trace"] for _, given in page.tags if "data-trace" in given]
    for trace in traces:
        assert len(http.get(trace or "").json()["costs"]) == 3


@pytest.mark.parametrize("query", ["axis=x", "scale=cubic", "rows=none"])
def test_a_wrong_choice_is_named(http: httpx.Client, query: str) -> None:
    assert query.partition("=")[0] in compare(http, "a", "b", more=f"&{query}", status=400).text


def test_unknown_and_deleted_jobs_are_named_and_the_others_shown(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [run(memory, {"chunks": 3}, name=f"job {k}") for k in range(2)]
    elsewhere = memory.submit(name="secret", workspace="another/one/here")
    page = compare(http, *ids, elsewhere, "no%20id%3Cb%3E", "x" * 5000)
    assert "Comparison of 2 jobs" in page.text
    assert f"There is no job {elsewhere}" in page.text
    assert "There is no job no id<b>" in page.text
    assert "secret" not in page.text
    memory.jobs(KEY).delete(ids[0])
    assert "Comparison of 1 job" in compare(http, *ids).text
    assert "Comparison of 0 jobs" in compare(http, "a", "b").text


@pytest.mark.parametrize("count", [0, 1, 9, 200])
def test_too_few_or_too_many_jobs_lead_back_to_the_list(http: httpx.Client, count: int) -> None:
    page = compare(http, *(f"job-{k}" for k in range(count)), status=400)
    assert "A comparison has 2 to 8 jobs" in page.text
    assert "Select more jobs" in page.text if count < 2 else "Select fewer jobs" in page.text
    assert any(link.startswith(f"{PLACE}/jobs") and ("selected=" in link) == (count > 0) for link in page.links)


def test_a_job_given_twice_is_compared_once(http: httpx.Client, memory: MemoryParts) -> None:
    one, other = memory.submit(workspace=KEY), memory.submit(workspace=KEY)
    assert "Comparison of 2 jobs" in compare(http, one, other, one).text
    assert "Select more jobs" in compare(http, one, one, status=400).text


def test_hostile_texts_are_shown_as_texts(http: httpx.Client, memory: MemoryParts) -> None:
    params = {"params": {HOSTILE: HOSTILE, "long": "x" * 10_000}}
    ids = [
        memory.submit(workspace=KEY, name=HOSTILE, input_params=params),
        memory.submit(workspace=KEY, name="y" * 200),
    ]
    page = compare(http, *ids)
    assert page.inline == []
    assert "{{7*7}}" in page.text
    assert len(page.source) < 100_000


def test_tables_are_exported(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [solved(memory, seed, ring()) for seed in (1, 2)]
    page = compare(http, *ids, more="&rows=differing")
    found = {}
    for name in ("results", "settings"):
        link = next(each for each in page.links if f"/compare/{name}.csv" in each)
        answer = http.get(link)
        assert answer.headers["content-disposition"] == f'attachment; filename="comparison-{name}.csv"'
        lines = list(csv.reader(io.StringIO(answer.text, newline="")))
        assert lines[0] == ["section", "property", "differs", *ids]
        found |= {line[1]: line[2:] for line in lines}
    costs = [memory.jobs(KEY).get(job_id).progress.best_cost for job_id in ids]
    assert found["Best cost"] == ["yes" if costs[0] != costs[1] else "no", *map(repr, costs)]
    assert found["Seed"] == ["yes", "1", "2"]
    assert found["sweeps"] == ["no", "20", "20"]
    assert found["Qiosk"][0] == "no"
    assert http.get(f"{PLACE}/compare/settings.csv", headers=HTML).status_code == 400


def test_a_key_of_another_workspace_compares_nothing(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [memory.submit(workspace=KEY) for _ in range(2)]
    sign_in(http, KeyService(memory.keys, memory.clock).create("tester", workspace="another/one/here")[1])
    compare(http, *ids, status=403)

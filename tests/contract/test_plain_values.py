"""What programs may pass in place of plain values and texts: the same in this process and over HTTP."""

from __future__ import annotations

import enum
import sqlite3
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qiosk.client.solvers import SimulatedAnnealing, Solver
from qiosk.client.workspace import Workspace
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery, PatchJob, SubmitJob
from qiosk.contract.sessions import OpenSession
from qiosk.errors import InvalidFilter, InvalidJobDefinition, JobNotFound, SessionNotFound
from served import served

pytestmark = pytest.mark.slow

TARGET = "microsoft.tabu.cpu"
HALF = "a\ud800b"


class Text(str):
    """A text of a program's own class."""


class Real(float):
    """A number of a program's own class."""


class Level(enum.IntEnum):
    """A number with a name."""

    THREE = 3


class Kind(str, enum.Enum):  # noqa: UP042 - str() of it is not its value
    """A text with a name."""

    FAST = "fast"


def command(**members: Any) -> SubmitJob:
    given = {"name": "n", "provider_id": "Microsoft", "target": TARGET, "input_data": b"{}"}
    return SubmitJob(**{**given, **members})


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(1.5), 1.5),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.25), 0.25),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([1.0, 2.0]), [1.0, 2.0]),
        (np.array(7), 7),
        (Real(2.5), 2.5),
        (Text("y"), "y"),
        (Level.THREE, 3),
        (Kind.FAST, "fast"),
        (Fraction(1, 4), 0.25),
        ({np.int64(1): (np.float64(2), [None])}, {"1": [2.0, [None]]}),
    ],
)
def test_values_of_parameters_become_plain(workspace: Workspace, value: Any, plain: Any) -> None:
    by_hand = workspace.submit(command(input_params={"params": {"x": value}}))
    by_solver = Solver(workspace, TARGET, params={"x": value}).submit(b"{}")
    for job in (by_hand, by_solver):
        found = workspace.get_job(job.id).details.input_params["params"]["x"]
        assert found == plain
        assert type(found) is type(plain)


def test_texts_of_any_class_become_plain(workspace: Workspace) -> None:
    job = SimulatedAnnealing(workspace, sweeps=np.int64(10)).submit(
        b"{}",
        name=np.str_("n"),
        tags=np.array(["a", "b"]),
        metadata={np.str_("k"): Text("v")},
        priority=np.str_("High"),
    )
    workspace.api.update(job.id, PatchJob(name=Text("m"), tags=(np.str_("c"),), priority=np.str_("Standard")))
    details = workspace.get_job(np.str_(job.id)).details
    assert (details.name, details.tags, details.metadata, details.priority) == ("m", ("c",), {"k": "v"}, "Standard")
    opened = workspace.api.sessions.open(
        OpenSession(name=np.str_("s"), provider_id=Text("Microsoft"), target=Text(TARGET), tags=(Kind.FAST,))
    )
    assert (opened.name, opened.tags) == ("s", ("fast",))


@pytest.mark.parametrize(
    "members",
    [
        {"name": HALF},
        {"name": "a\0b"},
        {"tags": (HALF,)},
        {"tags": ("a\0b",)},
        {"tags": "abc"},
        {"tags": (1,)},
        {"tags": 5},
        {"metadata": {HALF: "v"}},
        {"metadata": {"k": HALF}},
        {"metadata": {"k": "\0"}},
        {"metadata": {"k": 1}},
        {"metadata": ["k"]},
        {"priority": HALF},
        {"job_type": HALF},
        {"session_id": HALF},
        {"input_data_format": HALF},
        {"output_data_format": None},
        {"id": HALF},
        {"input_params": HALF},
        {"input_params": {"params": {HALF: 1}}},
        {"input_params": [float("nan")]},
        {"input_params": np.array([np.inf])},
        {"input_params": b"bytes"},
        {"input_params": 1j},
        {"input_params": object()},
        {"input_data": "text"},
    ],
)
def test_what_cannot_be_stored_is_refused_at_submission(workspace: Workspace, members: dict[str, Any]) -> None:
    with pytest.raises(InvalidJobDefinition, match=r"^(job )?" + next(iter(members)) + "|^parameter `input_params"):
        workspace.submit(command(**members))
    assert workspace.list_jobs() == []
    if "tags" in members:
        job = workspace.submit(command())
        with pytest.raises(InvalidJobDefinition, match="^tags"):
            workspace.api.update(job.id, PatchJob(tags=members["tags"]))
        with pytest.raises(InvalidJobDefinition, match="^tags"):
            workspace.api.sessions.open(
                OpenSession(name="s", provider_id="Microsoft", target=TARGET, tags=members["tags"])
            )


def test_endless_parameters_are_refused(workspace: Workspace) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidJobDefinition, match="at most 100 deep"):
        workspace.submit(command(input_params={"params": endless}))


def test_texts_that_cannot_be_sent_find_nothing(workspace: Workspace) -> None:
    with pytest.raises(JobNotFound):
        workspace.get_job(HALF)
    with pytest.raises(SessionNotFound):
        workspace.get_session(HALF)
    for query in (JobQuery(name_prefix=HALF), JobQuery(targets=[HALF])):
        with pytest.raises(InvalidFilter, match="Unicode"):
            workspace.api.page(query)
    with pytest.raises(InvalidFilter, match="Unicode"):
        workspace.api.sessions.page(ItemQuery(provider_ids=[HALF]))


def test_a_row_that_cannot_be_read_does_not_block_lists(tmp_path: Path) -> None:
    with Workspace(home=tmp_path) as workspace:
        jobs = [workspace.submit(command()) for _ in range(4)]
        session = workspace.api.sessions.open(OpenSession(name="s", provider_id="Microsoft", target=TARGET))
    path = next(tmp_path.glob("*.db*"))
    with sqlite3.connect(path) as database:
        for job, column, text in zip(
            jobs, ("tags", "metadata", "input_params", "tags"), ('["\\ud800"]', '{"\\udfff": 1}', "{", "7"), strict=True
        ):
            database.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (text, job.id))
        database.execute("UPDATE sessions SET tags = ? WHERE id = ?", ('["\\uD8ff"]', session.id))
    database.close()
    wanted = {job.id for job in jobs}
    with Workspace(home=tmp_path) as workspace:
        assert {job.id for job in workspace.list_jobs()} == wanted
    with served(tmp_path) as server, Workspace(server.url) as workspace:
        assert {job.id for job in workspace.list_jobs()} == wanted
        assert {item.id for item in workspace.list_top_level_items()} == {*wanted, session.id}
        assert workspace.get_job(jobs[0].id).details.tags == ("?",)


@pytest.mark.parametrize(
    ("created_after", "is_found"),
    [
        (datetime.min, True),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), True),
        (datetime.max, False),
        (date.min, True),
        (date.max, False),
        ("2020-01-01", True),
        ("2020-01-01T10:00", True),
        ("2999-01-01T10:00:00+02:00", False),
        ("2999-01-01T10:00:00Z", False),
        (np.datetime64("2020-01-01"), True),
        (np.datetime64("2200-01-01T10:00"), False),
    ],
)
def test_times_of_creation_may_be_written_in_many_ways(
    workspace: Workspace, created_after: Any, is_found: bool
) -> None:
    job = workspace.submit(command())
    assert [found.id for found in workspace.list_jobs(created_after=created_after)] == [job.id] * is_found
    assert [found.id for found in workspace.list_top_level_items(created_after=created_after)] == [job.id] * is_found
    assert job.matches_filter(created_after=created_after) is is_found


@pytest.mark.parametrize("created_after", ["yesterday", "", 5, object()])
def test_what_is_no_time_is_refused(workspace: Workspace, created_after: Any) -> None:
    with pytest.raises(InvalidFilter, match="creation time"):
        workspace.list_jobs(created_after=created_after)
    with pytest.raises(InvalidFilter, match="creation time"):
        workspace.submit(command()).matches_filter(created_after=created_after)

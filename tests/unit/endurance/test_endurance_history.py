"""The endurance run accepts the histories of jobs that the table of states allows, and no others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from endurance.history import Step, faults_of

AT = datetime(2026, 1, 1, tzinfo=UTC)


def steps(*path: str | None, fences: tuple[int, ...] | None = None) -> list[Step]:
    """A history through these states; every claim increases the fence unless ``fences`` are given."""
    found, fence = [], 0
    for number, (before, after) in enumerate(zip((None, *path), path, strict=False)):
        fence += (before, after) == ("Waiting", "Executing")
        found.append(Step(AT, "a", before, after, fence if fences is None else fences[number], "home/worker"))
    return found


@pytest.mark.parametrize(
    ("path", "fence"),
    [
        (("Waiting", "Executing", "Succeeded"), 1),
        (("Waiting", "Executing", "Failed"), 1),
        (("Waiting", "Cancelled"), 0),
        (("Waiting", "Executing", "Cancelling", "Cancelled"), 1),
        (("Waiting", "Executing", "Waiting", "Executing", "Succeeded"), 2),
    ],
)
def test_paths_through_the_table_are_right(path, fence):
    assert list(faults_of(steps(*path), state=path[-1], fence=fence)) == []


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (("Waiting", "Executing"), "reached 0 final states"),
        (("Waiting", "Succeeded"), "no event leads from Waiting to Succeeded"),
        (("Waiting", "Executing", "Succeeded", "Waiting", "Executing", "Succeeded"), "reached 2 final states"),
        (("Waiting", "Executing", "Succeeded", "Cancelled"), "no event leads from Succeeded to Cancelled"),
        (("Waiting", "Executing", "Succeeded", None), "no event leads from Succeeded to None"),
        (("Executing", "Succeeded"), "begins with "),
    ],
)
def test_other_paths_are_wrong(path, fault):
    found = list(faults_of(steps(*path), state=str(path[-1]), fence=1))
    assert [text for text in found if text.startswith(fault)], found


def test_steps_that_are_missing_are_wrong():
    first, _, last = steps("Waiting", "Executing", "Succeeded")
    assert "was Waiting, then Executing" in list(faults_of([first, last], state="Succeeded", fence=1))
    assert list(faults_of([], state="Waiting", fence=0)) == ["has no history"]


def test_a_fence_grows_with_claims_alone():
    path = ("Waiting", "Executing", "Waiting", "Executing", "Succeeded")
    reused = steps(*path, fences=(0, 1, 1, 1, 1))
    assert list(faults_of(reused, state="Succeeded", fence=1)) == ["its fence went from 1 to 1 by claim"]
    skipped = steps(*path, fences=(0, 1, 1, 2, 3))
    assert list(faults_of(skipped, state="Succeeded", fence=3)) == ["its fence went from 2 to 3 by succeed"]


def test_the_row_is_what_the_history_ends_with():
    path = ("Waiting", "Executing", "Succeeded")
    (fault,) = faults_of(steps(*path), state="Failed", fence=1)
    assert fault.startswith("is Failed with fence 1, but its history ends with ")

"""The log of a job: what gets into it, and how it stays small."""

from __future__ import annotations

import logging
import warnings
from datetime import UTC, datetime

import pytest

from claims import claimed, one_waiting_job
from qiosk.contract.jobs import ErrorData
from qiosk.contract.logs import MAX_LINE_CHARS, log_line
from qiosk.errors import ServiceUnavailable
from qiosk.optimization import Problem, SimulatedAnnealing, Term
from qiosk.service.jobs.logs import MAX_WAITING, SENT_PER_S, JobLogHandler, WaitingLines
from qiosk.service.jobs.runs import RunUpdate
from qiosk.testing import ManualClock, MemoryJobStore, MemoryService, failing

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def jobs(clock):
    return one_waiting_job(clock)


def texts(jobs, attempt):
    return [line.text for line in jobs.log(attempt.job.key, 0)]


def test_lines_of_an_attempt_are_stored_with_its_next_report_and_its_end(jobs, clock):
    attempt = claimed(jobs, clock)
    attempt.note(logging.INFO, "one")
    assert texts(jobs, attempt) == []
    attempt.report(RunUpdate(log=(log_line(NOW, logging.INFO, "two"),)))
    attempt.note(logging.WARNING, "three")
    assert attempt.process_lost("killed by SIGSEGV", max_losses=2)
    again = claimed(jobs, clock)
    assert again.fail(ErrorData(code="InternalError", message="m"))
    assert texts(jobs, attempt) == [
        "one",
        "two",
        "three",
        "the job's process was lost: killed by SIGSEGV",
        "attempt 1 ended, the job waits again",
        "attempt 2 ended: Failed: InternalError: m",
    ]


def test_lines_wait_while_the_store_fails(jobs, clock, monkeypatch):
    attempt = claimed(jobs, clock)
    attempt.note(logging.INFO, "one")
    with monkeypatch.context() as patch:

        def fail(*_, **__):
            raise ServiceUnavailable("the database does not answer")

        patch.setattr(MemoryJobStore, "record", fail)
        patch.setattr(MemoryJobStore, "swap", fail)
        with pytest.raises(ServiceUnavailable):
            attempt.report(RunUpdate())
        with pytest.raises(ServiceUnavailable):
            attempt.release()
    assert attempt.has_lines
    attempt.note(logging.INFO, "two")
    attempt.report(RunUpdate())
    assert texts(jobs, attempt) == ["one", "two"]


def test_an_attempt_that_is_not_the_current_one_logs_nothing(jobs, clock):
    old = claimed(jobs, clock)
    old.supervisor_lost()
    claimed(jobs, clock)
    before = texts(jobs, old)
    old.note(logging.INFO, "late")
    assert old.report(RunUpdate()) is None
    assert not old.release()
    assert texts(jobs, old) == before


def test_of_waiting_lines_the_oldest_are_dropped_with_a_word():
    waiting = WaitingLines()
    waiting.add(log_line(NOW, logging.INFO, str(k)) for k in range(MAX_WAITING + 3))
    lines = waiting.take()
    assert [line.text for line in lines[:2]] == ["3 lines before this one were dropped", "3"]
    assert not waiting
    waiting.add([log_line(NOW, logging.INFO, "later")])
    waiting.put_back(lines[-1:])
    assert [line.text for line in waiting.take()] == [str(MAX_WAITING + 2), "later"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET http://h/c/b?sv=1&sig=SECRET%3D&se=2 failed", "GET http://h/c/b?sv=1&sig=…&se=2 failed"),
        ("a\x00b \ud800", "a\N{SYMBOL FOR NULL}b ?"),
        ("x" * (MAX_LINE_CHARS + 1) + "end", "… " + "x" * (MAX_LINE_CHARS - 3) + "end"),
    ],
)
def test_lines_can_be_stored_and_shown(text, shown):
    assert log_line(NOW, logging.INFO, text).text == shown


@pytest.fixture
def handled():
    """What a handler sent, and its clock."""
    sent, clock = [], ManualClock()
    handler = JobLogHandler("j", sent.append, monotonic=clock.monotonic)
    root, own = logging.getLogger(), logging.getLogger("qiosk")
    levels = root.level, own.level
    root.addHandler(handler)
    own.setLevel(logging.INFO)
    yield sent, clock, handler
    root.removeHandler(handler)
    own.setLevel(levels[1])


def sent_lines(sent):
    return [(line.level, line.text) for update in sent for line in update.log]


def test_a_process_sends_its_own_records_and_the_warnings_of_others(handled):
    sent, _, _ = handled
    logging.getLogger("qiosk.solvers").info("job j: seed %d", 7)
    logging.getLogger("qiosk.solvers").debug("too much")
    logging.getLogger("azure.core").info("GET …")
    logging.getLogger("azure.core").warning("slow")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("strange numbers", RuntimeWarning, stacklevel=1)
        logging.captureWarnings(False)
    found = sent_lines(sent)
    assert found[:2] == [("INFO", "seed 7"), ("WARNING", "slow")]
    assert found[2][0] == "WARNING"
    assert "RuntimeWarning: strange numbers" in found[2][1]


def test_a_process_that_logs_without_end_sends_little_at_once_and_the_rest_later(handled):
    sent, clock, handler = handled
    for number in range(SENT_PER_S + MAX_WAITING + 10):
        logging.getLogger("qiosk.x").warning("%d", number)
    assert len(sent) == SENT_PER_S
    clock.sleep(1.0)
    logging.getLogger("qiosk.x").warning("last")
    assert len(sent) == SENT_PER_S + 1
    assert sent[-1].log[0].text == "11 lines before this one were dropped"
    assert sent[-1].log[-1].text == "last"
    handler.flush()
    assert len(sent) == SENT_PER_S + 1


def test_the_log_of_a_job_ends_with_its_end():
    workspace = MemoryService().workspace()
    job = SimulatedAnnealing(workspace, seed=1).submit(Problem("pair", [Term(c=1, indices=[0, 1])]))
    assert [line.text for line in job.logs()] == ["attempt 1 ended: Succeeded"]
    assert job.logs(after=job.logs()[-1].position) == []


def test_an_error_of_a_solver_is_logged_with_its_traceback(caplog):
    workspace = MemoryService(failing(ZeroDivisionError("division by zero"))).workspace()
    SimulatedAnnealing(workspace, seed=1).submit(Problem("pair", [Term(c=1, indices=[0, 1])]))
    assert "the solver failed" in caplog.text
    assert "ZeroDivisionError: division by zero" in caplog.text

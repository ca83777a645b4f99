"""Exit codes in words, out-of-memory counts, and limits that hold."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from patience import HANG_S
from qiosk.contract.jobs import ErrorData
from qiosk.service.jobs.runs import Shortage
from qiosk.supervisor.executor import Fate
from qiosk.supervisor.processes import exits, process_limits
from qiosk.supervisor.processes.exits import classify_exit, describe_exit


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(-9, "signal SIGKILL"), (-11, "signal SIGSEGV"), (-99, "signal 99"), (0, "exit status 0"), (3, "exit status 3")],
)
def test_exit_codes_are_described(exit_code, words):
    assert describe_exit(exit_code) == words


@pytest.mark.parametrize("exit_code", [-11, -6, -7, -4, -8, 0, 1, 3])
@pytest.mark.parametrize("is_out_of_memory", [False, True])
def test_a_crash_is_the_jobs_fault(exit_code, is_out_of_memory):
    message = f"the job's process ended without results: {describe_exit(exit_code)}"
    expected = ErrorData(code="InternalError", message=message)
    assert classify_exit(exit_code, is_out_of_memory=is_out_of_memory) == expected


@pytest.mark.parametrize("exit_code", [-9, -15, -1, -2, 255])
def test_a_process_that_others_ended_was_lost(exit_code):
    assert classify_exit(exit_code, is_out_of_memory=False) is Fate.LOST


@pytest.mark.parametrize(
    ("limit", "available", "is_tighter"),
    [(1 << 60, 1 << 30, False), (1 << 60, 1 << 62, True), (resource.RLIM_INFINITY, 1 << 62, False)],
)
def test_what_the_own_limit_refuses_never_fits(monkeypatch, limit, available, is_tighter):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
    monkeypatch.setattr(process_limits, "available_memory", lambda: available)
    assert process_limits.is_own_limit_tighter() is is_tighter


def test_a_kill_while_memory_ran_out_is_a_shortage_of_azq001():
    verdict = classify_exit(-9, is_out_of_memory=True)
    assert isinstance(verdict, Shortage)
    assert (verdict.is_of_memory, verdict.error.code) == (True, "InsufficientResources")
    assert "AZQ001" in verdict.error.message
    assert classify_exit(-15, is_out_of_memory=True) is Fate.LOST


def test_a_process_that_used_all_of_the_memory_will_not_fit_later(monkeypatch):
    monkeypatch.setattr(exits, "physical_memory", lambda: 10_000_000_000)
    assert isinstance(classify_exit(-9, is_out_of_memory=True, peak_bytes=8_000_000_000), Shortage)
    verdict = classify_exit(-9, is_out_of_memory=True, peak_bytes=9_500_000_000)
    assert isinstance(verdict, ErrorData)
    assert verdict.message.endswith("killed the job's process, which alone had used 9.5 of 10 GB")


def test_the_most_memory_of_a_process_is_known_while_it_lives():
    assert process_limits.peak_memory(os.getpid()) > 1_000_000 or sys.platform != "linux"
    assert process_limits.peak_memory(None) == 0


def test_out_of_memory_kills_are_counted_where_somebody_counts_them(tmp_path, monkeypatch):
    version_2, version_1, missing = tmp_path / "events", tmp_path / "control", tmp_path / "missing"
    version_2.write_text("low 0\nhigh 7\noom 5\noom_kill 2\noom_group_kill 9\n")
    version_1.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    monkeypatch.setattr(process_limits, "_OOM_COUNTERS", [str(version_2), str(version_1), str(missing)])
    assert process_limits.oom_kills() == 5


def test_memory_is_not_limited_where_nobody_tells_what_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(process_limits, "_STATM", tmp_path / "missing")
    before = resource.getrlimit(resource.RLIMIT_AS)
    process_limits.limit_memory(2**50)  # which would fit
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not enforce address space limits")
def test_a_memory_limit_counts_from_what_is_mapped_already():
    program = (
        "from qiosk.supervisor.processes.process_limits import limit_memory\n"
        "kept = bytearray(200_000_000)\n"
        "limit_memory(100_000_000)\n"
        "bytearray(50_000_000)\n"
        "try:\n"
        "    bytearray(150_000_000)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
        "limit_memory(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_S)
    assert (done.stdout, done.stderr) == ("refused\n", "")


FORBIDDEN = {
    "die_with_parent": "it may outlive the supervisor",
    "raise_oom_score": "the machine may kill other processes before it",
    "limit_memory": "its memory is not limited",
}


@pytest.mark.parametrize("step", FORBIDDEN)
@pytest.mark.parametrize("error", [PermissionError("forbidden"), ValueError("forbidden"), AttributeError("forbidden")])
def test_a_limit_that_cannot_be_set_is_logged_and_the_others_are_set(step, error, monkeypatch, caplog):
    done = []

    def fail(*_):
        raise error

    for name in FORBIDDEN:
        monkeypatch.setattr(process_limits, name, fail if name == step else lambda *_, name=name: done.append(name))
    process_limits.set_limits(1000)
    assert done == [name for name in FORBIDDEN if name != step]
    assert [record.getMessage() for record in caplog.records] == [
        f"the job's process goes on, but {FORBIDDEN[step]}: forbidden"
    ]


def test_a_process_without_stderr_runs_on(monkeypatch):
    for name in FORBIDDEN:
        monkeypatch.setattr(process_limits, name, lambda *_: None)
    monkeypatch.setattr(sys, "stderr", None)
    process_limits.set_limits(0)


def test_an_oom_score_that_cannot_be_written_is_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(process_limits, "_OOM_SCORE_FILE", tmp_path)  # a folder cannot be written, not even by root
    monkeypatch.setattr(process_limits, "die_with_parent", lambda: None)
    monkeypatch.setattr(process_limits, "_STATM", tmp_path / "missing")
    process_limits.set_limits(1000)
    assert "the machine may kill other processes before it" in caplog.text


@pytest.mark.parametrize("content", [b"oom_kill many\n", b"oom_kill \xff\n"])
def test_counters_that_make_no_sense_are_left_out(content, tmp_path, monkeypatch):
    strange, plain = tmp_path / "strange", tmp_path / "plain"
    strange.write_bytes(content)
    plain.write_text("oom_kill 3\n")
    monkeypatch.setattr(process_limits, "_OOM_COUNTERS", [str(strange), str(plain)])
    assert process_limits.oom_kills() == 3

"""What a supervisor waits for of the process of a job."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import wait
from types import SimpleNamespace

from qiosk.supervisor.processes.job_process import JobProcess


def test_a_pipe_whose_other_end_is_closed_is_waited_for_no_longer():
    ours, theirs = multiprocessing.Pipe()
    exit_of, reported = multiprocessing.Pipe()
    process = JobProcess.__new__(JobProcess)
    process._connection, process._is_silent = ours, False
    process._process = SimpleNamespace(pid=1, sentinel=exit_of)
    theirs.send("progress")
    theirs.close()
    assert wait(process.wait_on(), 0) == [ours]
    assert list(process.messages()) == ["progress"]
    assert list(process.messages()) == []
    assert wait(process.wait_on(), 0) == [], "its exit is not reported yet"
    reported.close()
    assert wait(process.wait_on(), 0) == [exit_of]

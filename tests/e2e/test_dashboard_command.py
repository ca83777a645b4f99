"""``qiosk dashboard``: a server of its own, for one user and until Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from homes import close_home, open_home, submit, wait_until
from pages import HTML, Page
from patience import HANG_S


def test_the_pages_open_by_the_printed_address_only_and_jobs_outlive_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # for supervisors to find the fake runner
    home = tmp_path / "home"
    service = open_home(home)
    job = submit(service, {"chunks": 1, "gate": str(tmp_path / "gate")}, name="a long job")
    wait_until(service, job.id, lambda view: view.status == "Executing")
    command = [sys.executable, "-m", "qiosk", "dashboard", "--no-browser", "--home", str(home)]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    try:
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.search(r"(http://127\.0\.0\.1:\d+)(/ui/open\?token=\S+)", line)
            assert match, line
            with httpx.Client(base_url=match[1], headers=HTML, timeout=HANG_S, follow_redirects=True) as http:
                assert "qiosk dashboard has printed" in Page(http.get("/").text).text
                assert http.get("/ui/open?token=wrong").status_code == 404
                page = Page(http.get(match[2]).text)
                assert "a long job" in page.text
                assert "token" not in str(http.get("/").url)
            process.send_signal(signal.SIGINT)
            assert process.wait(HANG_S) == 0
        assert not service.get(job.id).status.is_final
        service.cancel(job.id)
    finally:
        close_home(home)

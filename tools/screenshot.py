"""Makes docs/dashboard.png again: ``make screenshot``. It needs a browser: ``make browser``.

A server of its own runs a published max-cut instance for some seconds; the picture is the top of the job's page.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.service.served import server
from browsers import running

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "dashboard.png"
WIDTH, HEIGHT = 1280, 780


def submit(url: str) -> str:
    """Submit the instance; returns the job's id."""
    instance = ROOT / "benchmarks" / "instances" / "torusg3-15.json.gz"
    options = {
        "--name": "max-cut torusg3-15",
        "--target": "qiosk.auto",
        "--timeout": "5",
        "--seed": "1",
        "--tag": "torus",
    }
    words = ["submit", str(instance), *(word for option in options.items() for word in option)]
    command = [sys.executable, "-m", "qiosk", *words, "--url", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def draw(url: str, job_id: str) -> None:
    """Write the picture when the job has ended."""
    with running() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(f"{url}/ui/w/default/jobs/{job_id}")
        page.locator(".status.succeeded").first.wait_for()
        page.reload()
        page.locator(".chart canvas").wait_for()
        page.screenshot(path=PICTURE)


if __name__ == "__main__":
    with server() as (url, _):
        submit(url)  # compiles kernels, where they are not in the cache
        draw(url, submit(url))

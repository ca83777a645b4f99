"""``python -m benchmarks.dashboard [--jobs 100000]``: what pages of the dashboard cost with many jobs stored.

Milliseconds from a request to the whole page, of a browser with a connection that is kept alive; kilobytes of the page
and of all that it loads, compressed as the server sends them.
"""

from __future__ import annotations

import argparse
import gzip
import re
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from benchmarks.service.served import Client, server
from benchmarks.service.stored import KEY, TARGETS, fill

HEADERS = {"Accept": "text/html", "Accept-Encoding": "gzip"}
PAGES = f"/ui/w/{KEY}"
LATE = 2000
"""The page of the list that is far from the first."""


def page(client: Client, path: str) -> str:
    """The text of a page."""
    return gzip.decompress(client.call("GET", path, headers=HEADERS)).decode()


def milliseconds(client: Client, path: str, repeats: int) -> float:
    """The median of several requests, after one that fills caches."""
    page(client, path)
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        client.call("GET", path, headers=HEADERS)
        taken.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(taken)


def walk(client: Client, path: str, pages: int) -> str:
    """The path of a list's later page; of the last one, if there are fewer."""
    for _ in range(pages - 1):
        following = re.search(r'rel="next" href="([^"]+)"', page(client, path))
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    return path


def loaded(client: Client, path: str) -> int:
    """Bytes of a page and all that it loads."""
    total = len(client.call("GET", path, headers=HEADERS))
    assets = set(re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', page(client, path)))
    return total + sum(len(client.call("GET", asset, headers=HEADERS)) for asset in assets)


def views(client: Client) -> dict[str, str]:
    """The paths of what is measured."""
    jobs = f"{PAGES}/jobs"
    a_job = re.search(r'id="job-([^"]+)"', page(client, jobs))
    assert a_job is not None
    return {
        "all jobs": jobs,
        "status": f"{jobs}?status=Failed",
        "two statuses": f"{jobs}?status=Failed&status=Cancelled",
        "target": f"{jobs}?target={TARGETS[1]}",
        "tag": f"{jobs}?tag=nightly",
        "a tag of no job": f"{jobs}?tag=none",
        "name": f"{jobs}?q=a-1",
        "a name of no job": f"{jobs}?q=none",
        "id": f"{jobs}?q={quote('id:00')}",
        "session": f"{jobs}?session=session-1",
        "status, target and name": f"{jobs}?status=Failed&target={TARGETS[1]}&q=b",
        **{f"sorted by {column}": f"{jobs}?sort={column}" for column in ("created", "-name", "status", "-target")},
        f"page {LATE}": walk(client, jobs, LATE),
        "overview": f"{PAGES}/overview",
        "sessions": f"{PAGES}/sessions",
        "quotas": f"{PAGES}/quotas",
        "new job": f"{PAGES}/new",
        "a job": f"{jobs}/{a_job[1]}",
        "workspaces": "/ui/workspaces",
    }


def measure(jobs: int, repeats: int) -> None:
    """Print a line for each view."""
    with tempfile.TemporaryDirectory(prefix="qiosk-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        fill(home, jobs)
        with server(home) as (url, _):
            client = Client(url)
            print(f"{jobs} jobs{'':20}    ms    kB with all that it loads")
            for name, path in views(client).items():
                print(f"{name:30} {milliseconds(client, path, repeats):6.1f} {loaded(client, path) / 1000:6.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    measure(given.jobs, given.repeats)

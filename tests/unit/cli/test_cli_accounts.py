"""The commands of whoever runs a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from qiosk.adapters.home.home import Home
from qiosk.adapters.sql.jobs import open_sqlite
from qiosk.bootstrap import open_administration, open_embedded
from qiosk.cli.app import app
from qiosk.contract.jobs import SubmitJob
from qiosk.errors import NotFound
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobEvent
from qiosk.testing import MemoryBlobStore

Invoke = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Invoke:
    def invoke(*arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(app, [*arguments, "--home", str(tmp_path)])
        assert result.exit_code == status, result.output
        return result

    return invoke


def test_a_key_is_printed_once_and_listed_without_its_secret(run):
    text = run("keys", "create", "laptop", "--workspace", "Sub/Group/Name", "--read-only").stdout.strip()
    assert text.startswith("qk_")
    row = run("keys", "list").stdout.splitlines()[1].split()
    assert row[:4] == [text.split("_")[1], "laptop", "sub/group/name", "read"]
    assert row[-2:] == ["never", "valid"]
    secret = text.split("_", 2)[2]
    for options in ((), ("--json",), ("--workspace", "sub/group/name", "--json")):
        assert secret not in run("keys", "list", *options).output


def test_keys_last_as_long_as_asked_and_are_for_the_default_workspace_unless_told_otherwise(run):
    made = json.loads(run("keys", "create", "ci", "--expires", "90d", "--json").stdout)
    assert (made["workspace"], made["isReadOnly"], made["state"]) == ("default", False, "valid")
    lasts = datetime.fromisoformat(made["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=89) < lasts < timedelta(days=91)
    assert json.loads(run("keys", "create", "root", "--admin", "--json").stdout)["workspace"] is None
    assert len(json.loads(run("keys", "list", "--workspace", "default", "--json").stdout)) == 1
    assert run("keys", "list").stdout.count("all") == 1


def test_a_revoked_key_stays_in_the_list(run):
    made = json.loads(run("keys", "create", "a", "--json").stdout)
    assert run("keys", "revoke", made["id"]).stdout.strip() == made["id"]
    assert json.loads(run("keys", "list", "--json").stdout)[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("keys", "create", "a", "--workspace", "a/b"), "workspace: must be SUBSCRIPTION/GROUP/NAME or default"),
        (("keys", "create", "a", "--expires", "soon"), "--expires: must be a length of time such as"),
        (("keys", "create", "a", "--expires", "0s"), "expiry: must lie in the future"),
        (("keys", "create", ""), "name: must be 1 to 200 printable characters"),
        (("keys", "create", "a", "--admin", "--workspace", "a/b/c"), "must not be given together"),
        (("keys", "revoke", "nope"), "API key nope was not found"),
        (("admin", "prune", "--older-than", "30"), "--older-than: must be a length of time such as"),
        (("admin", "limit", "default", "queued-jobs", "some"), "must be a number, 'unlimited' or 'default'"),
        (("admin", "limit", "default", "queued-jobs", "1.5"), "queued_jobs: must be a whole number"),
        (("admin", "limit", "default", "job-hours", "nan"), "must be at least 0"),
        (("admin", "quotas", "x/y"), "workspace: must be"),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_what_is_wrong_is_said_in_one_line(run, arguments, message):
    assert message in " ".join(run(*arguments, status=2).stderr.split())


def test_limits_are_set_shown_and_taken_back(run):
    assert run("admin", "limit", "A/B/C", "job-hours", "2.5").stdout.split()[-1] == "2.5"
    assert run("admin", "limit", "a/b/c", "stored-bytes", "1099511627776").stdout.split()[-1] == "1099511627776"
    limits = {q["dimension"]: q["limit"] for q in json.loads(run("admin", "quotas", "a/b/c", "--json").stdout)}
    assert (limits["combined_job_hours"], limits["stored_bytes"]) == (2.5, 2.0**40)
    assert "2.5" not in run("admin", "quotas", "default").stdout
    assert run("admin", "limit", "a/b/c", "job-hours", "unlimited").stdout.split()[-1] == "unlimited"
    run("admin", "limit", "a/b/c", "job-hours", "default")
    assert run("admin", "quotas", "a/b/c").stdout.count("unlimited") == 4


def test_the_longest_run_that_is_shown_is_that_of_a_server(run, monkeypatch):
    assert run("admin", "quotas", "default").stdout.splitlines()[-1].split() == ["run_seconds", "0", "0", "86400"]
    monkeypatch.setenv("QIOSK_LIMIT_RUN_SECONDS", "60")
    assert run("admin", "quotas", "default").stdout.splitlines()[-1].split()[-1] == "60"
    monkeypatch.setenv("QIOSK_LIMIT_RUN_SECONDS", "unlimited")
    assert run("admin", "quotas", "default").stdout.splitlines()[-1].split()[-1] == "unlimited"


def test_pruning_removes_what_it_said_it_would(run, tmp_path):
    service = open_embedded(tmp_path)
    service.put_blob("job-gone", "inputData", b"12345")
    store = open_sqlite(Home(tmp_path).database)
    now = datetime.now(UTC) - timedelta(days=40)
    for name in ("old", "waits"):
        service.put_blob(f"job-{name}", "inputData", b"x" * 2**20)
    _store_jobs(tmp_path, store, now)
    planned = run("admin", "prune", "--older-than", "30d", "--dry-run").stdout
    assert planned == "would remove 1 job, 0 sessions, 1 blob (1.0 MiB), 0 unfinished uploads\n"
    done = json.loads(run("admin", "prune", "--older-than", "30d", "--json").stdout)
    assert (done["jobs"], done["blobs"], done["size_bytes"]) == (1, 1, 2**20)
    with pytest.raises(NotFound):
        service.get_blob("job-old", "inputData")
    assert service.get_blob("job-waits", "inputData")
    assert service.get_blob("job-gone", "inputData")  # not for a day
    assert json.loads(run("admin", "prune", "--older-than", "0s", "--json").stdout)["blobs"] == 1
    store.close()
    service.close()


def _store_jobs(home: Path, store, at: datetime) -> None:
    for name in ("old", "waits"):
        command = SubmitJob(name=name, provider_id="m", target="t", input_data=b"")
        store.add(define_job(name, command, workspace="default", blobs=MemoryBlobStore(), at=at))
    job = store.claim(worker="w", now=at, lease_expires_at=at + timedelta(seconds=30))
    store.swap(job.on(JobEvent.SUCCEED, at=at, output_blob="rawOutputData"), expected=job)


def test_the_administration_of_a_home_shares_its_database(tmp_path):
    with open_administration(tmp_path) as administration:
        administration.keys.create("a")
    with open_administration(tmp_path) as administration:
        assert [key.name for key in administration.keys.list()] == ["a"]


def test_a_server_without_its_extra_says_how_to_install_it(run, monkeypatch):
    monkeypatch.delitem(sys.modules, "qiosk.server.web.logs", raising=False)
    monkeypatch.setitem(sys.modules, "structlog", None)
    said = run("serve", status=2).stderr
    assert said == "error: qiosk serve: the extra `server` is not installed, try: pip install 'qiosk[server]'\n"

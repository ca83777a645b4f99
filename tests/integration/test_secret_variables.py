"""Which processes get which secrets of the environment."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

import pytest

from homes import close_home, open_home, processes_of, submit, supervisor_pid, wait_until
from qiosk.adapters.sql.databases.database import parse_url
from qiosk.client.remote.connection import KEY_VARIABLE
from qiosk.server.settings import ServerSettings
from qiosk.settings import Settings, is_secret_variable, variable
from qiosk.supervisor.processes.secret_variables import drop_secrets, take_database_password


def test_the_variables_of_all_secret_settings_are_known():
    secret = {
        variable(member.name) for kind in (Settings, ServerSettings) for member in fields(kind) if not member.repr
    }
    assert secret == {"QIOSK_DATABASE", "QIOSK_ADMIN_KEY", "QIOSK_SECRET_KEY"}
    assert all(map(is_secret_variable, secret | {KEY_VARIABLE}))


def test_other_variables_are_not_secret():
    members = [*fields(Settings), *fields(ServerSettings)]
    public = {variable(member.name) for member in members if member.repr}
    assert not any(map(is_secret_variable, public | {"QIOSK_SUPERVISOR_LOG", "PATH", "MY_KEY"}))


@pytest.mark.parametrize(
    ("storage", "kept"),
    [
        ("file:///a", set()),
        ("s3://a", {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}),
        ("az://a", {"AZURE_STORAGE_KEY"}),
    ],
)
def test_only_the_storages_own_credentials_stay(storage, kept):
    credentials = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY"]
    environ = dict.fromkeys([*credentials, "PATH", "QIOSK_HOME", "QIOSK_ADMIN_KEY", "QIOSK_DATABASE"], "x")
    drop_secrets(environ, storage)
    assert set(environ) == kept | {"PATH", "QIOSK_HOME"}


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("postgresql://db.example/jobs", None, "s3:cr@t/?"),
        ("postgresql:///jobs", None, "s3:cr@t/?"),
        ("postgres://me@db.example:5433/jobs?options=-cx", "me", "s3:cr@t/?"),
        ("postgresql://me:mine@db.example/jobs", "me", "mine"),
    ],
)
def test_the_supervisor_takes_the_password_of_postgresql(url, user, password):
    environ = {"PGPASSWORD": "s3:cr@t/?"}
    settings = take_database_password(Settings(database=url), environ)
    found = parse_url(settings.database, default=Path())
    assert (found.username or None, found.password, found.database) == (user, password, "jobs")
    assert environ == {}


def test_a_sqlite_database_needs_no_password():
    settings = Settings(database="sqlite:////a/b.db")
    assert take_database_password(settings, {"PGPASSWORD": "x"}) == settings


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_inherit_only_the_secrets_that_they_need(tmp_path, monkeypatch):
    secrets = ["QIOSK_ADMIN_KEY", "QIOSK_SECRET_KEY", "QIOSK_API_KEY", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # where processes of jobs find the fake runner
    for name in [*secrets, "AZURE_STORAGE_KEY"]:
        monkeypatch.setenv(name, f"value-of-{name}")
    home = tmp_path / "home"
    database = f"sqlite:///{tmp_path}/named-in-a-setting.db"
    api = open_home(home, database=database)
    try:
        job = submit(api, {"chunks": 1_000_000})
        wait_until(api, job.id, lambda view: view.progress.sweeps > 0 or view.status.is_final)
        found = {process.pid: process.environ() for process in processes_of(home)}
        supervisor = supervisor_pid(home)
        assert len(found) >= 3
        assert found.pop(supervisor)["QIOSK_DATABASE"] == database
        for environ in found.values():
            assert not set(environ) & {*secrets, "QIOSK_DATABASE", "AZURE_STORAGE_KEY"}
        api.cancel(job.id)
    finally:
        api.close()
        close_home(home)

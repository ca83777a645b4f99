"""The commands that look after a database."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import databases
from qiosk.adapters.sql.schema import REVISION
from qiosk.cli.app import app


def qiosk(*arguments: object, **environ: str):
    return CliRunner().invoke(app, ["db", *map(str, arguments)], env=environ)


def test_a_database_is_made_and_described(tmp_path):
    before = qiosk("current", "--home", tmp_path, "--json")
    assert json.loads(before.stdout) == {
        "database": f"sqlite:///{tmp_path}/jobs.db",
        "revision": None,
        "expected": REVISION,
    }
    assert qiosk("upgrade", "--home", tmp_path).stdout.endswith(f"jobs.db: empty -> {REVISION}\n")
    assert qiosk("upgrade", "--home", tmp_path).stdout.endswith("jobs.db: up to date\n")
    assert qiosk("current", "--home", tmp_path).stdout.endswith(f"jobs.db: {REVISION}, expected {REVISION}\n")


def test_a_password_is_not_printed(tmp_path):
    url = "postgresql://postgres:hunter2@127.0.0.1:1/none"
    done = qiosk("upgrade", "--home", tmp_path, QIOSK_DATABASE=url)
    assert done.exit_code == 1
    assert "error: database: " in done.stderr
    assert "hunter2" not in done.output


def test_postgresql_is_upgraded_by_hand(tmp_path):
    with databases.postgres_schema() as url:
        done = qiosk("upgrade", "--home", tmp_path, QIOSK_DATABASE=url)
        assert done.stdout.endswith(f"empty -> {REVISION}\n")
        assert not (tmp_path / "jobs.db").exists()


@pytest.mark.parametrize("url", ["mysql://h/d", "secret"])
def test_a_database_we_cannot_use_is_refused(tmp_path, url):
    done = qiosk("current", "--home", tmp_path, QIOSK_DATABASE=url)
    assert done.exit_code == 2
    assert "QIOSK_DATABASE: must begin with postgresql:// or sqlite:////" in done.stderr

"""What a backup keeps, whichever databases and storages are on its two sides, and what it refuses."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

import databases
import qiosk.service.backups.restore as restoring
from homes import close_home, finished, open_home, submit, wait_until
from qiosk.adapters.archives.reading import open_archive
from qiosk.adapters.blobs.files import FileReader
from qiosk.adapters.home.home import Home, ServerPresence
from qiosk.adapters.sql import schema
from qiosk.adapters.sql.backups import SqlRows
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.adapters.sql.jobs import open_sqlite
from qiosk.adapters.sql.keys import SqlKeyStore, api_keys
from qiosk.bootstrap import open_administration, open_embedded
from qiosk.bootstrap.backups import _opened
from qiosk.cli.app import app
from qiosk.contract.jobs import JobQuery, JobStatus
from qiosk.contract.quotas import Dimension
from qiosk.errors import BlobChanged, BlobNotFound, Conflict
from qiosk.machine import SystemClock
from qiosk.service.accounts.keys import Authenticator
from qiosk.service.blobs.store import PIECE, BlobHeaders
from qiosk.service.jobs.fences import claims_of
from qiosk.service.jobs.job import BlobRef, JobKey
from qiosk.version import __version__
from storages import azure_environment, s3_environment

GZIP = BlobHeaders(content_type="application/json", content_encoding="gzip", metadata={"num_terms": "3"})
SECRET = b"0123456789abcdef0123456789abcdef"
LARGE = bytes(range(256)) * (3 * PIECE // 256 + 1)


def qiosk(*arguments, status=0):
    done = CliRunner().invoke(app, ["admin", *map(str, arguments)])
    assert done.exit_code == status, (done.output, done.exception)
    return done


def content(home: Path):
    """All rows and all blobs of a place that the environment names."""
    with _opened(home) as place:
        with SqlRows(place.database).snapshot() as snapshot:
            rows = {
                table.name: [dict(zip(table.columns, row, strict=True)) for batch in table.batches for row in batch]
                for table in snapshot.tables()
            }
        blobs = {}
        for workspace in place.storage.workspaces():
            store = place.storage.blobs(workspace)
            for container in store.containers():
                blobs[workspace, container, None] = None
                for name in store.list(container):
                    ref = BlobRef(container, name)
                    reader = store.open(ref)
                    sha = hashlib.sha256(b"".join(reader.pieces())).hexdigest()
                    blobs[workspace, container, name] = (reader.properties.headers, sha)
                    reader.close()
        return rows, blobs


@contextmanager
def settings_of(monkeypatch, database=None, storage=None, **environ) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for name, value in {"QIOSK_DATABASE": database, "QIOSK_STORAGE": storage, **environ}.items():
            if value is not None:
                patch.setenv(name, value)
        yield


@pytest.fixture(scope="module", autouse=True)
def _fake_runners_are_importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A home with jobs of all kinds, sessions, keys, limits, hours and blobs; and the text of a key."""
    path = tmp_path_factory.mktemp("source") / "home"
    service = open_home(path, runner="fake_runners:run")
    done = [submit(service, {"chunks": 3, "cost": -1.0, "log": "hot"}, name=f"jöb {n}") for n in range(3)]
    failed = submit(service, {"do": "no such deed"})
    other = open_home(path, workspace="s/g/" + "n" * 200)
    done.append(submit(other, {"chunks": 1}))
    for view, api in [*((view, service) for view in done[:3]), (failed, service), (done[3], other)]:
        finished(api, view.id)
    close_home(path)
    (path / "secret.key").write_bytes(SECRET)
    with _opened(path) as place:
        blobs = place.storage.blobs("default")
        blobs.create("empty")
        blobs.put(BlobRef("data", "a/b %#ü"), b"", headers=GZIP)
        blobs.put(BlobRef("data", "large"), LARGE)
    with open_administration(path) as administration:
        administration.limits.set("default", Dimension.JOB_HOURS, 7.5)
        _, text = administration.keys.create("laptop", workspace="default")
    return path, text


@pytest.fixture(params=["folder", ".tar", ".tar.gz", ".tar.zst"])
def dest(request, tmp_path):
    return tmp_path / ("backup" if request.param == "folder" else f"backup{request.param}")


def test_a_home_comes_back_as_it_was(source, dest, tmp_path):
    home, text = source
    written = json.loads(qiosk("backup", dest, "--home", home, "--json").stdout)
    assert (written["rows"]["jobs"], written["has_secret"]) == (5, False)
    assert not dest.with_name(f"{dest.name}.part").exists()
    assert "is complete: 5 jobs" in qiosk("restore", dest, "--check").stdout
    new = tmp_path / "new"
    assert json.loads(qiosk("restore", dest, "--home", new, "--json").stdout) == written
    assert content(new) == content(home)
    assert not (new / "secret.key").exists()
    with open_administration(new) as administration:
        assert administration.jobs_by_workspace()["default"] == 4
        assert [
            quota.limit for quota in administration.quotas("default") if quota.dimension == Dimension.JOB_HOURS
        ] == [7.5]
    before, after = open_embedded(home), open_embedded(new)
    for view in before.list(JobQuery()):
        assert after.get(view.id).status is view.status
        assert after.trace(view.id) == before.trace(view.id)
        if view.status is JobStatus.SUCCEEDED:
            assert after.results(view.id) == before.results(view.id)
    with _opened(new) as place:
        authenticator = Authenticator(SqlKeyStore(place.database), SystemClock())
        assert authenticator.authenticate(text)


@pytest.mark.parametrize("emulator", [s3_environment, azure_environment], ids=["s3", "azure"])
def test_rows_and_blobs_go_to_other_stores_and_back(source, emulator, tmp_path, monkeypatch):
    home, _ = source
    qiosk("backup", tmp_path / "one", "--home", home)
    with emulator() as environ, databases.postgres_schema() as database:
        storage = "s3://bucket/some" if emulator is s3_environment else "az://devstoreaccount1"
        with settings_of(monkeypatch, database, storage, **environ):
            qiosk("restore", tmp_path / "one", "--home", tmp_path / "there")
            assert content(tmp_path / "there") == content_here(monkeypatch, home)
            assert not (tmp_path / "there" / "jobs.db").exists()
            qiosk("backup", tmp_path / "two.tar", "--home", tmp_path / "there")
            assert "must be empty" in qiosk("restore", tmp_path / "one", "--home", tmp_path / "there", status=1).stderr
    qiosk("restore", tmp_path / "two.tar", "--home", tmp_path / "back")
    assert content(tmp_path / "back") == content(home)


def content_here(monkeypatch, home):
    with monkeypatch.context() as patch:
        patch.delenv("QIOSK_DATABASE")
        patch.delenv("QIOSK_STORAGE")
        return content(home)


def test_the_secret_is_kept_only_if_asked_for(source, tmp_path):
    home, _ = source
    dest = tmp_path / "b"
    done = qiosk("backup", dest, "--with-secret", "--home", home)
    assert SECRET.decode() not in done.output
    new = tmp_path / "new"
    qiosk("restore", dest, "--home", new)
    assert (new / "secret.key").read_bytes() == SECRET
    assert (new / "secret.key").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (dest, *dest.rglob("*")))
    other = tmp_path / "other"
    Home(other)
    (other / "secret.key").write_bytes(SECRET[::-1])
    assert "differs from the secret" in qiosk("restore", dest, "--home", other, status=1).stderr
    assert not (other / "blobs").exists()
    assert (
        "has no secret.key"
        in qiosk("backup", tmp_path / "c", "--with-secret", "--home", fresh(tmp_path), status=2).stderr
    )


def fresh(tmp_path):
    path = tmp_path / "fresh"
    open_embedded(path)
    return path


def test_nothing_is_overwritten(source, tmp_path):
    home, _ = source
    for name in ("b", "b.tar"):
        dest = tmp_path / name
        qiosk("backup", dest, "--home", home)
        assert "overwrites nothing" in qiosk("backup", dest, "--home", home, status=1).stderr
    assert "must be empty" in qiosk("restore", tmp_path / "b", "--home", home, status=1).stderr
    assert "must be a folder, or end in" in qiosk("backup", tmp_path / "b.zip", "--home", home, status=2).stderr
    (tmp_path / "c.tar.part").touch()
    assert "was interrupted" in qiosk("backup", tmp_path / "c.tar", "--home", home, status=1).stderr
    assert "there is no folder" in qiosk("backup", tmp_path / "d", "--home", tmp_path / "none", status=2).stderr
    inside = home / "blobs" / "d"
    assert "must not be in the folder of blobs" in qiosk("backup", inside, "--home", home, status=2).stderr
    new = tmp_path / "new"
    with _opened(new) as place:
        place.storage.blobs("w").create("c")
    assert "storage: must be empty" in qiosk("restore", tmp_path / "b", "--home", new, status=1).stderr
    qiosk("restore", tmp_path / "b", "--home", fresh(tmp_path))  # tables without rows are empty


@pytest.mark.parametrize("number", range(6))
def test_a_damaged_folder_is_refused_and_changes_nothing(source, tmp_path, number):
    home, _ = source
    dest = tmp_path / "b"
    qiosk("backup", dest, "--home", home)
    some = sorted(path for path in dest.rglob("*") if path.is_file() and path.stat().st_size)
    rows, blob = dest / "rows/jobs/000000.jsonl", next(path for path in some if "blobs" in path.parts)
    match number:
        case 0:
            blob.unlink()
        case 1:
            rows.write_bytes(rows.read_bytes().replace(b"Succeeded", b"Cancelled"))
        case 2:
            (dest / "manifest.json").unlink()
        case 3:
            manifest = (dest / "manifest.json").read_bytes()
            (dest / "manifest.json").write_bytes(manifest.replace(b'"removed":0', b'"removed":1'))
        case 4:
            (dest / "blobs" / "notes.txt").touch()
        case 5:
            blob.write_bytes(blob.read_bytes()[:-1])
    said = ["is missing", "is damaged", "has no manifest", "is damaged", "not a file of a backup", "is damaged"][number]
    assert said in qiosk("restore", dest, "--home", tmp_path / "new", status=2).stderr
    assert not (tmp_path / "new" / "jobs.db").exists()


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.zst"])
def test_no_cut_and_no_changed_byte_of_a_tar_file_is_missed(source, tmp_path, ending):
    home, _ = source
    whole = tmp_path / f"b{ending}"
    qiosk("backup", whole, "--home", home)
    data = whole.read_bytes()
    wrong = tmp_path / f"wrong{ending}"
    random = Random(1)
    for _ in range(25):
        at = random.randrange(len(data) - (12_000 if ending == ".tar" else 0))  # zeros follow the end of a tar file
        wrong.write_bytes(data[:at])
        done = qiosk("restore", wrong, "--check", status=2)
        assert str(wrong) in done.stderr
        wrong.write_bytes(data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :])
        done = CliRunner().invoke(app, ["admin", "restore", str(wrong), "--check"])
        if done.exit_code == 0:  # a byte without a meaning, such as padding
            assert read_all(wrong) == read_all(whole)
        else:
            assert (done.exit_code, str(wrong) in done.stderr) == (2, True), done.output


def read_all(path):
    return {member.name: b"".join(member.pieces) for member in open_archive(path).members()}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "rows/../../evil", "./manifest.json", "rows/jobs/x"])
def test_a_tar_file_with_foreign_names_is_refused(tmp_path, name):
    path = tmp_path / "b.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    assert "is not a file of a backup" in qiosk("restore", path, "--home", tmp_path / "new", status=2).stderr


def test_links_in_an_archive_are_refused(tmp_path):
    path = tmp_path / "b.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    assert "must be a plain file" in qiosk("restore", path, "--check", status=2).stderr
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "manifest.json").symlink_to("/etc/passwd")
    assert "must be a plain file" in qiosk("restore", tmp_path / "b", "--check", status=2).stderr


def test_a_backup_while_jobs_run_has_them_wait_again(tmp_path):
    home, new = tmp_path / "home", tmp_path / "new"
    service = open_home(home)
    gate = tmp_path / "gate"
    order = {"chunks": 20, "gate": str(gate)}
    running, cancelled = (
        submit(service, order),
        submit(service, {**order, "is_deaf": True, "gate": str(tmp_path / "no")}),
    )
    waiting = submit(service, {"chunks": 2, "gate": str(gate)})
    try:
        for view in (running, cancelled):
            wait_until(service, view.id, lambda now: now.status is JobStatus.EXECUTING)
        service.cancel(cancelled.id)
        qiosk("backup", tmp_path / "b", "--home", home)
    finally:
        close_home(home)
    qiosk("restore", tmp_path / "b", "--home", new)
    store = open_sqlite(Home(new).database)  # a service would start a supervisor, which runs them
    states = [store.get(JobKey("default", view.id)).state for view in (running, waiting, cancelled)]
    store.close()
    assert states == ["Waiting", "Waiting", "Cancelled"]
    gate.touch()
    service = open_home(new)
    submit(service, {"chunks": 1})  # starts the supervisor
    try:
        for view in (running, waiting):
            assert finished(service, view.id).status is JobStatus.SUCCEEDED
        assert claims_of(json.loads(service.results(running.id))["fence"]) == 2
    finally:
        close_home(new)


def test_every_result_that_a_row_names_is_in_a_backup_made_while_jobs_end(tmp_path):
    home = tmp_path / "home"
    service = open_home(home)
    views = [submit(service, {"chunks": 5}) for _ in range(12)]
    try:
        for number in range(4):
            qiosk("backup", tmp_path / f"b{number}", "--home", home)
            if number < 3:
                finished(service, views[3 * number].id)
    finally:
        close_home(home)
    succeeded = 0
    for number in range(4):
        new = tmp_path / f"new{number}"
        qiosk("restore", tmp_path / f"b{number}", "--home", new)
        restored = open_embedded(new)
        found = list(restored.list(JobQuery()))
        assert {view.status for view in found} <= {JobStatus.WAITING, JobStatus.SUCCEEDED}
        for view in found:
            if view.status is JobStatus.SUCCEEDED:
                succeeded += 1
                assert json.loads(restored.results(view.id))["cost"] == -5
                assert len(restored.trace(view.id)) == 5
    assert succeeded


def test_a_row_that_the_other_database_refuses_is_said(tmp_path, monkeypatch):
    home = fresh(tmp_path)
    with _opened(home) as place, place.database.write() as connection:
        key = {column.name: {str: "x", int: 1}[column.type.python_type] for column in api_keys.columns}
        connection.execute(api_keys.insert().values({**key, "is_read_only": 1 << 40}))
    qiosk("backup", tmp_path / "b", "--home", home)
    with databases.postgres_schema() as database, settings_of(monkeypatch, database):
        done = qiosk("restore", tmp_path / "b", "--home", tmp_path / "new", status=2)
    assert "table api_keys: the database refuses a row: integer out of range" in done.stderr


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_interrupted_restore_is_repeated(source, tmp_path, monkeypatch, kind):
    home, _ = source
    new = tmp_path / "new"
    qiosk("backup", tmp_path / "one", "--home", home)
    qiosk("backup", tmp_path / "two", "--home", home)
    before = content(home)
    with ExitStack() as stack:
        if kind == "postgresql":
            stack.enter_context(settings_of(monkeypatch, stack.enter_context(databases.postgres_schema())))
        for step in (SqlRows, "load"), (SqlRows, "end"), (restoring, "_store"):
            with monkeypatch.context() as patch:
                patch.setattr(*step, interrupted)
                qiosk("restore", tmp_path / "one", "--home", new, status=1)
            with pytest.raises(Conflict, match="repeat `qiosk admin restore`"):
                open_embedded(new)
        assert "another backup was interrupted" in qiosk("restore", tmp_path / "two", "--home", new, status=1).stderr
        qiosk("restore", tmp_path / "one", "--home", new)
        assert content(new) == before


def interrupted(*_, **__):
    raise OSError("interrupted")


def test_blobs_that_change_or_go_while_they_are_read_are_left_out_or_read_again(source, tmp_path, monkeypatch):
    home, _ = source
    reads = []

    def pieces(reader, start=0, stop=None):
        reads.append(reader)
        data = b"".join(read(reader, start, stop))
        if len(reads) == 1:
            yield data[: len(data) // 2]
            raise BlobChanged("it was")
        if len(reads) == 3:
            raise BlobNotFound("it was")
        yield data

    read = FileReader.pieces
    with monkeypatch.context() as patch:
        patch.setattr(FileReader, "pieces", pieces)
        written = json.loads(qiosk("backup", tmp_path / "b.tar", "--home", home, "--json").stdout)
    assert written["removed_blobs"] == 1
    qiosk("restore", tmp_path / "b.tar", "--home", tmp_path / "new")
    (rows, blobs), (old_rows, old_blobs) = content(tmp_path / "new"), content(home)
    assert rows == old_rows
    assert len(old_blobs) == len(blobs) + 1
    assert all(old_blobs[place] == found for place, found in blobs.items())


def test_a_server_that_runs_is_left_alone(source, tmp_path):
    home, _ = source
    qiosk("backup", tmp_path / "b", "--home", home)
    presence = ServerPresence(Home(tmp_path / "new"))
    try:
        assert (
            "a server or a supervisor runs"
            in qiosk("restore", tmp_path / "b", "--home", tmp_path / "new", status=1).stderr
        )
    finally:
        presence.end()


@pytest.mark.parametrize("revision", ["0001", "0009", "0015"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_older_databases_are_backed_up_and_restored_as_new_ones(tmp_path, monkeypatch, revision, kind):
    old, new = tmp_path / "old", tmp_path / "new"
    Home(old)
    database = Database(parse_url("", default=old / "jobs.db"))
    with database.write() as connection:
        schema.make_anew(connection, revision)
        table = sa.Table("jobs", sa.MetaData(), autoload_with=connection)
        row = {column.name: {str: "x", int: 1, float: 0.5}[column.type.python_type] for column in table.columns}
        row |= {"input_params": "null", "metadata": "null", "tags": "[]", "state": "Waiting", "name": "Äb"}
        connection.execute(table.insert().values({name: row[name] for name in row if name in table.columns}))
    database.close()
    assert json.loads(qiosk("backup", tmp_path / "b", "--home", old, "--json").stdout)["schema"] == revision
    with ExitStack() as stack:
        if kind == "postgresql":
            stack.enter_context(settings_of(monkeypatch, stack.enter_context(databases.postgres_schema())))
        qiosk("restore", tmp_path / "b", "--home", new)
        rows, _ = content(new)
        assert [(job["name"], job["state"]) for job in rows["jobs"]] == [("Äb", "Waiting")]
        with _opened(new) as place:
            assert schema.revision_of(place.database) == schema.REVISION


def test_a_backup_of_a_newer_release_is_refused(source, tmp_path, monkeypatch):
    home, _ = source
    qiosk("backup", tmp_path / "b", "--home", home)
    monkeypatch.setattr(schema, "REVISION", "0001")
    done = qiosk("restore", tmp_path / "b", "--home", tmp_path / "new", status=1)
    assert f"use the release of Qiosk that wrote it, {__version__}, or a newer one" in done.stderr

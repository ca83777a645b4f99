"""What holds for every test: limits of time as ``patience`` has them; none in the user's home or for their terminal."""

from __future__ import annotations

import os
import signal
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import patience

TESTS = Path(__file__).parent
WAITING = ("browser", "conformance", "e2e", "integration")
"""Folders of tests that start processes and wait for them, rather than compute."""
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
os.environ["RAY_AUTH_MODE"] = "token"  # Ray reads it when it is imported; clusters of tests want tokens
os.environ.pop("COLUMNS", None)  # runners of tests may set the width of a terminal, which cuts tables


@pytest.hookimpl(tryfirst=True)  # before pytest-timeout reads it
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("timeout") is None:
        config.option.timeout = patience.TEST_S
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; some tests send it
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files whose tests wait evenly among those whose tests compute, those of slow tests first."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    kinds: tuple[list[Path], list[Path]] = ([], [])
    for path, _ in sorted(files.items(), key=lambda pair: -sum("slow" in test.keywords for test in pair[1])):
        kinds[path.relative_to(TESTS).parts[0] in WAITING].append(path)
    place = {path: (at + 1) / len(paths) for paths in kinds for at, path in enumerate(paths)}
    items[:] = [item for path in sorted(files, key=lambda path: place[path]) for item in files[path]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, for many tests wait for processes that they have started."""
    return patience.cores() + 1


@pytest.fixture(autouse=True, scope="session")
def _own_home():
    """Programs that name no home get one that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="qiosk-home-", ignore_cleanup_errors=True) as home:
        before = os.environ.get("QIOSK_HOME")
        os.environ["QIOSK_HOME"] = str(Path(home) / "home")
        os.environ.setdefault("QIOSK_IDLE_SECONDS", "2")
        yield
        if before is None:
            del os.environ["QIOSK_HOME"]
        else:
            os.environ["QIOSK_HOME"] = before


@pytest.fixture(scope="session")
def s3_environment():
    """Variables that lead to a bucket, for the whole run."""
    import storages

    with storages.s3_environment() as environ:
        yield environ


@pytest.fixture(scope="session")
def azure_environment():
    """Variables that lead to an Azure storage account, for the whole run."""
    import storages

    with storages.azure_environment() as environ:
        yield environ


@pytest.fixture
def s3_storage(s3_environment, monkeypatch):
    """A storage in a bucket, under a prefix of its own."""
    from qiosk.bootstrap.storage import open_storage

    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    return open_storage(f"s3://bucket/{uuid.uuid4()}")


@pytest.fixture
def azure_storage(azure_environment, monkeypatch):
    """A storage in an account, which tests share: use workspaces of your own."""
    from qiosk.bootstrap.storage import open_storage

    for name, value in azure_environment.items():
        monkeypatch.setenv(name, value)
    return open_storage("az://devstoreaccount1")


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL database with our tables, for the whole run; tests empty it."""
    from databases import postgres_schema
    from qiosk.adapters.sql.databases.database import parse_url
    from qiosk.adapters.sql.schema import open_database

    with postgres_schema() as url:
        database = open_database(parse_url(url, default=Path()))
        yield database
        database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """An empty database of each kind."""
    from databases import empty
    from qiosk.adapters.sql.schema import open_sqlite_database

    if request.param == "sqlite":
        opened = open_sqlite_database(tmp_path / "jobs.db")
    else:
        opened = request.getfixturevalue("postgres")
        empty(opened)
    yield opened
    opened.close()


@pytest.fixture
def unpropagated(monkeypatch):
    """Models are searched in rounds only: propagation would find the best solution before."""
    from qiosk.modeling import Model

    monkeypatch.setattr(Model, "propagation", lambda self: None)

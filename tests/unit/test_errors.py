"""Errors cross processes and machines as what they are."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_jobs import FakeJobs
from qiosk import errors, plots
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.bootstrap.storage import open_storage
from qiosk.client.results import Results
from qiosk.client.workspace import Workspace
from qiosk.contract.jobs import TracePoint
from qiosk.errors import MissingExtra, QioskError, QuotaExceeded
from qiosk.problem import Problem

ALL = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, QioskError)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_survives_pickle(cls):
    error = pickle.loads(pickle.dumps(cls("job j: must be x, found y", job_id="j")))
    assert type(error) is cls
    assert (error.message, error.details) == ("job j: must be x, found y", {"job_id": "j"})
    assert str(error).endswith("job j: must be x, found y")
    assert error.error_data()["code"] == cls.code


@pytest.mark.parametrize(("details", "expected"), [({}, 60), ({"retry_after_s": 7}, 7)])
def test_an_exceeded_quota_says_when_to_ask_again(details, expected):
    assert QuotaExceeded("queued jobs: at most 5 are allowed, found 5", **details).retry_after_s == expected


def interop(name: str) -> Callable[[pytest.MonkeyPatch], object]:
    def load(monkeypatch):
        for module in [module for module in sys.modules if module.startswith(f"qiosk.interop.{name}")]:
            monkeypatch.delitem(sys.modules, module)
        return importlib.import_module(f"qiosk.interop.{name}")

    return load


@pytest.mark.parametrize(
    ("extra", "package", "use"),
    [
        ("plot", "matplotlib", lambda _: plots.search([TracePoint(0.1, 1, 2.0)])),
        ("scipy", "scipy.sparse", lambda _: Problem("p").to_matrix(sparse=True)),
        ("pandas", "pandas", lambda _: Results().to_frame()),
        ("pandas", "pandas", lambda _: Workspace(api=FakeJobs()).list_jobs(as_frame=True)),
        ("azure", "qiosk.adapters.blobs.azure", lambda _: open_storage("az://account")),
        ("dimod", "dimod", interop("dimod")),
        ("ommx", "ommx.adapter", interop("ommx")),
        ("postgres", "psycopg", lambda _: Database(parse_url("postgresql://host/name", default=Path()))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_extra_is_named_by_what_needs_it(monkeypatch, extra, package, use):
    monkeypatch.setenv("AZURE_STORAGE_KEY", "key")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtra, match=rf": the extra `{extra}` is not installed, try: pip install 'qiosk\[{extra}\]'"
    ):
        use(monkeypatch)

"""Links are made so that every client finds the blob behind them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from qiosk.adapters.blobs.local import LocalStorage
from qiosk.adapters.home.secret_key import load_secret
from qiosk.errors import InvalidValue
from qiosk.server.auth.links import LIFETIME, Links, end_of_links
from qiosk.service.blobs import sas
from qiosk.service.blobs.locations import ServedLocations

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SECRET = b"s" * 32


def links(tmp_path, base="http://127.0.0.1:8000", *, may_write=True):
    storage = LocalStorage(tmp_path, ServedLocations())
    return Links(storage=storage, secret=SECRET, workspace="s/g/w", base=base, may_write=may_write, now=lambda: NOW)


@pytest.mark.parametrize(
    ("base", "container", "path"),
    [
        ("http://127.0.0.1:8000", "c", "/qiosk/c/a%20b/c"),
        ("http://localhost", "c", "/qiosk/c/a%20b/c"),
        ("https://jobs.example.org", "c", "/c/a%20b/c"),
        ("https://jobs.example.org", "docs", "/qiosk/docs/a%20b/c"),
        ("https://jobs.example.org", "qiosk", "/qiosk/qiosk/a%20b/c"),
        ("https://example.org/jobs", "c", "/jobs/qiosk/c/a%20b/c"),
        ("http://10.0.0.7:8000", "c", "/c/a%20b/c"),
    ],
)
def test_the_account_is_there_where_clients_need_it(tmp_path, base, container, path):
    link = links(tmp_path, base).blob(container, "a b/c")
    assert link.startswith(base)
    assert urlsplit(link).path == path
    served = ServedLocations(urlsplit(base).path)
    assert served.resolve(link) == (container, "a b/c")


def test_links_are_signed_for_at_least_a_day_and_alike_for_an_hour(tmp_path):
    link = links(tmp_path).container("c")
    query = parse_qsl(urlsplit(link).query)
    grant = sas.verify(SECRET, query, container="c", blob=None, now=NOW)
    assert LIFETIME <= grant.until - NOW <= LIFETIME + timedelta(hours=1)
    assert end_of_links(NOW) == end_of_links(NOW + timedelta(minutes=53))
    assert grant.workspace == "s/g/w"


@pytest.mark.parametrize(("may_write", "container", "blob"), [(True, "racwl", "racw"), (False, "rl", "r")])
def test_whoever_may_not_write_gets_links_that_read(tmp_path, may_write, container, blob):
    maker = links(tmp_path, may_write=may_write)
    for link, expected in ((maker.container("c"), container), (maker.blob("c", "a"), blob)):
        assert dict(parse_qsl(urlsplit(link).query))["sp"] == expected


def test_bad_names_get_no_link(tmp_path):
    for names in (("..", "a"), ("c", "../a"), ("c", "")):
        with pytest.raises(InvalidValue):
            links(tmp_path).blob(*names)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("http://other:1/qiosk/c/a?sig=x", ("c", "a")),
        ("https://any.host/c/a/b%20c", ("c", "a/b c")),
        ("/qiosk/c", ("c", None)),
        ("http://h/qiosk/qiosk/a", ("qiosk", "a")),
    ],
)
def test_uris_are_resolved_by_their_path_alone(uri, place):
    assert ServedLocations().resolve(uri) == place


@pytest.mark.parametrize(
    "uri", ["", "http://h/", "http://h/qiosk/../x/a", "http://[", "http://h/c/%ff", "file:///etc/../passwd"]
)
def test_uris_of_nothing_are_refused(uri):
    with pytest.raises(InvalidValue):
        ServedLocations().resolve(uri)


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "secret.key"
    secret = load_secret(path)
    assert len(secret) == 32
    assert load_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(b"short")
    with pytest.raises(InvalidValue, match="must hold at least 16 bytes"):
        load_secret(path)

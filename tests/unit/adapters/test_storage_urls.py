"""The URL that says where blobs are kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from qiosk.adapters.blobs.local import LocalStorage
from qiosk.adapters.home.home import Home
from qiosk.bootstrap.storage import open_storage, storage_url
from qiosk.errors import InvalidValue
from qiosk.service.jobs.job import BlobRef
from qiosk.settings import Settings

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
LATER = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def account(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    monkeypatch.delenv("AZURE_STORAGE_ENDPOINT", raising=False)


def test_blobs_are_in_the_home_unless_a_url_says_otherwise(tmp_path):
    home = Home(tmp_path / "a home")
    settings = Settings(home=home.path)
    assert storage_url(home, settings) == (home.path / "blobs").as_uri()
    assert storage_url(home, Settings(home=home.path, storage="s3://bucket")) == "s3://bucket"
    storage = open_storage(storage_url(home, settings))
    assert isinstance(storage, LocalStorage)
    storage.blobs("w").put(BlobRef("c", "a"), b"1")
    assert (home.path / "blobs" / "w" / "c" / "a").read_bytes() == b"1"
    assert storage.workspaces() == ["w"]


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("file://host/path", "a file URL must be file:///PATH"),
        ("s3:///prefix", "an S3 URL must be"),
        ("s3://bucket?x=1", "an S3 URL must be"),
        ("az://", "an Azure URL must be"),
        ("az://account/container", "an Azure URL must be"),
        ("az://account?links=all", "an Azure URL must be"),
        ("gs://bucket", "unknown scheme 'gs'; use file, s3 or az"),
    ],
)
def test_urls_that_name_no_storage_are_refused(url, rule, account):
    with pytest.raises(InvalidValue, match=f"QIOSK_STORAGE: {rule}"):
        open_storage(url)


def test_an_account_needs_its_key(monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_KEY", raising=False)
    with pytest.raises(InvalidValue, match="AZURE_STORAGE_KEY: must be a key of the storage account"):
        open_storage("az://account")


@pytest.mark.parametrize("container", ["job-1", "UPPER_case", "a.b", "x" * 100, "a--b", "x" + "0" * 40])
def test_any_container_has_a_name_in_an_account(account, container):
    blobs = open_storage("az://account").blobs("s/g/w")
    uri = blobs.uri(container, "a b/c")
    assert uri.startswith("https://account.blob.core.windows.net/q")
    resolved, name = blobs.resolve(f"{uri}?sig=x")
    assert name == "a b/c"
    assert blobs.uri(resolved, name) == uri
    assert 3 <= len(uri.split("/")[3]) <= 63
    other = open_storage("az://account").blobs("s/g/other")
    with pytest.raises(InvalidValue, match="blob uri: must begin with"):
        other.resolve(uri)


def test_links_into_an_account_open_a_container_or_all_if_that_is_asked_for(account):
    for url, expected in (("az://account", "sr=c"), ("az://account?links=account", "srt=co")):
        link = open_storage(url).signed_uri("s/g/w", "job-1", None, "racwl", LATER)
        assert expected in link
    assert "sr=b" in open_storage("az://account").signed_uri("s/g/w", "job-1", "a", "r", LATER)

"""Settings are read from the environment, and say what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk import settings as settings_module
from qiosk.errors import InvalidValue
from qiosk.server.settings import read_server_settings
from qiosk.settings import Settings, default_home, default_memory_limit, parse_duration, read_settings


def test_an_empty_environment_gives_the_defaults():
    settings = read_settings({})
    assert settings == Settings()
    assert settings.home == default_home()
    assert (settings.executor, settings.ray_address, settings.ray_resources) == ("local", "auto", {})
    assert settings.concurrent_jobs is None
    assert settings.threads is None
    assert 0 < settings.memory_limit_here() < 2**50


def test_empty_variables_count_as_missing():
    assert read_settings({"QIOSK_HOME": "", "QIOSK_THREADS": "  "}) == Settings()


@pytest.mark.parametrize(("memory", "limit"), [(1_000_000, 800_000), (0, 0)])
def test_a_job_may_use_a_share_of_the_memory_there_is(monkeypatch, memory, limit):
    monkeypatch.setattr(settings_module, "physical_memory", lambda: memory)
    assert Settings().memory_limit_here() == default_memory_limit() == limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1000", 1000), ("2K", 2048), ("800M", 800 * 2**20), ("4g", 2**32), ("1 GiB", 2**30)],
)
def test_memory_may_carry_a_suffix(text, expected):
    assert read_settings({"QIOSK_MEMORY_LIMIT": text}).memory_limit == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0s", 0), ("90s", 90), ("15m", 900), ("12 h", 43_200), ("30D", 2_592_000), ("2w", 1_209_600)],
)
def test_durations_carry_a_unit(text, expected):
    assert parse_duration("age", text).total_seconds() == expected


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("QIOSK_HOME", "some/where", "must be an absolute path"),
        ("QIOSK_STORAGE", "ftp://host/x", "must begin with file://, s3:// or az://"),
        ("QIOSK_STORAGE", "/some/folder", "must begin with file://, s3:// or az://"),
        ("QIOSK_CONCURRENT_JOBS", "0", "must be an integer of at least 1"),
        ("QIOSK_THREADS", "two", "must be an integer of at least 1"),
        ("QIOSK_MEMORY_LIMIT", "-1", "must be a number of bytes such as 800M or 4G"),
        ("QIOSK_MAX_ATTEMPTS", "1.5", "must be an integer of at least 1"),
        ("QIOSK_CANCEL_SECONDS", "soon", "must be a number of seconds of at least 0"),
        ("QIOSK_IDLE_SECONDS", "-1", "must be a number of seconds of at least 0"),
        ("QIOSK_HANG_SECONDS", "inf", "must be a number of seconds of at least 0"),
        ("QIOSK_CANCEL_SECONDS", "nan", "must be a number of seconds of at least 0"),
        ("QIOSK_RETENTION", "a month", "must be a length of time such as 90s, 15m, 12h, 30d or 2w"),
        ("QIOSK_RETENTION", "30", "must be a length of time such as 90s, 15m, 12h, 30d or 2w"),
        ("QIOSK_RETENTION", "999999999w", "must be at most 36500d"),
        ("QIOSK_LIMIT_JOB_HOURS", "-1", "must be a number of hours of at least 0"),
        ("QIOSK_LIMIT_QUEUED_JOBS", "many", "must be an integer of at least 0"),
        ("QIOSK_LIMIT_STORED_BYTES", "x", "must be a number of bytes such as 800M or 4G"),
        ("QIOSK_LIMIT_RUN_SECONDS", "0", "must be a number of seconds above 0"),
        ("QIOSK_IDLE_SECONDS", "1e400", "must be a number of seconds of at least 0"),
    ],
)
def test_errors_name_variable_rule_and_value(variable, value, rule):
    with pytest.raises(InvalidValue) as caught:
        read_settings({variable: value})
    assert caught.value.message == f"{variable}: {rule}, found {value!r}"


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("QIOSK_PORT", "65536", "must be an integer from 0 to 65535"),
        ("QIOSK_PUBLIC_URL", "example.org", "must be http://HOST or https://HOST, perhaps with a port and a path"),
        ("QIOSK_INSECURE", "perhaps", "must be true or false"),
        ("QIOSK_MAX_BODY_BYTES", "1000", "must be a number of bytes such as 800M or 4G, at least 1024"),
        ("QIOSK_BODY_SECONDS", "0", "must be a number of seconds above 0"),
        ("QIOSK_SERVER_THREADS", "1001", "must be an integer from 1 to 1000"),
        ("QIOSK_LOG_FORMAT", "xml", "must be json or console"),
    ],
)
def test_errors_of_a_servers_settings_name_the_same(monkeypatch, variable, value, rule):
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidValue) as caught:
        read_server_settings()
    assert caught.value.message == f"{variable}: {rule}, found {value!r}"


def test_a_servers_settings_may_be_given_as_values(monkeypatch):
    monkeypatch.setenv("QIOSK_MAX_BLOB_BYTES", "2G")
    settings = read_server_settings(port=0, insecure=True, certfile=Path("a.pem"), keyfile=Path("b.pem"))
    assert (settings.port, settings.insecure, settings.certfile) == (0, True, Path("a.pem"))
    assert settings.max_blob_bytes == 2 << 30
    with pytest.raises(InvalidValue, match="--port: must be an integer from 0 to 65535, found '-1'"):
        read_server_settings(port=-1)


def test_a_secret_in_a_storage_url_is_refused_and_not_repeated():
    with pytest.raises(InvalidValue, match="QIOSK_STORAGE: must hold no credentials") as caught:
        read_settings({"QIOSK_STORAGE": "s3://key:hidden@host/bucket"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "found", "rule"),
    [
        ("QIOSK_EXECUTOR", "slurm", "must be local or ray, found 'slurm'"),
        ("QIOSK_RAY_ADDRESS", "head", "must be HOST:PORT or auto, found 'head'"),
        ("QIOSK_RAY_ADDRESS", "ray://head:10001", "must be HOST:PORT or auto"),
        ("QIOSK_RAY_ADDRESS", "http://head:1", "must be HOST:PORT or auto"),
        ("QIOSK_RAY_RESOURCES", "GPU", "must be distinct names with amounts"),
        ("QIOSK_RAY_RESOURCES", "GPU=1,GPU=2", "must be distinct names with amounts"),
        ("QIOSK_RAY_RESOURCES", "CPU=2", "without CPU and memory"),
        ("QIOSK_RAY_RESOURCES", "GPU=none", "GPU: must be a number of units above 0, found 'none'"),
    ],
)
def test_a_cluster_is_named_exactly(variable, found, rule):
    with pytest.raises(InvalidValue, match=re.escape(rule)) as caught:
        read_settings({variable: found})
    assert variable in str(caught.value)


def test_overrides_win_over_the_environment():
    settings = read_settings({"QIOSK_HOME": "/a", "QIOSK_THREADS": "3"}, home=Path("/b"), threads=None)
    assert (settings.home, settings.threads) == (Path("/b"), 3)


@given(
    st.builds(
        Settings,
        home=st.just(Path("/some/home")),
        storage=st.none() | st.sampled_from(["file:///blobs", "s3://bucket/prefix", "az://account"]),
        executor=st.sampled_from(["local", "ray"]),
        ray_address=st.sampled_from(["auto", "127.0.0.1:6379", "head.example:6379", "[::1]:6379"]),
        ray_resources=st.dictionaries(st.sampled_from(["GPU", "fast", "accelerator_type:H200"]), st.floats(1e-4, 1e6)),
        concurrent_jobs=st.none() | st.integers(1, 10**6),
        threads=st.none() | st.integers(1, 512),
        memory_limit=st.none() | st.integers(0, 2**45),
        max_attempts=st.integers(1, 1000),
        hang_seconds=st.integers(0, 10**6).map(lambda tenths: tenths / 10),
        cancel_seconds=st.floats(0, 1e300),
        idle_seconds=st.floats(0, 1e300),
        retention=st.none() | st.integers(0, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
        limit_job_hours=st.none() | st.floats(0, 1e300),
        limit_concurrent_jobs=st.none() | st.integers(0, 10**9),
        limit_queued_jobs=st.none() | st.integers(0, 10**9),
        limit_open_sessions=st.none() | st.integers(0, 10**9),
        limit_stored_bytes=st.none() | st.integers(0, 2**50),
        limit_run_seconds=st.none() | st.just(float("inf")) | st.floats(1e-3, 1e9),
    )
)
def test_settings_survive_the_way_through_an_environment(settings):
    assert read_settings(settings.to_environ()) == settings


def test_every_setting_is_documented():
    for member in fields(Settings):
        assert f"QIOSK_{member.name.upper()}" in (settings_module.__doc__ or "")


def test_a_user_without_a_home_folder_has_to_name_one(monkeypatch):
    def unknown_user(_uid: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown_user)
    with pytest.raises(InvalidValue, match="QIOSK_HOME: must be set"):
        read_settings({})
    with pytest.raises(InvalidValue, match="QIOSK_HOME: the user's home folder is unknown"):
        read_settings({"QIOSK_HOME": "~/q"})
    assert read_settings({"QIOSK_HOME": "/q"}).home == Path("/q")

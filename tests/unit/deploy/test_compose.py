"""``compose.yaml`` against the schema of Compose, and what it promises."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed import DEPLOY, VALIDATORS, missing, need

FILE = DEPLOY / "compose.yaml"
RAY = DEPLOY / "compose.ray.yaml"
FILES = pytest.mark.parametrize("file", [FILE, RAY], ids=lambda file: file.name)
SCHEMA = VALIDATORS / "node_modules" / "dclint" / "schemas" / "compose.schema.json"


def compose(file: Path = FILE) -> dict[str, Any]:
    return yaml.safe_load(file.read_text())


SERVICES = {name: service for file in (RAY, FILE) for name, service in compose(file)["services"].items()}
RUNNING = [name for name in SERVICES if name != "bucket"]


@FILES
def test_the_schema_of_compose_is_met(file: Path) -> None:
    if not SCHEMA.exists():
        missing("the schema of Compose is not installed: make validators")
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    assert [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(compose(file))] == []


@FILES
def test_dclint_finds_no_error(file: Path) -> None:
    done = subprocess.run([need("dclint"), "--quiet", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_only_the_loopback_address_is_published(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_limited_and_pinned(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] in ("unless-stopped", "on-failure")
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    if "build" not in service:
        assert re.search(r":[\w.-]*\d[\w.-]*$", service["image"])


@pytest.mark.parametrize("name", [name for name in RUNNING if name != "qiosk"])  # its image has a health check
def test_every_running_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_every_variable_is_in_the_example() -> None:
    example = (DEPLOY / "env.example").read_text()
    used = set(re.findall(r"(?<!\$)\$\{(\w+)|\benvironment: (\w+)$", FILE.read_text() + RAY.read_text(), re.M))
    used = {name for names in used for name in names if name}
    given = set(re.findall(r"^#?(\w+)=", example, re.M))
    assert used == given


def test_what_is_mounted_exists() -> None:
    named = {name for file in (FILE, RAY) for name in compose(file)["volumes"]}
    for file in (FILE, RAY):
        for service in compose(file)["services"].values():
            for volume in service.get("volumes", []):
                source, _, target = volume.partition(":")
                assert source in named or not target or (DEPLOY / source).exists()


def test_the_server_is_on_the_machine_of_the_head_and_all_have_the_token() -> None:
    server, head, worker = (compose(RAY)["services"][name] for name in ("qiosk", "ray-head", "ray-worker"))
    assert {head[space] for space in ("network_mode", "pid", "ipc")} == {"service:qiosk"}
    assert server["ipc"] == "shareable"
    assert server["volumes"] == head["volumes"] == ["ray:/tmp/ray"]
    assert server["environment"]["QIOSK_EXECUTOR"] == "ray"
    assert "ports" not in {**server, **head, **worker}
    assert compose()["networks"][worker["networks"][0]]["internal"]
    for service in (server, head, worker):
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["environment"]["RAY_AUTH_TOKEN_PATH"] == f"/run/secrets/{service['secrets'][0]}"
        assert service["build"]["args"]["EXTRAS"].split(",")[-1] == "ray"
    for service in (head, worker):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]

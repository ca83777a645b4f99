"""``compose.yaml`` against the schema of Compose, and what it promises."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from deployed import DEPLOY, VALIDATORS, missing, need

FILE = DEPLOY / "compose.yaml"
SCHEMA = VALIDATORS / "node_modules" / "dclint" / "schemas" / "compose.schema.json"


def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


SERVICES = sorted(compose()["services"])
RUNNING = [name for name in SERVICES if name != "bucket"]


def test_the_schema_of_compose_is_met() -> None:
    if not SCHEMA.exists():
        missing("the schema of Compose is not installed: make validators")
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    assert [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(compose())] == []


def test_dclint_finds_no_error() -> None:
    done = subprocess.run([need("dclint"), "--quiet", FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_only_the_loopback_address_is_published(name: str) -> None:
    for port in compose()["services"][name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_limited_and_pinned(name: str) -> None:
    service = compose()["services"][name]
    assert service["restart"] in ("unless-stopped", "on-failure")
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    if "build" not in service:
        assert re.search(r":[\w.-]*\d[\w.-]*$", service["image"])


@pytest.mark.parametrize("name", [name for name in RUNNING if name != "qiosk"])  # its image has a health check
def test_every_running_service_has_a_health_check(name: str) -> None:
    assert compose()["services"][name]["healthcheck"]["test"][0] == "CMD"


def test_every_variable_is_in_the_example() -> None:
    example = (DEPLOY / "env.example").read_text()
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text()))
    given = set(re.findall(r"^#?(\w+)=", example, re.M))
    assert used == given


def test_what_is_mounted_exists() -> None:
    for name in SERVICES:
        for volume in compose()["services"][name].get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose()["volumes"] or (DEPLOY / source).exists()

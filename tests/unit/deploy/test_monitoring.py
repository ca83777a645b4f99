"""The rules of Prometheus and the dashboard of Grafana ask for what ``/metrics`` has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml

from deployed import DEPLOY, need
from qiosk.service.jobs.job import JobState

RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "qiosk.json"
PAGE = Path(__file__).parents[3] / "docs" / "deployment.md"
OPERATIONS = PAGE.with_name("operations.md")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def alerts() -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def targets() -> list[dict[str, str]]:
    return [target for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]


def expressions() -> list[str]:
    return [rule["expr"] for rule in alerts()] + [target["expr"] for target in targets()]


@pytest.fixture
def samples(http: httpx.Client) -> set[str]:
    """Names of the samples that a server's page of metrics has or declares."""
    http.get("/healthz")
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", http.get("/metrics").text, re.M)
    return {name + suffix for name, kind in kinds for suffix in SUFFIXES[kind]}


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_exists(expression: str, samples: set[str]) -> None:
    names = set(re.findall(r"\bqiosk_\w+", expression))
    assert names <= samples
    assert names or "up{" in expression


def test_every_metric_is_on_the_dashboard(samples: set[str]) -> None:
    shown = " ".join(target["expr"] for target in targets())
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in samples if not name.endswith("_created")}
    assert {name for name in families if name not in shown} == set()


@pytest.mark.parametrize("expression", expressions())
def test_every_state_exists(expression: str) -> None:
    asked = {state for found in re.findall(r'state=~?"([^"]*)"', expression) for state in found.split("|")}
    assert asked <= {state.value for state in JobState}


def test_panels_do_not_overlap() -> None:
    places = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & places
        assert max(x for x, _ in cells) < 24
        places |= cells


def test_every_alert_is_documented() -> None:
    text = PAGE.read_text()
    assert [rule["alert"] for rule in alerts() if f"`{rule['alert']}`" not in text] == []


def further_rules() -> str:
    """The rules in the page for operators."""
    (found,) = re.findall(r"^```yaml\n(.*?)^```", OPERATIONS.read_text(), re.M | re.S)
    return found


def test_the_page_for_operators_has_every_metric_and_no_other(samples: set[str]) -> None:
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in samples if not name.endswith("_created")}
    table = re.findall(r"^\| `(qiosk_\w+)` \|", OPERATIONS.read_text(), re.M)
    assert sorted(table) == sorted(families)


def test_the_page_for_operators_says_what_to_do_when_an_alert_fires() -> None:
    further = [rule for group in yaml.safe_load(further_rules())["groups"] for rule in group["rules"]]
    assert all({"alert", "expr", "labels", "annotations"} <= rule.keys() for rule in further)
    headings = re.findall(r"^### (Qiosk\w+)$", OPERATIONS.read_text(), re.M)
    assert sorted(headings) == sorted(rule["alert"] for rule in [*alerts(), *further])


def test_promtool_accepts_the_rules_of_the_page_for_operators(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(further_rules())
    subprocess.run([need("promtool"), "check", "rules", tmp_path / "rules.yml"], check=True)


def test_promtool_accepts_rules_and_scraping(tmp_path: Path) -> None:
    promtool = need("promtool")
    for path in (RULES, DEPLOY / "prometheus" / "prometheus.yml"):
        text = path.read_text().replace("/run/secrets/admin_key", str(tmp_path / "key"))
        (tmp_path / path.name).write_text(text)
    (tmp_path / "key").write_text("a key")
    shutil.copy(RULES, tmp_path)
    done = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard_expressions_are_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"shown:{number}", "expr": target["expr"].replace("$__rate_interval", "1m").replace("$job", "qiosk")}
        for number, target in enumerate(targets())
    ]
    (tmp_path / "shown.yml").write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}))
    command = [need("promtool"), "check", "rules", tmp_path / "shown.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

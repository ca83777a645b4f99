"""Each alert fires when it should and not when all is well, as promtool computes from made-up series of two servers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed import DEPLOY, need

RULES = DEPLOY / "prometheus" / "rules.yml"
LIST = 'qiosk_http_request_seconds_bucket{method="GET",route="/w/{workspace}/jobs",le='
WELL = {  # over two hours, a sample a minute; both servers report the same jobs
    "up{job=~}": "1+0x120",
    'qiosk_jobs{state="Waiting"}': "5+0x120",
    'qiosk_jobs{state="Executing"}': "2+0x120",
    "qiosk_oldest_waiting_job_seconds": "60+0x120",
    'qiosk_jobs_ended_total{target="a",state="Succeeded"}': "0+10x120",
    'qiosk_jobs_ended_total{target="a",state="Failed"}': "0+1x120",
    'qiosk_job_attempts_lost_total{target="a"}': "0+0x120",
    'qiosk_http_requests_total{method="GET",route="r",status="200"}': "0+100x120",
    'qiosk_http_requests_total{method="GET",route="r",status="503"}': "0+1x120",
    f'{LIST}"0.5"}}': "0+100x120",
    f'{LIST}"2.5"}}': "0+100x120",
    f'{LIST}"+Inf"}}': "0+100x120",
}
TROUBLE = {
    "QioskServerDown": {"up{job=~}": "0+0x120"},
    "QioskJobsNotStarted": {'qiosk_jobs{state="Executing"}': "0+0x120"},
    "QioskJobsWaitLong": {"qiosk_oldest_waiting_job_seconds": "0+60x120"},
    "QioskAttemptsLost": {'qiosk_job_attempts_lost_total{target="a"}': "0+1x120"},
    "QioskJobsFail": {'qiosk_jobs_ended_total{target="a",state="Failed"}': "0+5x120"},
    "QioskServerErrors": {'qiosk_http_requests_total{method="GET",route="r",status="503"}': "0+10x120"},
    "QioskSlowRequests": {f'{LIST}"0.5"}}': "0+90x120"},
}


def series(samples: dict[str, str]) -> list[dict[str, str]]:
    """Samples of two servers."""
    found = []
    for name, values in samples.items():
        for instance in ("one", "two"):
            labels = f'instance="{instance}",job="qiosk"'
            begin, _, rest = name.replace("job=~", "").partition("{")
            inner = rest.removesuffix("}")
            found.append({"series": f"{begin}{{{labels}{',' + inner if inner else ''}}}", "values": values})
    return found


def firing(samples: dict[str, str], alert: str, folder: Path) -> bool:
    """Whether promtool finds that an alert fires after 110 minutes."""
    (folder / "rules.yml").write_text(RULES.read_text())
    quiet: dict[str, Any] = {"eval_time": "110m", "alertname": alert, "exp_alerts": []}
    test = {"interval": "1m", "input_series": series(samples), "alert_rule_test": [quiet]}
    (folder / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    command = [need("promtool"), "test", "rules", folder / "test.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 0 or "exp:[" in text.replace(" ", ""), text
    return done.returncode != 0


def test_every_alert_has_its_trouble() -> None:
    rules = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert rules == list(TROUBLE)


@pytest.mark.parametrize("alert", TROUBLE)
def test_an_alert_fires_in_its_trouble_only(alert: str, tmp_path: Path) -> None:
    assert not firing(WELL, alert, tmp_path)
    assert firing({**WELL, **TROUBLE[alert]}, alert, tmp_path)
    for other, samples in TROUBLE.items():
        assert (other == alert) == firing({**WELL, **samples}, alert, tmp_path), other

"""The demonstration, as its users run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from patience import HANG_S
from qiosk.cli.commands import demo
from qiosk.solvers.solve import solve


def test_the_demo_solves_both_problems_and_lists_its_jobs(tmp_path):
    env = os.environ | {"QIOSK_HOME": str(tmp_path), "QIOSK_IDLE_SECONDS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "qiosk", "demo"], env=env, capture_output=True, text=True, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr
    assert sorted(map(int, re.findall(r"ship [AB]: +(\d+) t", done.stdout))) == [52, 53]
    cut = int(re.search(r"cut (\d+), ", done.stdout)[1])
    assert 0.995 * demo.BEST_KNOWN_CUT <= cut <= demo.BEST_KNOWN_CUT
    assert len(re.findall(r"^[0-9a-f-]{36}  .*Succeeded", done.stdout, re.M)) == 2


def test_ship_loading_is_balanced_as_well_as_can_be():
    result = solve(demo.ship_loading(), "microsoft.simulatedannealing-parameterfree.cpu", timeout=HANG_S)
    loads = [
        sum(w for w, s in zip(demo.CONTAINERS, result.configuration.values(), strict=True) if s == d) for d in (1, -1)
    ]
    assert abs(loads[0] - loads[1]) == sum(demo.CONTAINERS) % 2
    assert result.cost == (loads[0] - loads[1]) ** 2 - sum(w * w for w in demo.CONTAINERS)

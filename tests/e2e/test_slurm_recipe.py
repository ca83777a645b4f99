"""The recipe for a study under Slurm, run by bash with the variables that Slurm sets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployed import DEPLOY
from patience import HANG_S

STUDY = """
name = "recipe"
instances = ["*.json"]
seeds = 2
timeout = 1

[[targets]]
target = "tabu"
grid = { sweeps = [2] }
"""
TERMS = '{"c": 1, "ids": [0, 1]}, {"c": 1, "ids": [1, 2]}'
PROBLEM = f'{{"cost_function": {{"version": "1.0", "type": "ising", "terms": [{TERMS}]}}}}'


@pytest.mark.slow
def test_the_study_is_run_kept_and_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "ring.json").write_text(PROBLEM)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("QIOSK_")},
        "STUDY": str(tmp_path / "study.toml"),
        "QIOSK": str(Path(sys.executable).with_name("qiosk")),
        "SLURM_TMPDIR": str(tmp_path / "disk"),
        "SLURM_CPUS_PER_TASK": "2",
    }
    tables = []
    for _ in range(2):
        done = subprocess.run(
            ["bash", DEPLOY / "slurm" / "study.sbatch"],
            env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=HANG_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        tables.append((tmp_path / "study.csv").read_text())
        assert not list((tmp_path / "disk").iterdir())
    assert tables[0].count("Succeeded") == 2
    assert tables[1] == tables[0]  # with the times of the first run: nothing was run again

"""The speed report, and that peers run the problem and the schedule that the kernels run."""

from __future__ import annotations

import json

import pytest

from benchmarks.speed.peers import peers
from benchmarks.speed.report import Timings, write
from benchmarks.speed.workloads import klocal, spin_glass, torus
from peers import need
from qiosk.model.cost_function import ProblemType

TIMINGS = Timings(
    "w", 10, {"kernel": {"sweep": 0.5, "costs": 1.0}, "slow": {"sweep": 8.0}, "p": {"sweep": 4.0}}, ["p", "slow"]
)


def test_ratios_are_to_the_fastest_peer():
    assert TIMINGS.ratio("kernel") == 8
    assert TIMINGS.ratio("p") == 1
    assert Timings("w", 10, {"kernel": {"sweep": 0.5}}, []).ratio("kernel") is None


def test_the_report_is_written_as_a_table_and_as_data(tmp_path):
    write(tmp_path, [TIMINGS], {"1": 2.0, "2": 1.0})
    text = (tmp_path / "speed.md").read_text()
    assert "| kernel | 0.500 |  | 1.000 | 8 |" in text
    assert "Two threads sweep 2.00 times as fast as one." in text
    data = json.loads((tmp_path / "speed.json").read_text())
    assert data["workloads"][0]["medians"]["p"] == {"sweep": 4.0}
    assert data["threads"] == {"1": 2.0, "2": 1.0}


@pytest.mark.filterwarnings("ignore")  # those of other libraries
@pytest.mark.parametrize(
    ("problem", "library"),
    [
        (torus(4), "dwave-samplers"),
        (torus(10), "OpenJij sparse"),
        (spin_glass(12, 1.0), "OpenJij dense"),
        (klocal(ProblemType.pubo, 12, 20, 3), "OpenJij HUBO metropolis"),
    ],
    ids=["torus", "sparse", "dense", "3-local"],
)
def test_peers_anneal_the_workloads(problem, library):
    need(library.split()[0])
    annealer = peers(problem)[library]
    assert annealer.configurations(annealer.anneal(5, 2, 1)).shape == (2, problem.n)

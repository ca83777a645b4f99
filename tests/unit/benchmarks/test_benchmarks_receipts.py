"""The benchmark of receipts: what is proved is confirmed, and refused with one number changed."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bounds.receipts import CHECKER, Check, changed, check, packed


@pytest.mark.parametrize(
    ("wanted", "method", "verdict"),
    [
        ("mpe80", "elimination", "confirmed, optimal"),
        ("wishart_100_a0.5", "sdp", "confirmed, optimal"),
        ("fcl_torus32:cycles", "cycles", "confirmed"),
    ],
)
def test_receipts_are_confirmed_and_changed_ones_refused(wanted, method, verdict, tmp_path):
    checker = Path(shutil.copy(CHECKER, tmp_path))
    found = check(wanted, 3.0, Path(sys.executable), checker, tmp_path)
    assert found.method == method
    assert found.verdict.startswith(verdict)
    assert (found.of_changed, found.is_good) == ("refused", True)
    assert found.line().startswith(f"| {wanted.split(':')[0]} | {method} | ")


@pytest.mark.parametrize("name", ["cycle_values", "y", "own", "order", "unit"])
def test_one_array_is_changed(name):
    arrays = {name: np.array([1, 2]), "method": np.array("x")}
    after = np.load(io.BytesIO(changed(packed(arrays))))
    assert np.array_equal(after["method"], arrays["method"])
    assert not np.array_equal(after[name], arrays[name])


def test_a_changed_receipt_that_is_confirmed_is_not_good():
    assert not Check("G1", "sdp", -1.0, 0.1, "confirmed", "confirmed").is_good
    assert not Check("G1", "sdp", -1.0, 0.1, "refused        the cost is below the bound", "refused").is_good
    assert Check("G1", None, -1.0, 0.0, "no receipt of branch", None).is_good

"""``python -m benchmarks.bounds.receipts [--seconds 6] [NAME[:METHOD] …]``.

Checks receipts as a third party would: an environment is made in which pip installs NumPy alone, and the file
``qiosk/bounds/verify.py`` is copied beside it. Instances of ``benchmarks/instances`` are solved with bounds for so many
seconds each. The copy checks problem, result and receipt there, and must refuse a receipt of every method that was
changed. Exits with 1 if a receipt is refused, or a changed one is not.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import tempfile
import time
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qiosk
from benchmarks.instance import FOLDER, load
from qiosk.bounds import verify

DEFAULT = (
    "3r3x_48", "G1", "G22", "G43", "bqp500-1", "fcl_torus32", "gka4f", "mpe80", "npp_100", "pubo3_1000_4000", "sk1000",
    "torus100x100:cycles", "torus100x100", "torusg3-15", "wishart_100_a0.5", "wishart_200_a0.75",
    "wishart_100_a2.0:branch",
)  # fmt: skip
CHECKER = Path(verify.__file__)


@dataclass(frozen=True)
class Check:
    """What the checker says of a receipt, and of the same one changed; the method is None where there is no receipt."""

    name: str
    method: str | None
    bound: float
    seconds: float
    verdict: str
    of_changed: str | None

    @property
    def is_good(self) -> bool:
        """Whether the receipt was confirmed, and the changed one refused."""
        if self.method is None:
            return True
        return self.verdict.startswith("confirmed") and self.of_changed is not None and "refused" in self.of_changed

    def line(self) -> str:
        """A line of the table."""
        seconds = f"{self.seconds:.2f}" if self.method is not None else ""
        cells = [self.name, self.method or "", f"{self.bound:.10g}", seconds, self.verdict, self.of_changed or ""]
        return f"| {' | '.join(cells)} |"


def fresh_environment(folder: Path) -> Path:
    """The interpreter of a new virtual environment with NumPy and what ``venv`` itself installs."""
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy"]
    subprocess.run(install, check=True)
    return python


def packages(python: Path) -> str:
    """What is installed beside the standard library, as ``name==version, …``."""
    command = [str(python), "-I", "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    return ", ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def changed(receipt: bytes) -> bytes:
    """The receipt with one number changed, so that it would claim more than it proves, or proves nothing."""
    arrays: dict[str, NDArray[Any]] = dict(np.load(io.BytesIO(receipt), allow_pickle=False))
    if "cycle_values" in arrays:
        arrays["cycle_values"][0] += 1 << 20
    elif "y" in arrays:
        arrays["y"][0] *= 0.5
    elif "own" in arrays:
        arrays["own"].flat[0] += 1 << 40
    elif "order" in arrays:
        arrays["order"][0] = arrays["order"][1]
    else:
        arrays["unit"] = np.array("-1")
    return packed(arrays)


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def check(wanted: str, limit: float, python: Path, checker: Path, folder: Path) -> Check:
    """Solve NAME[:METHOD] for ``limit`` seconds, and have its files checked by the interpreter in the folder."""
    name, _, method = wanted.partition(":")
    problem = folder / f"{name}.json.gz"
    shutil.copy(FOLDER / problem.name, problem)
    found = qiosk.solve(load(name).cost_function, timeout=limit, seed=1, bound=method or "auto", gap=0.0)
    result, receipt = folder / "result.json", folder / "receipt.npz"
    result.write_text(found.to_json())
    proof = found.receipt()
    if proof is None:
        return Check(name, None, found.bound or 0.0, 0.0, f"no receipt of {found.bound_method}", None)

    def ran(content: bytes) -> tuple[bool, str, float]:
        receipt.write_bytes(content)
        began = time.perf_counter()
        done = subprocess.run(
            [python, "-I", checker.name, problem.name, result.name, receipt.name],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0, (done.stdout + done.stderr).strip(), time.perf_counter() - began

    is_fine, output, seconds = ran(proof)
    is_taken, _, _ = ran(changed(proof))
    verdict = f"confirmed{', optimal' if 'optimal        yes' in output else ''}" if is_fine else output.split("\n")[-1]
    used = str(np.load(io.BytesIO(proof), allow_pickle=False)["method"])
    return Check(name, used, found.bound or 0.0, seconds, verdict, "confirmed" if is_taken else "refused")


def main() -> int:
    """The command; 1 if a check did not end as it should."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds.receipts", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(DEFAULT))
    parser.add_argument("--seconds", type=float, default=6.0, help="of each search with bounds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        python = fresh_environment(folder / "environment")
        checker = Path(shutil.copy(CHECKER, folder))
        print(f"Installed: {packages(python)}.\n", flush=True)
        print("| instance | method | bound | seconds of check | verdict | one number changed |")
        print("| --- | --- | --- | --- | --- | --- |", flush=True)
        are_good = True
        for wanted in given.names:
            row = check(wanted, given.seconds, python, checker, folder)
            print(row.line(), flush=True)
            are_good = are_good and row.is_good
    return 0 if are_good else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""``python -m benchmarks``: all of them, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

SUITES = (
    ("ingest", "--rounds", "3"),
    ("speed",),
    ("service",),
    ("time_to_target", "--seconds", "0.2", "--limit", "1", "--only", "n=30|n=36|16x16"),
    ("quality", "--seconds", "1", "--seeds", "1"),
    (
        "practical",
        "--seconds",
        "1",
        "--seeds",
        "1",
        "--only",
        "burma14|bays29|nug12|nug30|queen6|ft06_60|t18|spp_20|mkp_30",
    ),
)

if __name__ == "__main__":
    for name, *arguments in SUITES:
        print(f"\n=== {name} ===", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=True)

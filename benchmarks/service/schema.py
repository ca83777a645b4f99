"""``python -m benchmarks.service.schema [--examples 100]``: Schemathesis over a server's own description.

Every operation gets requests made from ``/openapi.json``, valid and invalid. Looked for are answers of 500 and above,
and answers that are not as described. Refusing what the description allows is fine: a schema cannot say that a target
must exist. Exits with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.service.served import HANG_S, server

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100, help="requests made for every operation")
    parser.add_argument("--phases", default="coverage,fuzzing", help="what Schemathesis does")
    given = parser.parse_args()
    with server() as (url, _):
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json", "--no-color"]
        command += ["--phases", given.phases, "--max-examples", str(given.examples), "--request-timeout", str(HANG_S)]
        command += ["--exclude-checks", "positive_data_acceptance"]
        done = subprocess.run(command, check=False)
    sys.exit(done.returncode)

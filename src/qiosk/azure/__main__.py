"""``python -m qiosk.azure program.py [ARGUMENTS]`` (or ``-m module``): run a program of the old SDK."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from qiosk.azure.hook import install

_USAGE = "usage: python -m qiosk.azure (PROGRAM.py | -m MODULE) [ARGUMENTS]"


def main() -> None:
    """Run a program as Python itself would, with ``azure.quantum`` from Qiosk."""
    install()
    arguments = sys.argv[1:]
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        sys.argv = arguments[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments and not arguments[0].startswith("-"):
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        sys.exit(_USAGE)


if __name__ == "__main__":
    main()

"""``python -m qiosk``: the command line."""

from qiosk.cli import main

main()

"""The command ``qiosk``."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its status."""
    from qiosk.cli.app import app

    app()

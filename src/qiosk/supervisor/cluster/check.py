"""Asks a Ray cluster, before a server starts, whether its nodes can run this Qiosk's jobs.

A process of its own does this, ``python -m qiosk.supervisor.cluster.check ADDRESS``: the server never imports Ray.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from qiosk.errors import Conflict, ServiceUnavailable, extra

REFUSED = 3
UNREACHABLE = 4
CHECK_S = 120.0
"""How long the cluster may take to answer."""


def require_ray(needed_by: str) -> None:
    """Raise MissingExtra if Ray is not installed."""
    with extra("ray", needed_by):
        if find_spec("ray") is None:
            raise ImportError("ray")


def check_cluster(address: str) -> None:
    """Raise Conflict if the versions of all nodes differ from ours, ServiceUnavailable if the cluster does not answer.

    A cluster without nodes is none of both: its autoscaler may start some.
    """
    command = [sys.executable, "-m", "qiosk.supervisor.cluster.check", address]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServiceUnavailable(f"Ray cluster {address}: did not answer in {CHECK_S:g} s") from error
    if found.returncode == REFUSED:
        raise Conflict(found.stdout.strip())
    if found.returncode != 0:
        lines = (found.stdout.strip() or found.stderr.strip() or "no reason was given").splitlines()
        raise ServiceUnavailable(lines[-1])


async def _refusals() -> list[str]:
    import ray
    from ray.exceptions import RayError

    from qiosk.cluster.connection import refusal

    async def ask(node: str, host: str) -> str:
        try:
            return await refusal(node, host)
        except (TimeoutError, RayError):
            return ""  # it may answer later

    described: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [node for node in described if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return await asyncio.gather(*(ask(node["NodeID"], node["NodeManagerHostname"]) for node in nodes))


def main(address: str) -> int:
    """Write why the cluster cannot be used, if so; returns an exit status."""
    from qiosk.cluster.connection import connect

    try:
        connect(address)
        refusals = asyncio.run(_refusals())
    except (Conflict, ServiceUnavailable) as error:
        sys.stdout.write(error.message)
        return REFUSED if isinstance(error, Conflict) else UNREACHABLE
    if refusals and all(refusals):
        sys.stdout.write(refusals[0])
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

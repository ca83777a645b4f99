"""Connecting to a Ray cluster, and what is refused: another Ray, another Python, another Qiosk."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
import ray.exceptions
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from qiosk.cluster import versions
from qiosk.cluster.versions import Versions, own_versions
from qiosk.errors import Conflict, ServiceUnavailable

NAMESPACE = "qiosk"
REACH_S = 5.0
"""How long a connection to the head may take."""
PROBE_S = 60.0
"""How long a node may take to tell its versions: its first worker has to start."""

cloudpickle.register_pickle_by_value(versions)  # type: ignore[no-untyped-call] # nodes need not have Qiosk to tell that they have none


def connect(address: str) -> None:
    """Make this process a client of the cluster. Raises Conflict for another Ray or Python, ServiceUnavailable."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options: dict[str, Any] = {"namespace": NAMESPACE, "logging_level": "warning", "log_to_driver": False}
    if _is_loopback(address):
        options["_node_ip_address"] = address.rpartition(":")[0]  # this machine's, of which Ray would take another one
    if named := re.fullmatch(r"([\w.-]+):(\d+)", address):
        _try_to_reach(address, named[1], int(named[2]))
    try:
        ray.init(address, **options)
    except RuntimeError as error:
        if "mismatch" in str(error).lower():
            raise Conflict(f"Ray cluster {address}: {one_line(error)}") from error
        raise ServiceUnavailable(f"Ray cluster {address}: {one_line(error)}") from error
    except (ConnectionError, OSError, ValueError, ray.exceptions.RayError) as error:
        raise ServiceUnavailable(f"Ray cluster {address}: cannot be reached: {one_line(error)}") from error


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A context in which this process is a client of the cluster; one that is a client already remains what it is.

    Raises as :func:`connect`.
    """
    if ray.is_initialized():
        yield
        return
    connect(address)
    try:
        yield
    finally:
        ray.shutdown()


def _try_to_reach(address: str, host: str, port: int) -> None:
    """Raises ServiceUnavailable if nothing listens there: Ray would find that out after more than a minute."""
    try:
        socket.create_connection((host, port), REACH_S).close()
    except OSError as error:
        raise ServiceUnavailable(f"Ray cluster {address}: cannot be reached: {error}") from error


def _is_loopback(address: str) -> bool:
    return re.fullmatch(r"127\.\d+\.\d+\.\d+:\d+", address) is not None


def one_line(error: Exception) -> str:
    """What an error says, in one line of at most 500 characters; its class if it says nothing."""
    return " ".join(str(error).split())[:500] or type(error).__name__


async def refusal(node: str, host: str) -> str:
    """Why a node cannot run this Qiosk's jobs, in a sentence; empty if it can. Raises TimeoutError, RayError."""
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    probe = ray.remote(num_cpus=0, max_retries=0)(own_versions)
    answer: Any = probe.options(scheduling_strategy=strategy).remote()
    try:
        found: Versions = await asyncio.wait_for(answer, PROBE_S)
    except TimeoutError:
        ray.cancel(answer)
        raise
    ours = own_versions()
    if found == ours:
        return ""
    return f"node {host} has {found}, but this server on {socket.gethostname()} has {ours}: they must be the same"

"""The holder of a run: a Ray task that holds the resources of a job on the node that Ray has chosen for it.

It asks the agent of its node to run the job and waits. What it imports is small, and its process takes the next task.

Ray takes the CPUs of a task back while its main thread waits for another one, and would give them to further jobs. So
the waiting is done by another thread.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
import ray.exceptions

AGENT_PATIENCE_S = 60.0
"""How long a holder waits for the agent of a new node."""

WARM_UP_S = 0.5

_agents: dict[str, Any] = {}  # a worker serves many tasks


def warm_up() -> None:
    """Keep a worker of a new node busy for long enough that several are started, which then wait for holders."""
    time.sleep(WARM_UP_S)


def hold(agents: str, run: str, spec: bytes) -> None:
    """Let the agent of this node run a job; returns when that has ended. ``agents`` and the node's id are its name."""
    name = f"{agents}{ray.get_runtime_context().get_node_id()}"
    with ThreadPoolExecutor(1) as waiting:
        waiting.submit(_hold, name, run, spec).result()


def _hold(name: str, run: str, spec: bytes) -> None:
    known = _agents.get(name)
    try:
        _run(known or _find(name), run, spec)
    except ray.exceptions.RayActorError:
        _agents.pop(name, None)
        if known is None:
            raise
        _run(_find(name), run, spec)  # the one of earlier tasks may have died long ago


def _run(agent: Any, run: str, spec: bytes) -> None:
    ray.get(agent.run.remote(run, spec, os.getpid()))


def _find(name: str) -> Any:
    until = time.monotonic() + AGENT_PATIENCE_S
    while True:
        try:
            _agents[name] = ray.get_actor(name)
            return _agents[name]
        except ValueError:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)

"""Members as tasks of a Ray cluster. Only what runs them there imports this module: Ray is an extra.

A task first compares versions, with code that comes along with it. Only then it imports Qiosk, and reads the problem,
which Ray brings to each node once.
"""

from __future__ import annotations

import pickle
import signal
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

import ray
import ray.exceptions

from qiosk.cluster.connection import connected, one_line
from qiosk.cluster.versions import call_if_same, own_versions
from qiosk.errors import Conflict
from qiosk.model.cost_function import CostFunction
from qiosk.settings import read_ray_address
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.at_once import AtOnce, LostMember
from qiosk.solvers.members.carried import result_from_bytes, result_to_bytes
from qiosk.solvers.members.run import run_all_members
from qiosk.solvers.result import Result
from qiosk.solvers.setup import Setup
from qiosk.solvers.targets.catalogue import target


def run_on_ray(setup: Setup, cost_function: CostFunction, hooks: Hooks, address: str) -> Result:
    """Minimize a cost function by members on the nodes of a cluster, at the same time.

    Raises Conflict, ServiceUnavailable, and as :func:`solve`.
    """
    read_ray_address("ray_address", str(address))
    setup = replace(setup, threads=setup.threads or 1)

    def run_all(members: Sequence[Setup]) -> tuple[Mapping[int, Result], bool]:
        with connected(address):
            at_once = AtOnce(len(members), RayTasks(address, members, cost_function), hooks)
            at_once.run()
        if at_once.found:
            return at_once.found, at_once.was_cancelled
        return {0: members[0].run(cost_function, Hooks(is_cancelled=lambda: True))}, True  # before any solver began

    return run_all_members(setup, cost_function, run_all)


@final
class RayTasks:
    """A task for each member, which holds as many CPUs as the member has threads."""

    def __init__(self, address: str, members: Sequence[Setup], cost_function: CostFunction) -> None:
        self._address = address
        self._members = members
        self._cost_function = cost_function
        self._problem = ray.put(cost_function)
        self._task: Any = ray.remote(max_retries=0)(call_if_same)
        self._refs: dict[int, Any] = {}

    def start(self, index: int) -> None:
        """Run a member; the one before has ended."""
        setup = self._members[index]
        parts = pickle.dumps((setup.target.id, dict(setup.given), setup.threads, setup.kernel, setup.member))
        task = self._task.options(num_cpus=setup.threads, name=f"qiosk member {index}")
        self._refs[index] = task.remote(own_versions(), f"{__name__}:run_member", parts, [self._problem])

    def ended(self, running: Iterable[int], seconds: float) -> Sequence[int]:
        """Those of the running members that have ended; waits at most so long for one."""
        by_ref = {self._refs[index]: index for index in running}
        done, _ = ray.wait(list(by_ref), num_returns=1, timeout=seconds)
        return [by_ref[ref] for ref in done]

    def result(self, index: int) -> Result:
        """What a member that has ended found. Raises LostMember, Conflict, and what its solver raised."""
        try:
            refusal, data = ray.get(self._refs[index])
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(error, ray.exceptions.TaskCancelledError) or isinstance(cause, ray.exceptions.RayError):
                raise LostMember(one_line(error)) from error
            raise cause from error
        except ray.exceptions.RayError as error:
            raise LostMember(one_line(error)) from error
        if refusal:
            ours = f"this process on {socket.gethostname()} has {own_versions()}"
            raise Conflict(f"Ray cluster {self._address}: {refusal}, but {ours}: they must be the same")
        return result_from_bytes(data, self._cost_function)

    def stop(self, index: int) -> None:
        """Let a member end early; it has a result if its solver has begun."""
        ray.cancel(self._refs[index], force=False)

    def kill(self, index: int) -> None:
        """End a member at once."""
        ray.cancel(self._refs[index], force=True)


def run_member(parts: bytes, problem: Sequence[Any]) -> bytes:
    """Run a member on a node. Ray asks it to stop by the signal of Ctrl-C; then it returns the best it has found."""
    is_stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: is_stopped.set())
    try:
        name, given, threads, kernel, member = pickle.loads(parts)
        setup = Setup(target=target(name), given=given, threads=threads, kernel=kernel, member=member)
        cost_function: CostFunction = ray.get(problem[0])
        return result_to_bytes(setup.run(cost_function, Hooks(is_cancelled=is_stopped.is_set)))
    finally:
        signal.signal(signal.SIGINT, before)

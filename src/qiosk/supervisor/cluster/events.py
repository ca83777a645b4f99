"""What the supervisor and its gateway, and the gateway and the agents of nodes, tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from qiosk.service.jobs.runs import JobSpec
from qiosk.supervisor.executor import Ended, Message
from qiosk.supervisor.processes.job_process import ProcessOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What a gateway is started with. ``environ``: variables that nodes need to reach the storage."""

    address: str
    options: ProcessOptions
    environ: dict[str, str] = field(repr=False)  # it holds secrets


class Order(StrEnum):
    """What a run is asked to do."""

    CANCEL = "cancel"
    SUSPEND = "suspend"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Start:
    """To the gateway: run a job as ``run``, with these amounts of what Ray calls resources."""

    run: str
    spec: JobSpec
    cpus: int
    memory_bytes: int = 0
    resources: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ordered:
    """To the gateway: an order to a run."""

    run: str
    order: Order


@dataclass(frozen=True, slots=True)
class Alive:
    """To the gateway, once a second: the supervisor lives. A gateway that gets no command for a lease ends."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """From the gateway, once a second: the CPUs of all usable nodes and of the largest one, and what is wrong."""

    cpus: int
    most_cpus: int
    nodes: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Began:
    """From an agent: the process of a run lives."""

    run: str
    place: str


@dataclass(frozen=True, slots=True)
class Sent:
    """From an agent: a message of a run."""

    run: str
    message: Message


@dataclass(frozen=True, slots=True)
class Over:
    """The end of a run, after all its messages. A run that has not begun could not be started."""

    run: str
    end: Ended


RunEvent = Began | Sent | Over
"""What an agent tells about a run; ``Over`` may come from the gateway as well."""
Event = RunEvent | Cluster
"""What the gateway tells its supervisor."""
Command = Start | Ordered | Alive
"""What the supervisor tells its gateway."""

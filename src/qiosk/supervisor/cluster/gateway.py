"""The process that talks to Ray for a supervisor, whose child it is: ``python -m qiosk.supervisor.cluster.gateway``.

It has one event loop. Commands of the supervisor come through a socket, events go back. It ends with the supervisor,
and all that it has started on the cluster ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from qiosk.errors import QioskError
from qiosk.service.jobs.attempts import LEASE_S
from qiosk.supervisor.cluster.events import Cluster, Command, Event, GatewayOptions

REPORT_S = 1.0
"""How often the supervisor is told how the cluster is."""

log = logging.getLogger(__name__)


def main() -> int:
    """Serve the supervisor whose socket is standard input; returns an exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the supervisor alone
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    with socket.socket(fileno=os.dup(0)) as inherited:
        connection = Connection(inherited.detach())
    options: GatewayOptions = connection.recv()
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            connection.send(event)

    from qiosk.cluster.connection import connect

    try:
        connect(options.address)
    except QioskError as error:
        tell(Cluster(0, 0, 0, trouble=error.message))
        return 1
    try:
        asyncio.run(_serve(connection, options, tell))
    except (EOFError, OSError):  # the supervisor has ended
        log.info("the supervisor has ended")
    except Exception as error:
        log.exception("the gateway failed")
        with contextlib.suppress(OSError):
            tell(Cluster(0, 0, 0, trouble=f"the gateway failed: {type(error).__name__}: {error}"))
    os._exit(0)  # without Ray's own end, which waits for the cluster


async def _serve(connection: Connection, options: GatewayOptions, tell: Callable[[Event], None]) -> None:
    from qiosk.supervisor.cluster.runs import ClusterRuns

    loop = asyncio.get_running_loop()
    runs = ClusterRuns(options, tell)
    commands: asyncio.Queue[Command | None] = asyncio.Queue()
    threading.Thread(target=_receive, args=(connection, loop, commands), daemon=True).start()
    watching = asyncio.create_task(runs.watch(REPORT_S))
    watching.add_done_callback(lambda _: commands.put_nowait(None))
    while (command := await _next(commands)) is not None:
        runs.obey(command)
    if watching.done():
        await watching  # raises what it failed with


async def _next(commands: asyncio.Queue[Command | None]) -> Command | None:
    """The next command. None if there is none for a lease: the supervisor is stopped, and others run its jobs."""
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(commands.get(), LEASE_S)
    log.warning("the supervisor has told nothing for %g s", LEASE_S)
    return None


def _receive(connection: Connection, loop: asyncio.AbstractEventLoop, commands: asyncio.Queue[Command | None]) -> None:
    command: Command | None = None
    while True:
        try:
            command = connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            command = None
        loop.call_soon_threadsafe(commands.put_nowait, command)
        if command is None:
            return


if __name__ == "__main__":
    sys.exit(main())

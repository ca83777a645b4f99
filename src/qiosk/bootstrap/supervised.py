"""A home as its supervisor sees it.

Importing this module loads no database library: a supervisor first takes the home's lock and starts its fork server,
which then loads the solvers while the supervisor loads the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from qiosk.adapters.home.heartbeat import Heartbeat
from qiosk.adapters.home.home import Home, StopRequest, SupervisorLock
from qiosk.adapters.home.wakeup import WakeupPipe
from qiosk.bootstrap.storage import storage_url
from qiosk.settings import Settings

if TYPE_CHECKING:
    from qiosk.bootstrap.stores import Stores


@final
class SupervisedHome:
    """The files of a home that its supervisor works with, and its stores once ``open_stores`` is called."""

    def __init__(self, settings: Settings) -> None:
        self._home = Home(settings.home)
        self._settings = settings
        self.path = self._home.path
        self.log = self._home.log
        self.lock = SupervisorLock(self._home.lock)
        self.heartbeat = Heartbeat(self._home.heartbeat)
        self.stop_request = StopRequest(self._home.stop_request)
        self.wakeup = WakeupPipe(self._home.wakeup_pipe)
        self.storage_url = storage_url(self._home, settings)
        self.identity = self._home.identity
        self.is_served = self._home.is_served

    def open_stores(self) -> Stores:
        """The stores. Raises ServiceUnavailable while the database does not answer."""
        from qiosk.bootstrap.stores import Stores

        return Stores(self._home, self._settings)

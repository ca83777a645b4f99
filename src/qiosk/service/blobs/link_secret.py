"""Servers that share a database sign links with one secret: they find out if that is not so.

A link that one server signs is refused by a server with another secret, as if it were forged. So each server notes,
now and then, a fingerprint of its secret where all of them see it. A server that finds that another secret was in use
before its own, and still is, is not ready. A secret that no server has noted for ``LAPSE`` counts no longer: to change
the secret, stop all servers, and start them with the new one.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol, final

from qiosk.errors import Conflict, ServiceUnavailable, StorageFull
from qiosk.forks import PerProcess
from qiosk.service.ports import Clock

ANNOUNCE_S = 10.0
"""How often a server notes its secret."""
LAPSE = timedelta(seconds=30)
"""How long a note counts."""


class LinkSecrets(Protocol):
    """What servers note."""

    def announce(self, fingerprint: str, now: datetime, lapse: timedelta) -> bool:
        """Note that a server uses the secret with this fingerprint now; notes older than ``lapse`` are forgotten.

        Returns whether another secret was noted before this one. The order in which secrets were noted first stays
        while they are noted again in time.
        """
        ...


@final
class LinkSecret:
    """The secret with which a server signs links, as the other servers know it."""

    def __init__(self, secret: bytes, secrets: LinkSecrets, clock: Clock) -> None:
        self._fingerprint = fingerprint(secret)
        self._secrets = secrets
        self._clock = clock
        self._lock = PerProcess(threading.Lock)
        self._announce_at = float("-inf")
        self._has_rival = False

    def check(self) -> None:
        """Note the secret, if it is time to. Raises Conflict if the servers that run already use another one.

        While the database does not respond, the last answer counts.
        """
        with self._lock.get():
            if self._clock.monotonic() >= self._announce_at:
                with suppress(ServiceUnavailable, StorageFull):
                    self._has_rival = self._secrets.announce(self._fingerprint, self._clock.now(), LAPSE)
                    self._announce_at = self._clock.monotonic() + ANNOUNCE_S / 2
        if self._has_rival:
            raise Conflict(
                "links: other servers of this database use another secret, so that each refuses the links of the other;"
                " set QIOSK_SECRET_KEY to the same value for all of them"
            )


def fingerprint(secret: bytes) -> str:
    """Sixteen hexadecimal digits that tell secrets apart, from which a secret cannot be found."""
    return hmac.new(secret, b"fingerprint of the secret that signs links", hashlib.sha256).hexdigest()[:16]

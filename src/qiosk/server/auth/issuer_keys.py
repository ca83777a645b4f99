"""The public keys of an OpenID Connect issuer, fetched over the network and cached.

How it works. The issuer may respond slowly, so there is one fetch at a time, and no request waits for the fetch of
another one. A request that needs a known key gets it at once; if the keys are due to be fetched again, a background
thread does that. A request that needs an unknown key fetches the keys itself. Requests with unknown keys that arrive
during the fetch are answered 503, and their clients try again.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from qiosk.errors import ServiceUnavailable
from qiosk.forks import PerProcess

if TYPE_CHECKING:
    import jwt  # takes 9 MiB with cryptography, which a server without an issuer does not need

KEYS_S: Final = 3600.0
"""How long the issuer's keys are used without being fetched again."""
KEPT_S: Final = 4 * KEYS_S
"""How long keys are used if they cannot be fetched again, and for how long a revoked key may still work."""
REFETCH_S: Final = 10.0
"""Shortest time between two fetches, so that requests with invented key ids do not flood the issuer."""
FETCH_TIMEOUT_S: Final = 5.0

_MAX_DOCUMENT: Final = 1 << 20

log = structlog.get_logger("qiosk.server")


def in_background(do: Callable[[], None]) -> None:
    """Call a function in a new thread. Raises RuntimeError if no thread can be started."""
    threading.Thread(target=do, name="issuer-keys", daemon=True).start()


@final
class IssuerKeys:
    """The keys that an issuer signs tokens with."""

    def __init__(
        self,
        issuer: str,
        *,
        jwks_url: str | None = None,
        fetch: Callable[[str], Mapping[str, Any]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        in_background: Callable[[Callable[[], None]], None] = in_background,
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._fetch = fetch or fetch_json
        self._monotonic = monotonic
        self._in_background = in_background
        self._lock = PerProcess(threading.Lock)  # never held during a fetch
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._fetch_from = float("-inf")
        self._unavailable: str | None = None  # why an unknown key may still be one of the issuer's

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key with this id; None if the issuer has none. Raises ServiceUnavailable if that is not known now."""
        with self._lock.get():
            now = self._monotonic()
            age = now - self._fetched_at
            key = self._keys.get(key_id) if age < KEPT_S else None
            is_due = now >= self._fetch_from and (key is None or age >= KEYS_S)
            unavailable = self._unavailable
            if is_due:
                self._fetch_from = float("inf")
                self._unavailable = f"the issuer {self._issuer} is being asked for its keys"
        if key is not None:
            if is_due:
                self._refresh_in_background()
            return key
        if is_due:
            return self._refresh().get(key_id)
        if unavailable is not None:
            raise ServiceUnavailable(unavailable)
        return None

    def _refresh_in_background(self) -> None:
        try:
            self._in_background(self._refresh_if_possible)
        except RuntimeError as error:
            self._end_of_fetch(str(error))

    def _refresh_if_possible(self) -> None:
        try:
            self._refresh()
        except ServiceUnavailable as error:
            log.warning("cannot fetch the issuer's keys, the cached ones are used", reason=error.message)

    def _refresh(self) -> Mapping[str | None, jwt.PyJWK]:
        """Fetch the keys. Raises ServiceUnavailable; the cached keys are kept then."""
        try:
            keys = self._fetch_keys()
        except BaseException as error:
            self._end_of_fetch(str(error))
            raise
        self._end_of_fetch(None, keys)
        return keys

    def _end_of_fetch(self, unavailable: str | None, keys: Mapping[str | None, jwt.PyJWK] | None = None) -> None:
        with self._lock.get():
            now = self._monotonic()
            self._fetch_from, self._unavailable = now + REFETCH_S, unavailable
            if keys is not None:
                self._keys, self._fetched_at = keys, now

    def _fetch_keys(self) -> Mapping[str | None, jwt.PyJWK]:
        import jwt

        try:
            if self._jwks_url is None:
                found = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                self._jwks_url = str(found["jwks_uri"])
            keys = jwt.PyJWKSet.from_dict(dict(self._fetch(self._jwks_url))).keys
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            raise ServiceUnavailable(f"cannot fetch the keys of the issuer {self._issuer}: {error}") from error
        return {key.key_id: key for key in keys}


def fetch_json(url: str) -> Mapping[str, Any]:
    """The JSON object at a URL. Raises OSError, HTTPException, ValueError."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"must be an http or https URL, found {url!r}")
    with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
        document = json.loads(answer.read(_MAX_DOCUMENT))
    if not isinstance(document, dict):
        raise ValueError("must be a JSON object")
    return document

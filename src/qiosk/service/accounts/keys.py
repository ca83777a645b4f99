"""API keys: who may do what in which workspace.

A key is the text ``qk_ID_SECRET``. Only its SHA-256 digest is stored; a slow hash would not be safer, because the
secret has 256 random bits. A key is valid for one workspace, or for all of them if it is an administrator's.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, final

from qiosk.contract.workspaces import DEFAULT_KEY, checked_key
from qiosk.errors import Forbidden, InvalidValue, KeyNotFound, Unauthorized
from qiosk.forks import PerProcess
from qiosk.service.ports import Clock

PREFIX = "qk"
CACHE_S = 5.0
"""How long an accepted key is accepted again without reading the store: the longest time until a revocation works."""
FIRST_KEY_S = 1.0
"""Longest time until a server without keys, which accepts every request, notices the first key."""
_CACHED_KEYS = 1024
_ID_BYTES = 6
_SECRET_BYTES = 32
_MAX_CREDENTIAL = 512
_MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored, without its secret. ``workspace`` None: an administrator's. Times are in UTC."""

    id: str
    name: str
    workspace: str | None
    is_read_only: bool
    digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, at: datetime) -> bool:
        """Whether the key is neither revoked nor expired at this time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class KeyStore(Protocol):
    """Keys of all workspaces. They are never removed: a service that had keys must always require one."""

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        ...

    def get(self, key_id: str) -> ApiKey:
        """The key with this id. Raises KeyNotFound."""
        ...

    def list(self) -> Sequence[ApiKey]:
        """All keys, revoked and expired ones too, oldest first."""
        ...

    def revoke(self, key_id: str, at: datetime) -> ApiKey:
        """Revoke a key at ``at``, unless it is revoked already; returns it. Raises KeyNotFound."""
        ...

    def is_empty(self) -> bool:
        """Whether no key was ever added."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The sender of a request, and what they may do. ``workspace`` None: in every workspace."""

    name: str
    workspace: str | None = None
    is_read_only: bool = False
    expires_at: datetime | None = None
    key_id: str | None = None

    @property
    def label(self) -> str:
        """What jobs show of their submitter: the name, and the key's id, since several keys may have one name."""
        return self.name if self.key_id is None else f"{self.name} (key {self.key_id})"

    @property
    def is_administrator(self) -> bool:
        """Whether the sender may do everything."""
        return self.workspace is None and not self.is_read_only

    @property
    def named_workspaces(self) -> Collection[str] | None:
        """The workspaces that the sender may read; None: all of them."""
        return None if self.workspace is None else (self.workspace,)

    def may(self, workspace: str, *, write: bool) -> bool:
        """Whether the sender may read, or with ``write`` change, things of a workspace."""
        return self.workspace in (None, workspace) and not (write and self.is_read_only)

    def require(self, workspace: str, *, write: bool) -> None:
        """Raise Forbidden unless ``may``. The message does not depend on the content of the workspace."""
        if self.workspace not in (None, workspace):
            raise Forbidden("this credential is for another workspace")
        if write and self.is_read_only:
            raise Forbidden("this credential is for reading only")


ANYBODY = Principal(name="anybody")
"""The sender of every request while the service has no keys."""


@final
class Authenticator:
    """Finds out whose credential a request contains."""

    def __init__(self, keys: KeyStore, clock: Clock, *, admin_key: str | None = None) -> None:
        self._keys = keys
        self._clock = clock
        self._admin_digest = None if admin_key is None else digest(admin_key)
        self._has_keys = admin_key is not None
        self._open_until = -math.inf
        self._cache: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._lock = PerProcess(threading.Lock)

    def has_keys(self) -> bool:
        """Whether any key was ever made; without one every request is allowed."""
        if not self._has_keys:
            self._has_keys = not self._keys.is_empty()
        return self._has_keys

    def authenticate(self, credential: str | None) -> Principal:
        """Whose credential this is. Raises Unauthorized, whose message does not tell why a key is not valid."""
        found = None if credential is None else self._known(credential)
        if found is not None:
            return found
        if self._is_open():
            return ANYBODY
        raise Unauthorized("an API key is required" if credential is None else "the API key is not valid")

    def _is_open(self) -> bool:
        """Whether there are no keys, up to ``FIRST_KEY_S`` ago: so the store is not read for every request."""
        now = self._clock.monotonic()
        if self._has_keys or now < self._open_until:
            return not self._has_keys
        is_open = not self.has_keys()
        self._open_until = now + FIRST_KEY_S  # only after the store was read: until then requests are rejected
        return is_open

    def _known(self, credential: str) -> Principal | None:
        if len(credential) > _MAX_CREDENTIAL:
            return None
        its_digest = digest(credential)
        if self._admin_digest is not None and hmac.compare_digest(its_digest, self._admin_digest):
            return Principal(name="administrator")
        return self._remembered(its_digest) or self._looked_up(credential, its_digest)

    def _remembered(self, its_digest: str) -> Principal | None:
        with self._lock.get():
            until, principal = self._cache.get(its_digest, (0.0, ANYBODY))
        if self._clock.monotonic() >= until:
            return None
        has_expired = principal.expires_at is not None and self._clock.now() >= principal.expires_at
        return None if has_expired else principal

    def _looked_up(self, credential: str, its_digest: str) -> Principal | None:
        prefix, _, rest = credential.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != PREFIX or not key_id.isalnum() or not key_id.isascii() or not secret:
            return None
        try:
            key = self._keys.get(key_id)
        except KeyNotFound:
            return None
        if not hmac.compare_digest(its_digest, key.digest) or not key.is_valid(self._clock.now()):
            return None
        principal = Principal(
            name=key.name,
            workspace=key.workspace,
            is_read_only=key.is_read_only,
            expires_at=key.expires_at,
            key_id=key.id,
        )
        self._remember(its_digest, principal)
        return principal

    def _remember(self, its_digest: str, principal: Principal) -> None:
        with self._lock.get():
            self._cache[its_digest] = (self._clock.monotonic() + CACHE_S, principal)
            self._cache.move_to_end(its_digest)
            while len(self._cache) > _CACHED_KEYS:
                self._cache.popitem(last=False)


@final
class KeyService:
    """Makes, lists and revokes keys."""

    def __init__(self, keys: KeyStore, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def create(
        self,
        name: str,
        *,
        workspace: str | None = DEFAULT_KEY,
        is_read_only: bool = False,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which is not stored and cannot be shown again.

        ``workspace`` is its key, such as ``subscription/group/name`` in lower case; None makes an administrator's key.
        Raises InvalidValue for a text that is empty or too long, or a time that has passed.
        """
        now = self._clock.now()
        _check_name(name)
        if workspace is not None:
            checked_key(workspace)
        if expires_at is not None and expires_at <= now:
            raise InvalidValue(f"expiry: must lie in the future, found {expires_at.isoformat()}")
        key_id = secrets.token_hex(_ID_BYTES)
        text = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        key = ApiKey(
            id=key_id,
            name=name,
            workspace=None if workspace is None else workspace.lower(),
            is_read_only=is_read_only,
            digest=digest(text),
            created_at=now,
            expires_at=expires_at,
        )
        self._keys.add(key)
        return key, text

    def list(self, workspace: str | None = None) -> Sequence[ApiKey]:
        """All keys, or one workspace's, oldest first; revoked and expired ones too."""
        keys = self._keys.list()
        return keys if workspace is None else [key for key in keys if key.workspace == workspace.lower()]

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key; every ``Authenticator`` rejects it within ``CACHE_S``. Raises KeyNotFound."""
        return self._keys.revoke(key_id, self._clock.now())


def digest(credential: str) -> str:
    """The digest of a key, which is stored and compared instead of it."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def revoked(key: ApiKey, at: datetime) -> ApiKey:
    """The key after a revocation; a second one changes nothing."""
    return key if key.revoked_at is not None else replace(key, revoked_at=at)


def _check_name(name: str) -> None:
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():  # half a surrogate pair is not printable, nor is NUL
        raise InvalidValue(f"name: must be 1 to {_MAX_NAME} printable characters, found {name[:_MAX_NAME]!r}")

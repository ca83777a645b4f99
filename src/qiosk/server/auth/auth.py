"""Authenticates requests by one of the server's keys, or by a token that an OpenID Connect issuer signed.

A token is a JWT with the configured issuer and audience that has not expired. One of its claims lists workspaces, as
``subscription/group/name`` or ``*`` for all; the suffix ``:read`` permits only reading.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, final

from qiosk.contract.plain import is_storable
from qiosk.errors import Forbidden, Unauthorized
from qiosk.forks import PerProcess
from qiosk.server.auth.issuer_keys import IssuerKeys
from qiosk.server.settings import ServerSettings
from qiosk.service.accounts.keys import ANYBODY, Authenticator

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by public keys only: a token signed with a shared secret would prove nothing."""
LEEWAY_S: Final = 60
"""Largest difference between the issuer's clock and the server's."""

RECALL_S: Final = 1.0
"""How long a result is cached. Revoked keys and expired tokens still work for that time."""
_MAX_CACHED: Final = 1024

ALL: Final = "*"
"""Means every workspace."""
_READ_ONLY: Final = ":read"
_MAX_TOKEN: Final = 16_384


class Caller(Protocol):
    """The sender of a request, and what it may do."""

    @property
    def name(self) -> str:
        """Name in the log."""
        ...

    @property
    def named_workspaces(self) -> Collection[str] | None:
        """The workspaces that the caller may read; None: all of them."""
        ...

    @property
    def label(self) -> str:
        """What jobs show of their submitter."""
        ...

    def may(self, workspace: str, *, write: bool) -> bool:
        """Whether the caller may read, or with ``write`` change, a workspace (``ALL``: all of them)."""
        ...

    def require(self, workspace: str, *, write: bool) -> None:
        """Raise Forbidden unless ``may``."""
        ...


@final
@dataclass(frozen=True, slots=True)
class TokenHolder:
    """The subject of a token. ``workspaces`` maps those it may read to whether it may also write."""

    name: str
    workspaces: Mapping[str, bool] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The subject, as it can be stored."""
        return self.name if is_storable(self.name) else ascii(self.name)

    @property
    def named_workspaces(self) -> Collection[str] | None:
        """The workspaces that the subject may read; None: all of them."""
        return None if ALL in self.workspaces else self.workspaces.keys()

    def may(self, workspace: str, *, write: bool) -> bool:
        """Whether the subject may read, or with ``write`` change, a workspace."""
        granted = [self.workspaces[place] for place in (workspace, ALL) if place in self.workspaces]
        return any(granted) if write else bool(granted)

    def require(self, workspace: str, *, write: bool) -> None:
        """Raise Forbidden unless ``may``."""
        if not self.may(workspace, write=False):
            raise Forbidden("this credential is for another workspace")
        if write and not self.may(workspace, write=True):
            raise Forbidden("this credential is for reading only")


@final
class Gate:
    """Authenticates credentials of both kinds, and caches the results for a short time."""

    def __init__(
        self, keys: Authenticator, tokens: TokenVerifier | None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._monotonic = monotonic
        self._recent: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._lock = PerProcess(threading.Lock)

    def recall(self, credential: str | None) -> Caller | None:
        """The caller of this credential if it is in the cache. Never waits."""
        with self._lock.get():
            until, caller = self._recent.get(_digest(credential), (0.0, ANYBODY))
        return caller if self._monotonic() < until else None

    def authenticate(self, credential: str | None) -> Caller:
        """The caller of this credential. Raises Unauthorized; ServiceUnavailable if the issuer does not respond."""
        caller = self._authenticate(credential)
        with self._lock.get():
            self._recent[_digest(credential)] = (self._monotonic() + RECALL_S, caller)
            while len(self._recent) > _MAX_CACHED:
                self._recent.popitem(last=False)
        return caller

    def _authenticate(self, credential: str | None) -> Caller:
        if self._tokens is not None and credential is not None and credential.count(".") == 2:
            return self._tokens.verify(credential)
        caller = self._keys.authenticate(credential)
        if caller is ANYBODY and self._tokens is not None:
            raise Unauthorized("an access token is required")
        return caller


@final
class TokenVerifier:
    """Verifies tokens of one issuer for one audience, and reads the claim that lists workspaces."""

    def __init__(self, *, issuer: str, audience: str, claim: str, keys: IssuerKeys) -> None:
        self._issuer = issuer
        self._audience = audience
        self._claim = claim
        self._keys = keys

    def verify(self, token: str) -> TokenHolder:
        """The subject of a token. Raises Unauthorized; ServiceUnavailable if the issuer's keys cannot be fetched."""
        if len(token) > _MAX_TOKEN:
            raise Unauthorized("the access token is too long")
        import jwt

        try:
            key = self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthorized("the access token is signed with an unknown key")
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthorized("the access token is not valid") from error
        return TokenHolder(str(claims["sub"]), read_workspaces(claims.get(self._claim)))


def _digest(credential: str | None) -> bytes:
    """Cache key of a credential, so that credentials are not kept in memory."""
    return b"" if credential is None else hashlib.sha256(credential.encode("utf-8", "replace")).digest()


def open_gate(keys: Authenticator, settings: ServerSettings) -> Gate:
    """The gate for these settings."""
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return Gate(keys, None)
    verifier = TokenVerifier(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        claim=settings.oidc_workspace_claim,
        keys=IssuerKeys(settings.oidc_issuer, jwks_url=settings.oidc_jwks_url),
    )
    return Gate(keys, verifier)


def read_workspaces(claim: object) -> Mapping[str, bool]:
    """The workspaces in a claim, and whether each may be written to. Items that are not strings are ignored."""
    listed = claim.split() if isinstance(claim, str) else claim
    found: dict[str, bool] = {}
    for text in listed if isinstance(listed, list) else []:
        if isinstance(text, str):
            place = text.strip().strip("/").lower()
            name = place.removesuffix(_READ_ONLY)
            if not name or not name.isprintable():  # no workspace has this name, and databases reject some texts
                continue
            found[name] = found.get(name, False) or name == place
    return found

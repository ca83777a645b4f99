"""Who sent a request: the holder of one of our keys, or of a token that an OpenID Connect issuer signed.

A token is a JWT with the configured issuer and audience that has not expired. One of its claims lists workspaces, as
``subscription/group/name`` or ``*`` for all; ``:read`` behind one of them allows reading only.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from qiosk.errors import Forbidden, ServiceUnavailable, Unauthorized
from qiosk.server.settings import ServerSettings
from qiosk.service.keys import ANYBODY, Authenticator

if TYPE_CHECKING:
    import jwt  # with the cryptography behind it 9 MiB, which a server without an issuer can do without

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by public keys only: a token signed with a shared secret would prove nothing."""
LEEWAY_S: Final = 60
"""How far the issuer's clock may be from ours."""
KEYS_S: Final = 3600.0
"""How long the issuer's keys are used without being fetched again."""
REFETCH_S: Final = 10.0
"""Shortest time between two fetches: whoever invents key ids must not make us flood the issuer."""
FETCH_TIMEOUT_S: Final = 5.0

RECALL_S: Final = 1.0
"""How long an answer is given again without any look. Revoked keys and expired tokens work so much longer."""
_RECALLED: Final = 1024

ALL: Final = "*"
"""Stands for every workspace."""
_READ_ONLY: Final = ":read"
_MAX_TOKEN: Final = 16_384
_MAX_DOCUMENT: Final = 1 << 20


class Caller(Protocol):
    """Whoever sent a request, and what is allowed to them."""

    @property
    def name(self) -> str:
        """What the log calls them."""
        ...

    def may(self, workspace: str, *, write: bool) -> bool:
        """Whether reading, or with ``write`` changing, things of a workspace (``ALL``: of all) is allowed."""
        ...

    def require(self, workspace: str, *, write: bool) -> None:
        """Raise Forbidden unless ``may``."""
        ...


@final
@dataclass(frozen=True, slots=True)
class TokenHolder:
    """The subject of a token. ``workspaces``: which ones are open, and whether for writing, too."""

    name: str
    workspaces: Mapping[str, bool] = field(default_factory=dict)

    def may(self, workspace: str, *, write: bool) -> bool:
        """Whether reading, or with ``write`` changing, things of a workspace is allowed."""
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
    """Tells who a credential belongs to, whatever kind it is."""

    def __init__(
        self, keys: Authenticator, tokens: TokenVerifier | None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._monotonic = monotonic
        self._recent: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, credential: str | None) -> Caller | None:
        """Who sent this credential, if ``authenticate`` found out just now. Waits for nothing."""
        with self._lock:
            until, caller = self._recent.get(_digest(credential), (0.0, ANYBODY))
        return caller if self._monotonic() < until else None

    def authenticate(self, credential: str | None) -> Caller:
        """Who sent this credential. Raises Unauthorized; ServiceUnavailable if the issuer cannot be asked."""
        caller = self._authenticate(credential)
        with self._lock:
            self._recent[_digest(credential)] = (self._monotonic() + RECALL_S, caller)
            while len(self._recent) > _RECALLED:
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
    """Reads the tokens of one issuer."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        claim: str,
        jwks_url: str | None = None,
        fetch: Callable[[str], Mapping[str, Any]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._claim = claim
        self._jwks_url = jwks_url
        self._fetch = fetch or fetch_json
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")

    def verify(self, token: str) -> TokenHolder:
        """Whose token this is. Raises Unauthorized; ServiceUnavailable if the issuer's keys cannot be fetched."""
        if len(token) > _MAX_TOKEN:
            raise Unauthorized("the access token is too long")
        import jwt

        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
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

    def _key(self, key_id: str | None) -> jwt.PyJWK:
        with self._lock:
            age = self._monotonic() - self._fetched_at
            if age >= KEYS_S or (key_id not in self._keys and age >= REFETCH_S):
                self._fetched_at = self._monotonic()
                self._keys = self._fetch_keys()
            if key_id not in self._keys:
                raise Unauthorized("the access token is signed with an unknown key")
            return self._keys[key_id]

    def _fetch_keys(self) -> Mapping[str | None, jwt.PyJWK]:
        import jwt

        try:
            if self._jwks_url is None:
                found = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                self._jwks_url = str(found["jwks_uri"])
            keys = jwt.PyJWKSet.from_dict(dict(self._fetch(self._jwks_url))).keys
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            raise ServiceUnavailable(f"the issuer {self._issuer} does not tell its keys: {error}") from error
        return {key.key_id: key for key in keys}


def _digest(credential: str | None) -> bytes:
    """What is remembered of a credential, so that memory holds none."""
    return b"" if credential is None else hashlib.sha256(credential.encode("utf-8", "replace")).digest()


def open_gate(keys: Authenticator, settings: ServerSettings) -> Gate:
    """The gate that the settings ask for."""
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return Gate(keys, None)
    verifier = TokenVerifier(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        claim=settings.oidc_workspace_claim,
        jwks_url=settings.oidc_jwks_url,
    )
    return Gate(keys, verifier)


def read_workspaces(claim: object) -> Mapping[str, bool]:
    """The workspaces a claim lists, and whether each may be written to; what is no text opens nothing."""
    listed = claim.split() if isinstance(claim, str) else claim
    found: dict[str, bool] = {}
    for text in listed if isinstance(listed, list) else []:
        if isinstance(text, str):
            place = text.strip().strip("/").lower()
            name = place.removesuffix(_READ_ONLY)
            found[name] = found.get(name, False) or name == place
    return found


def fetch_json(url: str) -> Mapping[str, Any]:
    """The JSON object at a URL. Raises OSError, ValueError."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"must be an http or https URL, found {url!r}")
    with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
        document = json.loads(answer.read(_MAX_DOCUMENT))
    if not isinstance(document, dict):
        raise ValueError("must be a JSON object")
    return document
